package gitsync

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/git/message"
	"github.com/ocm-operator/ocm-operator/git/pack"
	"github.com/ocm-operator/ocm-operator/git/tree"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/snapshot"
	"github.com/ocm-operator/ocm-operator/snapshot/archive"
)

// build streams the content of the snapshot into the pack, and returns its tree. The snapshot is the one that the status of its writer
// names, to the last byte: what turns out to be something else at its end is not pushed, as nothing was pushed by then.
func (c *controller) build(ctx context.Context, r *run, w *pack.Writer) (tree.Built, message.Data, error) {
	content, err := c.openContent(ctx, r)
	if err != nil {
		return tree.Built{}, message.Data{}, err
	}
	defer content.Close()
	built, err := c.unpack(ctx, w, content)
	if err != nil {
		// What the content is at fault for may be no more than that it isn't what was asked for.
		if _, damage := io.Copy(io.Discard, content); damage != nil {
			err = damage
		}
		return tree.Built{}, message.Data{}, contentVerdict(err)
	}
	return built, r.data(content.Annotations), nil
}

func (c *controller) openContent(ctx context.Context, r *run) (*snapshot.Content, error) {
	stored, err := c.store.Repository(snapshot.RepositoryName(r.content.Ref.Namespace, r.content.SnapshotName))
	if err != nil {
		return nil, err
	}
	content, err := snapshot.Open(ctx, stored, digest.Digest(r.content.ManifestDigest))
	if _, damaged := errors.AsType[*snapshot.DigestMismatchError](err); damaged || errors.Is(err, snapshot.ErrNotFound) {
		return nil, lifecycle.Wait(v1alpha1.ContentMissingReason, 0, fmt.Errorf("content of %s is gone or damaged, and is being written again: %w", r.content.Ref, err))
	}
	if err != nil {
		return nil, lifecycle.Retry(v1alpha1.SourceRefNotReadyReason, fmt.Errorf("open the content of %s: %w", r.content.Ref, err))
	}
	if want := r.content.LayerDigest; want != "" && want != content.LayerDigest.String() {
		content.Close()
		return nil, lifecycle.Wait(v1alpha1.SourceRefNotReadyReason, 0, fmt.Errorf("%s says that its content is %s, and its snapshot names %s; waiting until both say the same",
			r.content.Ref, want, content.LayerDigest))
	}
	return content, nil
}

// unpack writes the files of an archive, or a single file. The content is read to its end whatever is behind an archive in it, since its
// digest is known only then.
func (c *controller) unpack(ctx context.Context, w *pack.Writer, content *snapshot.Content) (tree.Built, error) {
	archived, all, err := archive.Sniff(content)
	if err != nil {
		return tree.Built{}, err
	}
	if !archived {
		return tree.Single(ctx, w, fileName(content), content.Size, all, c.limits)
	}
	plain, err := unzip(all)
	if err != nil {
		return tree.Built{}, err
	}
	built, err := tree.Build(ctx, w, plain, c.limits)
	if err != nil {
		return tree.Built{}, err
	}
	_, err = io.Copy(io.Discard, all)
	return built, err
}

// unzip decompresses a stream if it is compressed.
func unzip(src io.Reader) (io.Reader, error) {
	buffered := bufio.NewReaderSize(src, 64<<10)
	magic, err := buffered.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(magic) < 2 || magic[0] != 0x1f || magic[1] != 0x8b {
		return buffered, nil
	}
	return gzip.NewReader(buffered)
}

// extensions are what programs know files by that they read from a folder.
var extensions = []struct{ mediaType, extension string }{{"yaml", ".yaml"}, {"json", ".json"}}

// fileName is the name of content that is a single file: that of its resource, with an extension by which others know what it is.
func fileName(content *snapshot.Content) string {
	name := content.Annotations[snapshot.AnnotationResource]
	if name == "" {
		name = "content"
	}
	name = strings.ReplaceAll(name, "/", "-")
	if path.Ext(name) != "" {
		return name
	}
	for _, known := range extensions {
		if strings.HasSuffix(content.MediaType, known.mediaType) {
			return name + known.extension
		}
	}
	return name
}

// data is what messages know of the content.
func (r *run) data(annotations map[string]string) message.Data {
	d := message.Data{
		Component: annotations[snapshot.AnnotationComponent], Version: r.content.Version,
		Resource: annotations[snapshot.AnnotationResource], ResourceVersion: annotations[snapshot.AnnotationResourceVersion],
		Digest: r.content.ManifestDigest, Verified: len(r.content.Origins) > 0, SubPath: r.subPath,
		Namespace: r.obj.Namespace, Name: r.obj.Name, Branch: r.obj.TargetBranch(), Base: r.obj.BaseBranch(),
	}
	for _, o := range r.content.Origins {
		d.Origins = append(d.Origins, message.Origin{Namespace: o.Namespace, Name: o.Name, Version: o.Version, Verified: o.Verified})
		d.Verified = d.Verified && o.Verified
	}
	return d
}
