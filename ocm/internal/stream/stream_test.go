package stream_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/ocm-operator/ocm-operator/ocm/internal/stream"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// TestBounded passes on what is within the bound, and fails, again and again, for one
// byte more.
func TestBounded(t *testing.T) {
	t.Parallel()
	for name, over := range map[string]func(io.Reader) io.Reader{
		"at once":      func(r io.Reader) io.Reader { return r },
		"byte by byte": iotest.OneByteReader,
		"end at once":  iotest.DataErrReader,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := io.ReadAll(stream.Bounded(over(strings.NewReader("abc")), 3, "it"))
			if string(got) != "abc" || err != nil {
				t.Errorf("within the bound: %q, %v", got, err)
			}
			more := stream.Bounded(over(strings.NewReader("abcd")), 3, "the list")
			for range 2 {
				got, err = io.ReadAll(more)
				if !errors.Is(err, oci.ErrTooLarge) || !strings.Contains(err.Error(), "the list is") || len(got) > 3 {
					t.Errorf("over the bound: %q, %v", got, err)
				}
			}
		})
	}
}

// TestInterruptible ends with what ended the context.
func TestInterruptible(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	r := stream.Interruptible(ctx, strings.NewReader("abc"))
	if n, err := r.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("Read = %d, %v", n, err)
	}
	why := errors.New("why")
	cancel(why)
	if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, why) {
		t.Errorf("Read = %d, %v, want %v", n, err, why)
	}
}

// TestCopy copies what is larger than its buffer, and tells what failed.
func TestCopy(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("abc"), 100_000)
	var out bytes.Buffer
	if n, err := stream.Copy(&out, bytes.NewReader(content)); n != int64(len(content)) || err != nil || !bytes.Equal(out.Bytes(), content) {
		t.Errorf("Copy = %d, %v", n, err)
	}
	why := errors.New("why")
	if _, err := stream.Copy(io.Discard, iotest.ErrReader(why)); !errors.Is(err, why) {
		t.Errorf("Copy = %v, want %v", err, why)
	}
}
