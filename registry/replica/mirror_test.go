package replica_test

import (
	"context"
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

// named are tags that stay.
func named(tags ...string) replica.Tags {
	return func(context.Context) ([]string, error) { return tags, nil }
}

// TestMirror copies artifacts before anybody asks for them, so that another replica can take over.
func TestMirror(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	leader, follower := w.nodes[0], w.nodes[1]
	a := put(t, leader.store, noise("m", 1<<20), "v1")

	copied, err := follower.replica.Mirror(t.Context(), repository, a.digest(), named("v1"))
	if err != nil || !copied {
		t.Fatalf("copied is %t, error %v", copied, err)
	}
	if copied, err = follower.replica.Mirror(t.Context(), repository, a.digest(), named("v1")); err != nil || copied {
		t.Errorf("copied again is %t, error %v", copied, err)
	}
	leader.stop()
	w.lead(follower.server.Address())
	for path, want := range map[string][]byte{
		blobPath(a.layer): a.layer, blobPath(a.config): a.config, manifestPath(a.digest().String()): a.manifest, manifestPath("v1"): a.manifest,
	} {
		w.wants(w.ask(follower, reader, http.MethodGet, path, nil), http.StatusOK, want)
	}
	if copied, err := follower.replica.Mirror(t.Context(), repository, digest.FromString("nowhere"), nil); err != nil || copied {
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
		if _, err := follower.replica.Mirror(t.Context(), repository, a.digest(), named("latest")); err != nil {
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

// TestOldCopyLeavesTheTag: while an artifact is copied its tag moves on, and is on the newer one by the end.
func TestOldCopyLeavesTheTag(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	leader, follower := w.nodes[0], w.nodes[1]
	one, two := put(t, leader.store, []byte("one"), "latest"), put(t, leader.store, []byte("two"), "latest")
	asked := 0
	overtaken := func(ctx context.Context) ([]string, error) {
		if asked++; asked == 1 {
			_, err := follower.replica.Mirror(ctx, repository, two.digest(), named("latest"))
			return []string{"latest"}, err
		}
		return nil, nil
	}
	if _, err := follower.replica.Mirror(t.Context(), repository, one.digest(), overtaken); err != nil || asked != 2 {
		t.Fatalf("asked %d times for the tags, error %v", asked, err)
	}
	if !follower.replica.Has(t.Context(), repository, two.digest(), "latest") || !follower.replica.Has(t.Context(), repository, one.digest()) {
		t.Error("the older artifact has taken the tag, or was not copied")
	}
}

// TestNewLeaderPutsNoCopies: what it copied before it led, it leaves to those who write now.
func TestNewLeaderPutsNoCopies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	leader, follower := w.nodes[0], w.nodes[1]
	a := put(t, leader.store, noise("l", 1000), "latest")
	asked := 0
	elected := func(context.Context) ([]string, error) {
		if asked++; asked == 2 {
			w.lead(follower.server.Address())
		}
		return []string{"latest"}, nil
	}
	if copied, err := follower.replica.Mirror(t.Context(), repository, a.digest(), elected); err != nil || copied {
		t.Errorf("copied is %t, error %v", copied, err)
	}
	if follower.replica.Has(t.Context(), repository, a.digest(), "latest") || asked != 2 {
		t.Errorf("the one that leads got a tag from its copies (asked %d times)", asked)
	}
}

// TestTagsThatNobodyKnows are an error, and nothing gets a tag.
func TestTagsThatNobodyKnows(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	a := put(t, w.nodes[0].store, noise("u", 1000))
	unknown := errors.New("unknown")
	tags := func(context.Context) ([]string, error) { return nil, unknown }
	if _, err := w.nodes[1].replica.Mirror(t.Context(), repository, a.digest(), tags); !errors.Is(err, unknown) {
		t.Errorf("error %v", err)
	}
}

// TestNoRoomCostsNoTransfer: what does not fit is not fetched to find that out.
func TestNoRoomCostsNoTransfer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, func(i int, _ *replica.Options, s *store.Options) {
		if i == 1 {
			s.MaxBytes = 1 << 20
		}
	})
	leader, follower := w.nodes[0], w.nodes[1]
	a := put(t, leader.store, noise("p", 8<<20))
	for range 3 {
		if _, err := follower.replica.Mirror(t.Context(), repository, a.digest(), nil); !errors.Is(err, replica.ErrNoRoom) || !errors.Is(err, store.ErrStorageFull) {
			t.Fatalf("error %v", err)
		}
	}
	if received := follower.received(t); received > 1<<20 {
		t.Errorf("%v bytes came for nothing", received)
	}
	if got := leader.asked.Load(); got > 6 {
		t.Errorf("the leader was asked %d times, want a manifest and a blob each time", got)
	}
	w.wants(w.ask(follower, reader, http.MethodGet, blobPath(a.layer), nil), http.StatusOK, a.layer)
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
	if _, err := w.nodes[1].replica.Mirror(t.Context(), repository, desc.Digest, nil); err != nil {
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
	if _, err := follower.replica.Mirror(t.Context(), repository, digest.FromString("nowhere"), nil); !errors.Is(err, replica.ErrMissing) {
		t.Errorf("missing content: %v", err)
	}
	a := put(t, w.nodes[0].store, noise("o", 1000))
	if _, err := follower.replica.Mirror(t.Context(), repository, a.digest(), nil); !errors.Is(err, store.ErrStagingFull) {
		t.Errorf("no room: %v", err)
	}
	w.lead("")
	if _, err := follower.replica.Mirror(t.Context(), repository, a.digest(), nil); !errors.Is(err, replica.ErrNoLeader) {
		t.Errorf("no leader: %v", err)
	}
	follower.replica.Close()
	w.lead(w.nodes[0].server.Address())
	if _, err := follower.replica.Mirror(t.Context(), repository, a.digest(), nil); !errors.Is(err, replica.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}
