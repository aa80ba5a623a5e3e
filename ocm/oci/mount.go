package oci

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// Mount lets the registry take a blob from another of its repositories. It
// returns false if the registry wants an upload instead, and if the other
// repository is at another host, or another credential is used there, as nothing
// is told to one what was given for the other.
func (r *Repository) Mount(ctx context.Context, desc ocispec.Descriptor, from Location) (bool, error) {
	if !r.mountable(from) {
		return false, nil
	}
	mounted, begun, err := r.mount(ctx, desc, from)
	if err != nil {
		return false, at(Target, r.explain(fmt.Sprintf("mount blob %s from %s to %s", desc.Digest, from, r.location), err))
	}
	r.abandon(ctx, begun)
	return mounted, nil
}

// mountable reports whether blobs of another repository may be mounted.
func (r *Repository) mountable(from Location) bool {
	return from.PlainHTTP == r.location.PlainHTTP && strings.EqualFold(from.Host, r.location.Host) &&
		from.Path != r.location.Path && CheckPath(from.Path) == nil && r.credentialAt(from) == r.credential
}

// mount asks for a blob of another repository. The registry may begin an upload
// instead.
func (r *Repository) mount(ctx context.Context, desc ocispec.Descriptor, from Location) (bool, *session, error) {
	ctx = r.scoped(ctx, auth.ActionPull, auth.ActionPush)
	ctx = auth.AppendRepositoryScope(ctx, registry.Reference{Registry: from.Host, Repository: from.Path}, auth.ActionPull)
	resp, err := r.post(ctx, url.Values{"mount": {desc.Digest.String()}, "from": {from.Path}})
	refused, ok := errors.AsType[*errcode.ErrorResponse](err)
	switch {
	case ok && (refused.StatusCode == http.StatusUnauthorized || refused.StatusCode == http.StatusForbidden):
		// Who gives the tokens gives none for two repositories, or not for this other one.
		return false, nil, nil
	case err != nil:
		return false, nil, err
	case resp.StatusCode == http.StatusCreated:
		resp.Body.Close()
		return true, nil, stated(resp, desc.Digest)
	case resp.StatusCode == http.StatusAccepted:
		begun, err := r.session(resp)
		return false, begun, err
	case resp.StatusCode >= http.StatusInternalServerError, resp.StatusCode == http.StatusTooManyRequests:
		return false, nil, answer(resp)
	}
	// Not allowed, not known or not supported: an upload tells what is wrong with that.
	resp.Body.Close()
	return false, nil, nil
}
