package store_test

import (
	"errors"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

func TestReadManifestAt(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), store.Options{NoSync: true})
	repo, err := s.Repository("team/app")
	if err != nil {
		t.Fatal(err)
	}
	body := `{"schemaVersion":2,"mediaType":"` + ocispec.MediaTypeImageIndex + `","manifests":[],"annotations":{"a":"` + strings.Repeat("x", 10_000) + `"}}`
	desc, err := repo.PutManifest(t.Context(), ocispec.MediaTypeImageIndex, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, off := range []int64{-1, 0, 5000, desc.Size - 10, desc.Size, desc.Size + 1} {
		want := ""
		if off >= 0 && off < desc.Size {
			want = body[off:min(off+1000, desc.Size)]
		}
		p := make([]byte, 1000)
		if n, err := repo.ReadManifestAt(desc.Digest, p, off); err != nil || string(p[:n]) != want {
			t.Errorf("at %d: %d bytes of %d, %v", off, n, len(want), err)
		}
	}
	other, err := s.Repository("team/web")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.ReadManifestAt(desc.Digest, make([]byte, 10), 0); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another repository gives it out: %v", err)
	}
	if err := repo.DeleteManifest(t.Context(), desc.Digest); err != nil {
		t.Fatal(err)
	}
	if _, err := repo.ReadManifestAt(desc.Digest, make([]byte, 10), 0); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a manifest that was deleted is read: %v", err)
	}
}

// TestDiskThatDoesNotAnswer: whether content could be written is told without waiting for the disk.
func TestDiskThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	hung, asked := make(chan struct{}), make(chan struct{}, 100)
	s.SyncDirs(func(_ string, really func() error) error {
		asked <- struct{}{}
		<-hung
		return really()
	})
	checked := make(chan error, 1)
	go func() { checked <- s.Check(t.Context()) }()
	<-asked
	if err := s.Writable(); err != nil {
		t.Error(err)
	}
	close(hung)
	if err := <-checked; err != nil {
		t.Error(err)
	}
}
