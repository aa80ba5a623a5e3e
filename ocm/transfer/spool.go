package transfer

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/internal/scratch"
	"github.com/ocm-operator/ocm-operator/ocm/internal/stream"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// maxStream bounds content that is read from the web, and all of it together that a
// run keeps in temporary files.
const maxStream = 16 << 30

// made is a place that has one blob, which is made when it is asked for.
type made struct {
	name string
	size int64
	open func(ctx context.Context) (io.ReadCloser, error)
}

// String names the place.
func (m *made) String() string { return m.name }

// Blob opens the blob.
func (m *made) Blob(ctx context.Context, d digest.Digest, size int64, also ...digest.Digest) (io.ReadCloser, int64, error) {
	rc, err := m.open(ctx)
	if err != nil {
		return nil, 0, err
	}
	verified, err := oci.Verify(rc, m.name, size, append([]digest.Digest{d}, also...)...)
	if err != nil {
		rc.Close()
		return nil, 0, err
	}
	return verified, m.size, nil
}

// stream keeps content that is read from the web as a blob of the component
// version. It is read once to know what it is, unless that is known.
func (r *run) stream(ctx context.Context, e *element) error {
	open := func(ctx context.Context) (*ocm.Blob, error) {
		return e.node.found.Source().Open(ctx, e.res, access.Options{MaxBytes: maxStream})
	}
	ctx, watch := oci.NewWatch(ctx, oci.Patience)
	defer watch.End()
	blob, err := open(ctx)
	if err != nil {
		return advise(e, err)
	}
	defer blob.Close()
	desc := ocispec.Descriptor{MediaType: orDefault(blob.MediaType), Digest: blob.Digest, Size: blob.Size}
	from := &made{name: "the content of " + e.String(), open: func(ctx context.Context) (io.ReadCloser, error) { return open(ctx) }}
	if desc.Size < 0 || desc.Digest.Validate() != nil || desc.Digest.Algorithm() != digest.SHA256 {
		kept, err := r.spools.keep(watch.Over(blob), r.options, r.progress.step)
		if err != nil {
			return fmt.Errorf("%s: %w", e, err)
		}
		desc.Digest, desc.Size = kept.digest, kept.size
		from.open = kept.open
	}
	from.size = desc.Size
	e.layers, e.from = []ocispec.Descriptor{desc}, from
	e.access, err = access.NewLocalBlob(desc.Digest, desc.MediaType)
	return err
}

// spools are what is removed when the run ends.
type spools struct {
	mu  sync.Mutex
	all []io.Closer
	// size is how much of it is in temporary files.
	size int64
}

func (s *spools) add(c io.Closer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, c)
}

func (s *spools) close() {
	for _, c := range s.all {
		c.Close()
	}
}

// kept is content in a temporary file.
type kept struct {
	*scratch.File

	digest digest.Digest
	size   int64
}

func (k *kept) open(context.Context) (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(k.File, 0, k.size)), nil
}

// keep reads content into a temporary file.
func (s *spools) keep(r io.Reader, o Options, moved func()) (*kept, error) {
	f, err := scratch.Create(o.TempDir, "ocm-transfer-", o.Room)
	if err != nil {
		return nil, err
	}
	k := &kept{File: f}
	s.add(k)
	sum := digest.SHA256.Digester()
	k.size, err = stream.Copy(io.MultiWriter(&counting{spools: s, w: f}, sum.Hash(), noting(moved)), r)
	k.digest = sum.Digest()
	return k, err
}

// noting calls a function for each piece that is written.
type noting func()

// Write implements io.Writer.
func (n noting) Write(p []byte) (int, error) {
	n()
	return len(p), nil
}

// counting counts what is in temporary files.
type counting struct {
	spools *spools
	w      io.Writer
}

// Write implements io.Writer.
func (c *counting) Write(p []byte) (int, error) {
	if err := c.spools.take(int64(len(p))); err != nil {
		return 0, err
	}
	return c.w.Write(p)
}

// take counts bytes that are about to be written, and refuses what is too much.
func (s *spools) take(n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size += n; s.size > maxStream {
		return fmt.Errorf("contents whose size nobody states are %w: more than %d bytes together; leave some of them where they are, or have them published by value",
			ocm.ErrTooLarge, int64(maxStream))
	}
	return nil
}

// piped returns what a function writes. The function has ended when the reader is
// closed, and with it its use of what it reads from.
func piped(ctx context.Context, write func(ctx context.Context, w io.Writer) error) io.ReadCloser {
	ctx, cancel := context.WithCancel(ctx)
	r, w := io.Pipe()
	p := &pipe{PipeReader: r, cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		w.CloseWithError(write(ctx, w))
	}()
	return p
}

type pipe struct {
	*io.PipeReader

	cancel func()
	ended  chan struct{}
}

// Close implements io.Closer.
func (p *pipe) Close() error {
	p.cancel()
	err := p.PipeReader.Close()
	<-p.ended
	return err
}
