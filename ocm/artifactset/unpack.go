package artifactset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm/internal/blobtar"
	"github.com/ocm-operator/ocm-operator/ocm/internal/scratch"
	"github.com/ocm-operator/ocm-operator/ocm/internal/stream"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// UnpackOptions configure unpacking.
type UnpackOptions struct {
	// Limits bound what is accepted.
	Limits Limits
	// TempDir is where the archive is kept while it is used, the default directory
	// of the system if empty.
	TempDir string
	// Room, if set, bounds what it takes there together with others.
	Room Room
}

// Room bounds what temporary files take together.
type Room interface {
	// Take takes so many bytes more, or says why there is no room for them.
	Take(bytes int64) error
	// Give gives bytes back.
	Give(bytes int64)
}

// Unpacked is an archive whose manifests and blobs can be read in any order. It is
// a repository to copy from; nothing can be stored in it. It is safe for concurrent
// use and must be closed.
type Unpacked struct {
	// Main is the manifest of the main artifact. Its digest is that of its bytes.
	Main *oci.Manifest

	tags   []string
	limits Limits
	spool  *spool
}

var _ oci.Storage = (*Unpacked)(nil)

// Unpack reads an artifact set or an OCI image layout, compressed or not, in one
// pass into a temporary file that has no name. All of the archive was compared
// with its digest then, if its reader does that; its blobs are when they are read.
func Unpack(ctx context.Context, open Opener, o UnpackOptions) (*Unpacked, error) {
	s, err := newSpool(o.TempDir, o.Room)
	if err != nil {
		return nil, err
	}
	u := &Unpacked{limits: o.Limits.withDefaults(), spool: s}
	if err := u.read(ctx, open); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return u, nil
}

// read keeps the blobs of the archive, and finds its main artifact.
func (u *Unpacked) read(ctx context.Context, open Opener) (err error) {
	p, err := newPass(ctx, open, u.limits)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.raw.Close()) }()
	index, raw, err := p.keepAll(ctx, u.spool)
	if err != nil {
		return err
	}
	if raw == nil {
		return errNoIndex()
	}
	main, err := parseIndex(index, raw)
	if err != nil {
		return err
	}
	if u.Main, err = u.manifest(main.Digest, main.MediaType); err != nil {
		return err
	}
	u.tags = tagsOf(main)
	return nil
}

// keepAll appends all blobs of an archive to the spool, and returns its index with
// what is in it, which is nil if there is none.
func (p *pass) keepAll(ctx context.Context, s *spool) (index blobtar.Entry, content []byte, err error) {
	for {
		e, err := p.next()
		if errors.Is(err, io.EOF) {
			return index, content, nil
		}
		if err != nil {
			return index, nil, err
		}
		d, isBlob := e.Digest()
		switch {
		case isIndex(e):
			index = e
			content, err = p.readSmall(e)
		case isBlob:
			err = p.keep(ctx, s, d)
		}
		if err != nil {
			return index, nil, err
		}
	}
}

// tagsOf returns the tags that an archive says that its artifact has.
func tagsOf(main ocispec.Descriptor) []string {
	all := strings.Split(main.Annotations[annotationTags], ",")
	if _, tag, ok := strings.Cut(main.Annotations[ocispec.AnnotationRefName], ":"); ok {
		all = append(all, tag) // some write the whole reference
	} else {
		all = append(all, main.Annotations[ocispec.AnnotationRefName])
	}
	var tags []string
	for _, tag := range all {
		if tag = strings.TrimSpace(tag); oci.CheckTag(tag) == nil && !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	return tags
}

// String implements fmt.Stringer.
func (u *Unpacked) String() string { return "the archive" }

// Location implements oci.Storage. It is empty.
func (u *Unpacked) Location() oci.Location { return oci.Location{} }

// Tags implements oci.Storage. They are those of the main artifact.
func (u *Unpacked) Tags(context.Context) ([]string, error) { return slices.Clone(u.tags), nil }

// Resolve implements oci.Storage.
func (u *Unpacked) Resolve(_ context.Context, tag string) (digest.Digest, error) {
	if !slices.Contains(u.tags, tag) {
		return "", fmt.Errorf("tag %q is %w in the archive", tag, oci.ErrNotFound)
	}
	return u.Main.Digest, nil
}

// Manifest implements oci.Storage.
func (u *Unpacked) Manifest(ctx context.Context, ref string) (*oci.Manifest, error) {
	d, err := digest.Parse(ref)
	if err != nil {
		if d, err = u.Resolve(ctx, ref); err != nil {
			return nil, err
		}
	}
	if u.Main != nil && d == u.Main.Digest {
		m := *u.Main
		return &m, nil
	}
	return u.manifest(d, "")
}

// manifest reads a manifest, whose type is a hint.
func (u *Unpacked) manifest(d digest.Digest, mediaType string) (*oci.Manifest, error) {
	object := fmt.Sprintf("manifest %s of the archive", d)
	e, err := u.spool.find(d)
	if err != nil {
		return nil, err
	}
	if e.size > u.limits.ManifestBytes {
		return nil, fmt.Errorf("%s is %w: %d bytes, at most %d are read", object, oci.ErrTooLarge, e.size, u.limits.ManifestBytes)
	}
	rc, err := oci.Verify(io.NopCloser(u.spool.reader(e)), object, e.size, d)
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(rc)
	if err != nil {
		return nil, err
	}
	m, err := oci.NewManifest(raw, mediaType)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", object, err)
	}
	m.Digest = d
	return m, nil
}

// Blob implements oci.Storage.
func (u *Unpacked) Blob(ctx context.Context, d digest.Digest, size int64, also ...digest.Digest) (io.ReadCloser, int64, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	object := fmt.Sprintf("blob %s of the archive", d)
	e, err := u.spool.find(d)
	if err != nil {
		return nil, 0, err
	}
	if size >= 0 && e.size != size {
		return nil, 0, &oci.DigestMismatchError{Object: object, Want: fmt.Sprintf("%d bytes", size), Got: fmt.Sprintf("%d bytes", e.size)}
	}
	rc, err := oci.Verify(io.NopCloser(u.spool.reader(e)), object, e.size, append([]digest.Digest{d}, also...)...)
	return rc, e.size, err
}

// Has implements oci.Storage.
func (u *Unpacked) Has(_ context.Context, desc ocispec.Descriptor) (bool, error) {
	e, err := u.spool.find(desc.Digest)
	return err == nil && (desc.Size < 0 || e.size == desc.Size), nil
}

// HasManifest implements oci.Storage.
func (u *Unpacked) HasManifest(ctx context.Context, d digest.Digest) (bool, error) {
	return u.Has(ctx, ocispec.Descriptor{Digest: d, Size: -1})
}

// PushBlob implements oci.Storage. It stores nothing.
func (u *Unpacked) PushBlob(context.Context, ocispec.Descriptor, func() (io.ReadCloser, error)) error {
	return errStored
}

// PushManifest implements oci.Storage. It stores nothing.
func (u *Unpacked) PushManifest(context.Context, string, []byte, string) (digest.Digest, error) {
	return "", errStored
}

var errStored = fmt.Errorf("an archive that is unpacked is %w", oci.ErrReadOnly)

// Close removes what was unpacked.
func (u *Unpacked) Close() error { return u.spool.Close() }

// extent is where a blob is.
type extent struct{ offset, size int64 }

// spool is a temporary file with blobs.
type spool struct {
	*scratch.File

	size  int64
	blobs map[digest.Digest]extent
}

func newSpool(dir string, room Room) (*spool, error) {
	f, err := scratch.Create(dir, "ocm-artifact-", room)
	if err != nil {
		return nil, err
	}
	return &spool{File: f, blobs: map[digest.Digest]extent{}}, nil
}

func (s *spool) find(d digest.Digest) (extent, error) {
	e, ok := s.blobs[d]
	if !ok {
		return extent{}, fmt.Errorf("blob %s is %w in the archive", d, oci.ErrNotFound)
	}
	return e, nil
}

func (s *spool) reader(e extent) io.Reader { return io.NewSectionReader(s.File, e.offset, e.size) }

// keep appends the current entry to the spool.
func (p *pass) keep(ctx context.Context, s *spool, d digest.Digest) error {
	if _, twice := s.blobs[d]; twice {
		return nil // either is compared with its digest when it is read
	}
	n, err := stream.Copy(s, stream.Interruptible(ctx, p.tar))
	switch {
	case err == nil:
	case oci.SideOf(err) == oci.Here, ctx.Err() != nil:
		return err // the rest of the archive does not matter
	default:
		return p.malformed(err)
	}
	s.blobs[d] = extent{offset: s.size, size: n}
	s.size += n
	return nil
}
