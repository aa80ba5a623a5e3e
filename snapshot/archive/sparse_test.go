package archive_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/ocm-operator/ocm-operator/snapshot/archive"
)

// block is a tar header as it is on the wire: the standard library does not write sparse files.
func block(typeflag byte, name string, size int64, edit func(b []byte)) []byte {
	b := make([]byte, 512)
	copy(b, name)
	copy(b[100:], "0000644\x000000000\x000000000\x00")
	copy(b[124:], fmt.Sprintf("%011o\x0000000000000\x00", size))
	b[156] = typeflag
	copy(b[257:], "ustar\x0000")
	if edit != nil {
		edit(b)
	}
	copy(b[148:156], "        ")
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

// oldSparse is one entry in the form that GNU tar writes by default: a hole and nothing else.
func oldSparse(name string, hole int64) []byte {
	return block(tar.TypeGNUSparse, name, 0, func(b []byte) {
		copy(b[257:], "ustar  \x00")
		copy(b[386:], fmt.Sprintf("%011o\x00%011o\x00", hole, 0))
		copy(b[483:], fmt.Sprintf("%011o\x00", hole))
	})
}

// paxSparse is the same with the records that GNU tar writes for --format=pax, of version 0.1 or 1.0.
func paxSparse(name string, hole int64, version string) []byte {
	records := []string{"GNU.sparse.name=" + name, fmt.Sprintf("GNU.sparse.size=%d", hole)}
	var data []byte
	if version == "1.0" {
		records = append(records, "GNU.sparse.major=1", "GNU.sparse.minor=0", fmt.Sprintf("GNU.sparse.realsize=%d", hole))
		data = make([]byte, 512)
		copy(data, fmt.Sprintf("1\n%d\n0\n", hole))
	} else {
		records = append(records, "GNU.sparse.numblocks=1", fmt.Sprintf("GNU.sparse.map=%d,0", hole))
	}
	var pax []byte
	for _, r := range records {
		n := len(r) + 3
		for len(fmt.Sprintf("%d %s\n", n, r)) != n {
			n++
		}
		pax = append(pax, fmt.Sprintf("%d %s\n", n, r)...)
	}
	out := block(tar.TypeXHeader, "PaxHeaders/"+name, int64(len(pax)), nil)
	out = append(out, pax...)
	out = append(out, make([]byte, -len(pax)&511)...)
	out = append(out, block(tar.TypeReg, "GNUSparseFile/"+name, int64(len(data)), nil)...)
	return append(out, data...)
}

// TestCopyRefusesHoles offers files that are large without a byte to show for it: no limit on what is
// read holds them.
func TestCopyRefusesHoles(t *testing.T) {
	t.Parallel()
	const hole = 1 << 30
	end := make([]byte, 1024)
	for name, entry := range map[string][]byte{
		"old GNU": oldSparse("hole", hole), "PAX 0.1": paxSparse("hole", hole, "0.1"), "PAX 1.0": paxSparse("hole", hole, "1.0"),
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
	one := append(block(tar.TypeReg, "one", size, nil), make([]byte, size)...)
	rest := errors.New("the content of the second file was read")
	src := io.MultiReader(bytes.NewReader(one), bytes.NewReader(block(tar.TypeReg, "two", size, nil)), failingReader{rest})
	_, err := archive.Copy(io.Discard, src, nil, archive.Limits{TotalBytes: 1 << 20})
	if limit := new(archive.LimitError); !errors.As(err, &limit) || !errors.Is(err, archive.ErrTooLarge) || limit.Max != 1<<20 {
		t.Errorf("got %v, want %v", err, archive.ErrTooLarge)
	}
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }
