package oci_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

func TestVerify(t *testing.T) {
	t.Parallel()
	const text = "some content"
	right, right512 := digest.FromString(text), digest.SHA512.FromString(text)
	cases := map[string]struct {
		content string
		size    int64
		want    []digest.Digest
		ok      bool
	}{
		"right":             {text, int64(len(text)), []digest.Digest{right}, true},
		"size not known":    {text, -1, []digest.Digest{right}, true},
		"two digests":       {text, -1, []digest.Digest{right, right512}, true},
		"empty":             {"", 0, []digest.Digest{digest.FromString("")}, true},
		"other content":     {"some c0ntent", int64(len(text)), []digest.Digest{right}, false},
		"second is wrong":   {text, -1, []digest.Digest{right, digest.SHA512.FromString("x")}, false},
		"too short":         {text[1:], int64(len(text)), []digest.Digest{right}, false},
		"too long":          {text + "!", int64(len(text)), []digest.Digest{right}, false},
		"empty, not wanted": {"", -1, []digest.Digest{right}, false},
	}
	for name, tc := range cases {
		for how, wrap := range map[string]func(io.Reader) io.Reader{
			"plain":         func(r io.Reader) io.Reader { return r },
			"EOF with data": iotest.DataErrReader,
			"byte by byte":  iotest.OneByteReader,
		} {
			t.Run(name+"/"+how, func(t *testing.T) {
				t.Parallel()
				rc, err := oci.Verify(io.NopCloser(wrap(strings.NewReader(tc.content))), "test", tc.size, tc.want...)
				if err != nil {
					t.Fatal(err)
				}
				_, err = io.ReadAll(rc)
				var mismatch *oci.DigestMismatchError
				if (err == nil) != tc.ok || (!tc.ok && !errors.As(err, &mismatch)) {
					t.Errorf("ReadAll = %v, want ok=%v", err, tc.ok)
				}
				if _, again := rc.Read(make([]byte, 1)); !tc.ok && !errors.As(again, &mismatch) {
					t.Errorf("the error does not stay: %v", again)
				}
			})
		}
	}
}

func TestVerifyKeepsReadErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection lost")
	rc, err := oci.Verify(io.NopCloser(iotest.ErrReader(broken)), "blob", 5, digest.FromString("x"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(rc); !errors.Is(err, broken) {
		t.Errorf("ReadAll = %v, want the error of the connection", err)
	}
}

func TestVerifyRefusesBadDigests(t *testing.T) {
	t.Parallel()
	for _, d := range []digest.Digest{"", "sha256:", "sha256:12", "md5:d41d8cd98f00b204e9800998ecf8427e"} {
		if _, err := oci.Verify(io.NopCloser(strings.NewReader("")), "blob", 0, d); err == nil {
			t.Errorf("Verify accepts the digest %q", d)
		}
	}
}

// TestVerifyStreams reads a gigabyte that exists nowhere: what is not asked for
// is not read ahead.
func TestVerifyStreams(t *testing.T) {
	t.Parallel()
	source := &counter{left: 1 << 30}
	rc, err := oci.Verify(io.NopCloser(source), "blob", 1<<30, digest.FromString("x"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, rc, 1<<20); err != nil {
		t.Fatal(err)
	}
	if source.read > 2<<20 {
		t.Errorf("%d bytes were read for one mebibyte", source.read)
	}
}

type counter struct{ left, read int64 }

func (c *counter) Read(p []byte) (int, error) {
	n := min(int64(len(p)), c.left)
	c.left -= n
	c.read += n
	return int(n), nil
}

func BenchmarkVerify(b *testing.B) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	d := digest.FromBytes(content)
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		rc, err := oci.Verify(io.NopCloser(bytes.NewReader(content)), "blob", int64(len(content)), d)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, rc); err != nil {
			b.Fatal(err)
		}
	}
}

// TestVerifyEnd takes io.EOF alone for the end of content, and no error that wraps
// it, as that of a connection that was closed.
func TestVerifyEnd(t *testing.T) {
	t.Parallel()
	closed := fmt.Errorf("get the rest: %w", io.EOF)
	rc, err := oci.Verify(io.NopCloser(io.MultiReader(strings.NewReader("some"), iotest.ErrReader(closed))), "test", -1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = io.ReadAll(rc); !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || !strings.Contains(err.Error(), closed.Error()) {
		t.Errorf("ReadAll = %v, want an error that is no end", err)
	}
}
