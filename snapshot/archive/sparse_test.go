package archive_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/ocm-operator/ocm-operator/snapshot/archive"
	"github.com/ocm-operator/ocm-operator/snapshot/archive/archivetest"
)

// TestCopyRefusesHoles offers files that are large without a byte to show for it: no limit on what is
// read holds them.
func TestCopyRefusesHoles(t *testing.T) {
	t.Parallel()
	const hole = 1 << 30
	end := make([]byte, 1024)
	for name, entry := range map[string][]byte{
		"old GNU": archivetest.OldSparse("hole", hole), "PAX 0.1": archivetest.PAXSparse("hole", hole, "0.1"), "PAX 1.0": archivetest.PAXSparse("hole", hole, "1.0"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := append(bytes.Clone(entry), end...)
			// The standard library unpacks it, so it is a sound archive and a gigabyte.
			if h, err := tar.NewReader(bytes.NewReader(src)).Next(); err != nil || h.Size != hole || h.Name != "hole" {
				t.Fatalf("the test archive has %+v: %v", h, err)
			}
			var out bytes.Buffer
			_, err := archive.Copy(&out, bytes.NewReader(src), nil, archive.Limits{TotalBytes: 1 << 20})
			if refused := new(archive.EntryError); !errors.As(err, &refused) || !errors.Is(err, archive.ErrSparse) || refused.Path != "hole" {
				t.Errorf("got %v, want %v", err, archive.ErrSparse)
			}
			if out.Len() > 4096 {
				t.Errorf("%d bytes were written for it", out.Len())
			}
			for f, err := range archive.Files(bytes.NewReader(src), archive.Limits{}) {
				if !errors.Is(err, archive.ErrSparse) {
					t.Errorf("files: got %v, %v", f, err)
				}
			}
		})
	}
}

// TestCopyCountsSizes ends an archive at the header that announces too much, before its content comes.
func TestCopyCountsSizes(t *testing.T) {
	t.Parallel()
	const size = 600 << 10
	one := append(archivetest.Header(tar.TypeReg, "one", size, nil), make([]byte, size)...)
	rest := errors.New("the content of the second file was read")
	src := io.MultiReader(bytes.NewReader(one), bytes.NewReader(archivetest.Header(tar.TypeReg, "two", size, nil)), failingReader{rest})
	_, err := archive.Copy(io.Discard, src, nil, archive.Limits{TotalBytes: 1 << 20})
	if limit := new(archive.LimitError); !errors.As(err, &limit) || !errors.Is(err, archive.ErrTooLarge) || limit.Max != 1<<20 {
		t.Errorf("got %v, want %v", err, archive.ErrTooLarge)
	}
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }
