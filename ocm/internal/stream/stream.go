// Package stream passes content of others on: within a bound, until a context ends,
// and with buffers that are used again.
package stream

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// bufferSize is how much is copied at once.
const bufferSize = 128 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// Copy is io.Copy with a buffer that is used again, whatever else reader and writer
// can do.
func Copy(w io.Writer, r io.Reader) (int64, error) {
	buffer, ok := buffers.Get().(*[bufferSize]byte)
	if !ok {
		buffer = new([bufferSize]byte)
	}
	defer buffers.Put(buffer)
	// Hiding what else the two can do makes it use the buffer.
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, buffer[:])
}

// Bounded returns a reader that passes on so many bytes. If there are more, it fails
// in place of ending, with an error that matches oci.ErrTooLarge and calls the content
// by the given name.
func Bounded(r io.Reader, limit int64, name string) io.Reader {
	return &bounded{r: r, left: limit, limit: limit, name: name}
}

type bounded struct {
	r     io.Reader
	left  int64 // below zero if there was more
	limit int64
	name  string
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, b.tooLarge()
	}
	// One more than is passed on tells the end from a bound that is exceeded.
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, b.tooLarge()
	}
	return n, err
}

func (b *bounded) tooLarge() error {
	return fmt.Errorf("%s is %w: more than %d bytes", b.name, oci.ErrTooLarge, b.limit)
}

// Interruptible returns a reader that ends when a context does, with its cause. It
// cannot interrupt a read that has begun.
func Interruptible(ctx context.Context, r io.Reader) io.Reader {
	return &interruptible{ctx: ctx, r: r}
}

type interruptible struct {
	ctx context.Context //nolint:containedctx // a reader has no other way to know
	r   io.Reader
}

// Read implements io.Reader.
func (i *interruptible) Read(p []byte) (int, error) {
	if i.ctx.Err() != nil {
		return 0, context.Cause(i.ctx)
	}
	return i.r.Read(p)
}
