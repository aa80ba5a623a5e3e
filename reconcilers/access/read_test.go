package access_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

func wantRequests(t *testing.T, server *ocmtest.Server, want map[string]int) {
	t.Helper()
	if diff := cmp.Diff(want, server.Requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	server.ResetRequests()
}

func TestCurrentCostsOneManifest(t *testing.T) {
	t.Parallel()
	w, server := reconcilertest.New(t), ocmtest.Start(t)
	node := publish(t, w, server)
	repository := open(t, w.Repositories, follow(server.URL+"/ocm", "", ""))
	for _, want := range []map[string]int{{"GET manifests": 1, "GET blobs": 2}, {"GET manifests": 1}} {
		version, manifest, err := repository.Current(t.Context(), component, "1.0.0")
		if err != nil || manifest.String() != node.ManifestDigest || version.ManifestDigest() != manifest {
			t.Fatalf("digest is %s, %v, want %s", manifest, err, node.ManifestDigest)
		}
		wantRequests(t, server, want)
	}
	if _, err := repository.Pinned(t.Context(), node); err != nil {
		t.Error(err)
	}
	wantRequests(t, server, map[string]int{})
	moved := w.Publish(server.URL+"/ocm", ocmtest.Component{Name: component, Version: "1.0.0"})
	if _, manifest, err := repository.Current(t.Context(), component, "1.0.0"); err != nil || manifest != moved {
		t.Errorf("digest is %s, %v, want that of the tag now, %s", manifest, err, moved)
	}
}

// TestReadSince has two questions for one version, of which the first may ask for no more than its digest.
func TestReadSince(t *testing.T) {
	t.Parallel()
	for name, resolved := range map[string]bool{"read": false, "resolved by another": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, server := reconcilertest.New(t), ocmtest.Start(t)
			node := publish(t, w, server)
			repository, since := open(t, w.Repositories, follow(server.URL+"/ocm", "", "")), time.Now()
			want := map[string]int{"GET manifests": 1, "GET blobs": 2}
			if resolved {
				want["HEAD manifests"] = 1
				if _, err := repository.ResolveSince(t.Context(), component, "1.0.0", since); err != nil {
					t.Fatal(err)
				}
			}
			manifest, read, err := repository.ReadSince(t.Context(), component, "1.0.0", since)
			if err != nil || manifest.String() != node.ManifestDigest || read == resolved {
				t.Errorf("digest is %s and read is %t, %v", manifest, read, err)
			}
			if shared, err := repository.ResolveSince(t.Context(), component, "1.0.0", since); err != nil || shared != manifest {
				t.Errorf("the answer was not shared: %s, %v", shared, err)
			}
			if _, err := repository.Pinned(t.Context(), node); err != nil {
				t.Error(err)
			}
			wantRequests(t, server, want)
		})
	}
}

// TestReadSinceOfBrokenVersion: the digest is told, so that whoever pins it learns what is wrong.
func TestReadSinceOfBrokenVersion(t *testing.T) {
	t.Parallel()
	w, server := reconcilertest.New(t), ocmtest.Start(t)
	node := publish(t, w, server)
	repository := open(t, w.Repositories, follow(server.URL+"/ocm", "", ""))
	server.Inject(ocmtest.FailWith(http.StatusForbidden, -1, "GET blobs"))
	manifest, read, err := repository.ReadSince(t.Context(), component, "1.0.0", time.Now())
	if err != nil || manifest.String() != node.ManifestDigest || read {
		t.Errorf("digest is %s and read is %t, %v, want the digest alone", manifest, read, err)
	}
	if _, err := repository.Pinned(t.Context(), source.Node{Component: component, Version: "1.0.0", ManifestDigest: manifest.String()}); err == nil {
		t.Error("a version that can't be read was read")
	}
	if _, _, err := repository.ReadSince(t.Context(), component, "9.9.9", time.Now()); err == nil || !strings.Contains(err.Error(), "9.9.9") {
		t.Errorf("error is %v, want that there is no such version", err)
	}
}
