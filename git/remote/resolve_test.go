package remote

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

// packOf makes a pack.
type packOf struct {
	bytes.Buffer
}

func newPackOf(objects uint32) *packOf {
	p := &packOf{}
	p.WriteString("PACK")
	p.Write(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 2), objects))
	return p
}

// add writes an object, before whose content there may be what it is a difference to, and returns where it is.
func (p *packOf) add(kind plumbing.ObjectType, base, content []byte) int {
	at, size := p.Len(), len(content)
	first := byte(kind)<<4 | byte(size&0x0f)
	if size >>= 4; size == 0 {
		p.WriteByte(first)
	} else {
		p.WriteByte(first | 0x80)
		p.Write(binary.AppendUvarint(nil, uint64(size)))
	}
	p.Write(base)
	z := zlib.NewWriter(p)
	_, _ = z.Write(content)
	_ = z.Close()
	return at
}

// difference writes one that has a few bytes of its own.
func (p *packOf) difference(base, size int, own []byte) {
	away := p.Len() - base
	offset := []byte{byte(away & 0x7f)}
	for away >>= 7; away > 0; away >>= 7 {
		away--
		offset = append([]byte{byte(away&0x7f) | 0x80}, offset...)
	}
	delta := binary.AppendUvarint(binary.AppendUvarint(nil, uint64(size)), uint64(len(own)))
	p.add(plumbing.OFSDeltaObject, offset, append(append(delta, byte(len(own))), own...))
}

func (p *packOf) bytes() []byte {
	sum := sha1.Sum(p.Bytes())
	return append(p.Bytes(), sum[:]...)
}

func (p *packOf) read(t *testing.T, file *os.File) (*pack, error) {
	t.Helper()
	return readPack(t.Context(), file, bytes.NewReader(p.bytes()), 1<<20)
}

func newFile(t *testing.T) *os.File {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "pack"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return file
}

// TestWork reads small packs that ask for much work: many differences to a large object, or to several in turn.
func TestWork(t *testing.T) {
	t.Parallel()
	const large, differences = 6 << 20, 60
	for name, c := range map[string]struct {
		bases    int
		tooLarge bool
	}{"one base is inflated once": {bases: 1}, "several are inflated again and again": {bases: 3, tooLarge: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPackOf(uint32(c.bases + differences))
			var bases []int
			for i := range c.bases {
				bases = append(bases, p.add(plumbing.BlobObject, nil, bytes.Repeat([]byte{byte(i)}, large)))
			}
			for i := range differences {
				p.difference(bases[i%c.bases], large, []byte{byte(i), 'x'})
			}
			read, err := p.read(t, newFile(t))
			// The inflated pack is bounded by its own rule, which this one meets.
			if err != nil {
				t.Fatal(err)
			}
			read.work, read.budget = 32<<20, 32<<20
			for range 2 {
				_, err = read.read(t.Context(), plumbing.NewHash(strings.Repeat("1", hexHash)), plumbing.BlobObject, 100)
				if _, got := errors.AsType[*TooLargeError](err); got != c.tooLarge || !got && !errors.Is(err, ErrNoSuchObject) {
					t.Errorf("got %v, want a bound: %t", err, c.tooLarge)
				}
			}
		})
	}
}

// TestDisk lets the place for packs be one that cannot be written, or not be read.
func TestDisk(t *testing.T) {
	t.Parallel()
	p := newPackOf(2)
	content := []byte("a line")
	p.difference(p.add(plumbing.BlobObject, nil, content), len(content), []byte("another"))
	file := newFile(t)
	readOnly, err := os.Open(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer readOnly.Close()
	if _, err = p.read(t, readOnly); err == nil || errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), "write the fetched pack") || strings.Contains(err.Error(), file.Name()) {
		t.Errorf("a file that cannot be written gives %v, want its own fault without its name", err)
	}
	read, err := p.read(t, file)
	if err != nil {
		t.Fatal(err)
	}
	_ = file.Close()
	_, err = read.read(t.Context(), plumbing.ComputeHash(plumbing.BlobObject, content), plumbing.BlobObject, 100)
	if errors.Is(err, ErrProtocol) || !errors.Is(err, fs.ErrClosed) {
		t.Errorf("a file that cannot be read gives %v, want its own fault", err)
	}
}

// TestFilesCut names a file more often than files are looked at.
func TestFilesCut(t *testing.T) {
	t.Parallel()
	var tree []byte
	for _, name := range []string{"a", "b", "c"} {
		tree = append(append(tree, "100644 "+name+"\x00"...), plumbing.ZeroHash[:]...)
	}
	p := newPackOf(1)
	p.add(plumbing.TreeObject, nil, tree)
	read, err := p.read(t, newFile(t))
	if err != nil {
		t.Fatal(err)
	}
	for most, want := range map[int]bool{2: true, 3: false} {
		files, others, err := read.files(t.Context(), most)
		if err != nil || len(files) != 1 || others != want {
			t.Errorf("of %d files, %d are known, others %t (%v), want 1, %t", most, len(files), others, err, want)
		}
	}
}
