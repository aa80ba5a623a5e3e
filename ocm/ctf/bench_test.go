package ctf_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm/ctf"
)

const (
	benchBlobs = 64
	benchBytes = 1 << 20
)

// noise returns blobs that can't be compressed, as images can't.
func noise() [][]byte {
	source := rand.NewChaCha8([32]byte{1})
	var all [][]byte
	for range benchBlobs {
		blob := make([]byte, benchBytes)
		source.Read(blob)
		all = append(all, blob)
	}
	return all
}

// plainWrite writes blobs into a tar archive and hashes them: nobody can do with less.
func plainWrite(path string, blobs [][]byte, compress bool) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(f, 128<<10)
	var w io.WriteCloser = struct {
		io.Writer
		io.Closer
	}{buffered, io.NopCloser(nil)}
	if compress {
		if w, err = gzip.NewWriterLevel(buffered, gzip.BestSpeed); err != nil {
			return err
		}
	}
	tw := tar.NewWriter(w)
	for _, blob := range blobs {
		if err := tw.WriteHeader(&tar.Header{Name: fmt.Sprintf("%x", sha256.Sum256(blob)), Mode: 0o644, Size: int64(len(blob))}); err != nil {
			return err
		}
		if _, err := tw.Write(blob); err != nil {
			return err
		}
	}
	return errors.Join(tw.Close(), w.Close(), buffered.Flush(), f.Sync(), f.Close())
}

// plainRead reads a tar archive and hashes what is in it.
func plainRead(path string, compressed bool) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var r io.Reader = bufio.NewReaderSize(f, 128<<10)
	if compressed {
		if r, err = gzip.NewReader(r); err != nil {
			return err
		}
	}
	tr := tar.NewReader(r)
	for {
		if _, err := tr.Next(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if _, err := io.Copy(sha256.New(), tr); err != nil {
			return err
		}
	}
}

func writeStore(b *testing.B, path string, blobs [][]byte) error {
	b.Helper()
	store, err := ctf.Create(path, ctf.Options{TempDir: filepath.Dir(path)})
	if err != nil {
		return err
	}
	repo := repositoryOf(b, store)
	for _, blob := range blobs {
		desc := ocispec.Descriptor{Digest: digest.FromBytes(blob), Size: int64(len(blob))}
		if err := repo.PushBlob(b.Context(), desc, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(blob)), nil }); err != nil {
			return err
		}
	}
	return store.Close()
}

func readStore(b *testing.B, path string) error {
	b.Helper()
	store, err := ctf.Open(path, ctf.Options{TempDir: filepath.Dir(path)})
	if err != nil {
		return err
	}
	repo := repositoryOf(b, store)
	all, err := store.Blobs(b.Context())
	if err != nil {
		return err
	}
	for _, d := range all {
		rc, _, err := repo.Blob(b.Context(), d, -1)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, rc); err != nil {
			return err
		}
		rc.Close()
	}
	return store.Close()
}

// BenchmarkArchive writes and reads 64 MiB in 64 blobs, and reports the throughput as a ratio to that of a plain tar archive
// whose content is hashed, in turns with it.
func BenchmarkArchive(b *testing.B) {
	blobs := noise()
	for _, name := range []string{"x.tar", "x.tgz", "folder"} {
		compressed := name == "x.tgz"
		plainPath := filepath.Join(b.TempDir(), "plain")
		if err := plainWrite(plainPath, blobs, compressed); err != nil {
			b.Fatal(err)
		}
		made := filepath.Join(b.TempDir(), name)
		if err := writeStore(b, made, blobs); err != nil {
			b.Fatal(err)
		}
		beside(b, "write/"+name, func() error { return plainWrite(plainPath, blobs, compressed) }, func() error {
			path := filepath.Join(b.TempDir(), name)
			return errors.Join(writeStore(b, path, blobs), os.RemoveAll(path))
		})
		beside(b, "read/"+name, func() error { return plainRead(plainPath, compressed) }, func() error { return readStore(b, made) })
	}
}

// beside measures two functions in turns.
func beside(b *testing.B, name string, plain, ours func() error) {
	b.Helper()
	b.Run(name, func(b *testing.B) {
		b.SetBytes(benchBlobs * benchBytes)
		b.ReportAllocs()
		var one, other time.Duration
		for b.Loop() {
			b.StopTimer()
			start := time.Now()
			if err := plain(); err != nil {
				b.Fatal(err)
			}
			one += time.Since(start)
			b.StartTimer()
			start = time.Now()
			if err := ours(); err != nil {
				b.Fatal(err)
			}
			other += time.Since(start)
		}
		b.ReportMetric(float64(one)/float64(other), "ratio")
	})
}
