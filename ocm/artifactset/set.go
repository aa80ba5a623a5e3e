package artifactset

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm/internal/blobtar"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// annotationMain names the artifact an archive of several is about.
const annotationMain = "software.ocm/main"

// Limits bound what is accepted. A zero field means its default.
type Limits struct {
	// Entries bounds the files and directories, 10,000 by default.
	Entries int
	// Bytes bounds the archive, as it is and unpacked, 16 GiB by default.
	Bytes int64
	// ManifestBytes bounds indexes and manifests, 4 MiB by default.
	ManifestBytes int64
}

func (l Limits) withDefaults() Limits {
	if l.Entries <= 0 {
		l.Entries = 10_000
	}
	if l.Bytes <= 0 {
		l.Bytes = 16 << 30
	}
	if l.ManifestBytes <= 0 {
		l.ManifestBytes = 4 << 20
	}
	return l
}

// Opener opens the archive at its start. It is called once for each pass, and
// must give the same bytes each time: the reader has to fail instead of ending
// if they are not those that were promised.
type Opener func(ctx context.Context) (io.ReadCloser, error)

// Set is an archive whose main artifact is known.
type Set struct {
	// Main is the manifest of the main artifact. Its digest is that of its
	// bytes.
	Main *oci.Manifest

	open   Opener
	limits Limits
	pass   *pass
}

// Read finds the main artifact of an archive. The caller must close the set.
func Read(ctx context.Context, open Opener, l Limits) (*Set, error) {
	s := &Set{open: open, limits: l.withDefaults()}
	if err := s.readMain(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Set) readMain(ctx context.Context) error {
	e, err := s.find(ctx, isIndex)
	if errors.Is(err, errNoEntry) {
		return errNoIndex()
	}
	if err != nil {
		return err
	}
	raw, err := s.pass.readSmall(e)
	if err != nil {
		return err
	}
	main, err := parseIndex(e, raw)
	if err != nil {
		return err
	}
	if e, err = s.find(ctx, isBlob(main.Digest)); err != nil {
		return fmt.Errorf("manifest %s of the archive: %w", main.Digest, err)
	}
	if raw, err = s.pass.readSmall(e); err != nil {
		return err
	}
	if got := main.Digest.Algorithm().FromBytes(raw); got != main.Digest {
		return &oci.DigestMismatchError{Object: "the manifest in the archive", Want: main.Digest.String(), Got: got.String()}
	}
	if s.Main, err = oci.NewManifest(raw, main.MediaType); err != nil {
		return fmt.Errorf("manifest %s of the archive: %w", main.Digest, err)
	}
	s.Main.Digest = main.Digest
	return nil
}

// errNoEntry says that an archive, which is there, lacks something.
var errNoEntry = fmt.Errorf("%w in the archive", oci.ErrNotFound)

func errNoIndex() error {
	return fmt.Errorf("archive has neither %s nor %s: it holds no OCI artifact", indexFile, descriptorFile)
}

// parseIndex returns the artifact that an archive with this index is about.
func parseIndex(e blobtar.Entry, raw []byte) (ocispec.Descriptor, error) {
	var index ocispec.Index
	if err := json.Unmarshal(raw, &index); err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("%s of the archive: %w", e.Name, err)
	}
	main, err := mainOf(&index)
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("%s of the archive: %w", e.Name, err)
	}
	return main, nil
}

// mainOf returns the artifact an archive is about.
func mainOf(index *ocispec.Index) (ocispec.Descriptor, error) {
	want := digest.Digest(index.Annotations[annotationMain])
	if want == "" && len(index.Manifests) != 1 {
		return ocispec.Descriptor{}, fmt.Errorf("it lists %d artifacts and no annotation %s says which of them it is about", len(index.Manifests), annotationMain)
	}
	for _, m := range index.Manifests {
		if want != "" && m.Digest != want {
			continue
		}
		if err := m.Digest.Validate(); err != nil {
			return ocispec.Descriptor{}, fmt.Errorf("digest %q: %w", m.Digest, err)
		}
		return m, nil
	}
	return ocispec.Descriptor{}, fmt.Errorf("it does not list %q, which its annotation %s names", want, annotationMain)
}

func isBlob(want digest.Digest) func(blobtar.Entry) bool {
	return func(e blobtar.Entry) bool {
		d, ok := e.Digest()
		return ok && d == want
	}
}

// find goes on to the entry that is wanted, and starts once more from the start
// if it was passed already.
func (s *Set) find(ctx context.Context, want func(blobtar.Entry) bool) (blobtar.Entry, error) {
	for fresh := s.pass == nil; ; fresh = true {
		if s.pass == nil {
			var err error
			if s.pass, err = newPass(ctx, s.open, s.limits); err != nil {
				return blobtar.Entry{}, err
			}
		}
		for {
			e, err := s.pass.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return blobtar.Entry{}, err
			}
			if want(e) {
				return e, nil
			}
		}
		if err := s.Close(); err != nil {
			return blobtar.Entry{}, err
		}
		if fresh {
			return blobtar.Entry{}, errNoEntry
		}
	}
}

// Open opens a blob of the archive and hands the set over to its reader: with
// the reader the set is closed. The reader ends with io.EOF only after the blob
// and the whole archive have been compared with their digests.
func (s *Set) Open(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	if err := desc.Digest.Validate(); err != nil {
		return nil, fmt.Errorf("digest %q: %w", desc.Digest, err)
	}
	e, err := s.find(ctx, isBlob(desc.Digest))
	if err != nil {
		return nil, fmt.Errorf("blob %s: %w", desc.Digest, err)
	}
	object := fmt.Sprintf("blob %s of the archive", desc.Digest)
	if e.Size != desc.Size {
		return nil, &oci.DigestMismatchError{Object: object, Want: fmt.Sprintf("%d bytes", desc.Size), Got: fmt.Sprintf("%d bytes", e.Size)}
	}
	return oci.Verify(&content{set: s}, object, desc.Size, desc.Digest)
}

// Close ends reading. It may be called more than once.
func (s *Set) Close() error {
	if s.pass == nil {
		return nil
	}
	raw := s.pass.raw
	s.pass = nil
	return raw.Close()
}

// content is the blob that was found last.
type content struct {
	set *Set
	err error
}

// Read implements io.Reader.
func (c *content) Read(p []byte) (int, error) {
	if c.err == nil && c.set.pass == nil {
		c.err = fmt.Errorf("archive: %w", fs.ErrClosed)
	}
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.set.pass.tar.Read(p)
	if errors.Is(err, io.EOF) {
		err = c.finish()
	}
	c.err = err
	return n, err
}

// finish reads the rest of the archive.
func (c *content) finish() error {
	for {
		if _, err := c.set.pass.next(); err != nil {
			return err
		}
	}
}

// Close implements io.Closer.
func (c *content) Close() error { return c.set.Close() }
