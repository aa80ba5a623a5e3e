package registryserver

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/reconcilers/options"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/snapshot"
	"github.com/ocm-operator/ocm-operator/snapshot/snapshottest"
)

func withArtifacts(o options.Registry) options.Registry {
	o.Artifacts, o.ArtifactListen, o.ArtifactAddress = true, "127.0.0.1:0", "artifacts.example.com:9790"
	return o
}

func TestArtifactIsServed(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	r := newRegistry(t, w.Client, withArtifacts(optionsOf(t)))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.serveArtifacts(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	<-r.artifacts.server.Ready()

	written := snapshottest.Write(t, snapshottest.Repository(t, snapshot.Embedded(r.store), "team/app"), []byte("content"))
	got, err := r.Artifact(t.Context(), "team/app", written.ManifestDigest.String())
	if err != nil {
		t.Fatal(err)
	}
	path, ours := strings.CutPrefix(got.URL, "http://artifacts.example.com:9790/")
	if !ours || path != got.Path || got.Digest != digest.FromString("content").String() || got.Size != 7 || got.MediaType == "" {
		t.Errorf("artifact is %+v", got)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.artifacts.server.Address()+"/"+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "content" {
		t.Errorf("served is %q (%v)", body, err)
	}

	replica := newRegistry(t, w.Client, withArtifacts(optionsOf(t)))
	snapshottest.Write(t, snapshottest.Repository(t, snapshot.Embedded(replica.store), "team/app"), []byte("content"))
	if other, err := replica.Artifact(t.Context(), "team/app", written.ManifestDigest.String()); err != nil || other != got {
		t.Errorf("another replica serves it as %+v (%v), want %+v", other, err, got)
	}
}

func TestArtifactThatIsNotThere(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	r := newRegistry(t, w.Client, withArtifacts(optionsOf(t)))
	nothing := digest.FromString("nothing").String()
	if _, err := r.Artifact(t.Context(), "team/app", nothing); !errors.Is(err, snapshot.ErrNotFound) {
		t.Errorf("error is %v, want snapshot.ErrNotFound", err)
	}
	if _, err := r.Artifact(t.Context(), "Team", nothing); err == nil {
		t.Error("a name that is no repository's has an artifact")
	}
	off := newRegistry(t, w.Client, optionsOf(t))
	if _, err := off.Artifact(t.Context(), "team/app", nothing); !errors.Is(err, ErrArtifactsOff) {
		t.Errorf("error is %v, want ErrArtifactsOff", err)
	}
}
