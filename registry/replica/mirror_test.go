package replica_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/registry/replica"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

// TestMirror copies artifacts before anybody asks for them, so that another replica can take over.
func TestMirror(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	leader, follower := w.nodes[0], w.nodes[1]
	a := put(t, leader.store, noise("m", 1<<20), "v1")

	copied, err := follower.replica.Mirror(t.Context(), repository, a.digest(), "v1")
	if err != nil || !copied {
		t.Fatalf("copied is %t, error %v", copied, err)
	}
	if copied, err = follower.replica.Mirror(t.Context(), repository, a.digest(), "v1"); err != nil || copied {
		t.Errorf("copied again is %t, error %v", copied, err)
	}
	leader.stop()
	w.lead(follower.server.Address())
	for path, want := range map[string][]byte{
		blobPath(a.layer): a.layer, blobPath(a.config): a.config, manifestPath(a.digest().String()): a.manifest, manifestPath("v1"): a.manifest,
	} {
		w.wants(w.ask(follower, reader, http.MethodGet, path, nil), http.StatusOK, want)
	}
	if copied, err := follower.replica.Mirror(t.Context(), repository, digest.FromString("nowhere")); err != nil || copied {
		t.Errorf("a leader mirrored: %t, %v", copied, err)
	}
}

// TestMirrorRepairs what the disk of this replica has lost, and moves tags.
func TestMirrorRepairs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	leader, follower := w.nodes[0], w.nodes[1]
	one, two := put(t, leader.store, []byte("one"), "latest"), put(t, leader.store, []byte("two"), "latest")
	for _, a := range []artifact{one, two} {
		if _, err := follower.replica.Mirror(t.Context(), repository, a.digest(), "latest"); err != nil {
			t.Fatal(err)
		}
	}
	if follower.replica.Has(t.Context(), repository, one.digest(), "latest") || !follower.replica.Has(t.Context(), repository, two.digest(), "latest") {
		t.Error("the tag did not move")
	}
	if !follower.replica.Has(t.Context(), repository, one.digest()) {
		t.Error("the artifact went with its tag")
	}
}

// TestMirrorOfAnIndex copies what an index names before the index.
func TestMirrorOfAnIndex(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	a := put(t, w.nodes[0].store, noise("n", 1000))
	child := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: a.digest(), Size: int64(len(a.manifest))}
	index, err := json.Marshal(ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{child}})
	if err != nil {
		t.Fatal(err)
	}
	repo, err := w.nodes[0].store.Repository(repository)
	if err != nil {
		t.Fatal(err)
	}
	desc, err := repo.PutManifest(t.Context(), ocispec.MediaTypeImageIndex, index)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.nodes[1].replica.Mirror(t.Context(), repository, desc.Digest); err != nil {
		t.Fatal(err)
	}
	if !w.nodes[1].replica.Has(t.Context(), repository, desc.Digest) || !stored(t, w.nodes[1].store, a.layer) {
		t.Error("the index was mirrored without what it names")
	}
}

// TestMirrorFails tells why, so that the caller knows whether another try may help.
func TestMirrorFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, func(i int, _ *replica.Options, s *store.Options) {
		if i == 1 {
			s.MaxStagedBytes = 100
		}
	})
	follower := w.nodes[1]
	if _, err := follower.replica.Mirror(t.Context(), repository, digest.FromString("nowhere")); !errors.Is(err, replica.ErrMissing) {
		t.Errorf("missing content: %v", err)
	}
	a := put(t, w.nodes[0].store, noise("o", 1000))
	if _, err := follower.replica.Mirror(t.Context(), repository, a.digest()); !errors.Is(err, store.ErrStagingFull) {
		t.Errorf("no room: %v", err)
	}
	w.lead("")
	if _, err := follower.replica.Mirror(t.Context(), repository, a.digest()); !errors.Is(err, replica.ErrNoLeader) {
		t.Errorf("no leader: %v", err)
	}
	follower.replica.Close()
	w.lead(w.nodes[0].server.Address())
	if _, err := follower.replica.Mirror(t.Context(), repository, a.digest()); !errors.Is(err, replica.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}
