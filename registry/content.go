package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

const octetStream = "application/octet-stream"

// maxTags bounds the tags that one manifest is pushed with.
const maxTags = 100

func (h *Handler) getBlob(w http.ResponseWriter, r *http.Request, c call) error {
	blob, _, err := c.repo.OpenBlob(r.Context(), digest.Digest(c.ref))
	if err != nil {
		return err
	}
	defer blob.Close()
	setContent(w, octetStream, digest.Digest(c.ref))
	serveContent(w, r, blob)
	return nil
}

func (h *Handler) headBlob(w http.ResponseWriter, r *http.Request, c call) error {
	size, err := c.repo.StatBlob(r.Context(), digest.Digest(c.ref))
	if err != nil {
		return err
	}
	setContent(w, octetStream, digest.Digest(c.ref))
	// Nothing of the content is read for it.
	serveContent(w, r, io.NewSectionReader(bytes.NewReader(nil), 0, size))
	return nil
}

// setContent sets the headers of what is named by a digest, and so never changes. A cache on the way
// may keep it for the one client only: others need a credential.
func setContent(w http.ResponseWriter, mediaType string, d digest.Digest) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Docker-Content-Digest", d.String())
	w.Header().Set("Etag", `"`+d.String()+`"`)
	w.Header().Set("Cache-Control", "private, no-cache")
}

func (h *Handler) deleteBlob(w http.ResponseWriter, r *http.Request, c call) error {
	if err := c.repo.DeleteBlob(r.Context(), digest.Digest(c.ref)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

func (h *Handler) getManifest(w http.ResponseWriter, r *http.Request, c call) error {
	desc, content, err := h.manifest(r.Context(), c.repo, c.ref)
	if err != nil {
		return unknownReference(err)
	}
	setContent(w, desc.MediaType, desc.Digest)
	serveContent(w, r, content)
	return nil
}

// unknownReference answers a reference that can't exist like one that does not.
func unknownReference(err error) error {
	if _, invalid := errors.AsType[*store.NameError](err); invalid {
		return &apiError{status: http.StatusNotFound, code: codeManifestUnknown, message: err.Error()}
	}
	return err
}

func (h *Handler) deleteManifest(w http.ResponseWriter, r *http.Request, c call) error {
	var err error
	if d, invalid := store.ParseDigest(c.ref); invalid == nil {
		err = c.repo.DeleteManifest(r.Context(), d)
	} else {
		err = c.repo.DeleteTag(r.Context(), c.ref)
	}
	if err != nil {
		return unknownReference(err)
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

func (h *Handler) putManifest(w http.ResponseWriter, r *http.Request, c call) error {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return badRequest(codeManifestInvalid, "Content-Type has to be the media type of the manifest")
	}
	if r.ContentLength > store.MaxManifestBytes {
		return &http.MaxBytesError{Limit: store.MaxManifestBytes}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, store.MaxManifestBytes))
	if err != nil {
		return readError(err)
	}
	want, tags, err := reference(r, c.ref, body)
	if err != nil {
		return err
	}
	desc, err := c.repo.PutManifestAs(r.Context(), want, mediaType, body, tags...)
	if err != nil {
		return err
	}
	if subject := subjectOf(body); subject != "" {
		w.Header().Set("OCI-Subject", subject.String())
	}
	for _, tag := range r.URL.Query()["tag"] {
		w.Header().Add("OCI-Tag", tag)
	}
	setCreated(w, "/v2/"+c.name+"/manifests/"+desc.Digest.String(), desc)
	return nil
}

// reference reads under which digest and tags a manifest is pushed. A path with a tag may have
// the digest as a parameter, and one with a digest any tags.
func reference(r *http.Request, ref string, body []byte) (digest.Digest, []string, error) {
	query := r.URL.Query()
	tags := query["tag"]
	if len(tags) > maxTags {
		return "", nil, badRequest(codeManifestInvalid, "%d tags are more than %d", len(tags), maxTags)
	}
	if d, err := store.ParseDigest(ref); err == nil {
		return d, tags, nil
	}
	if strings.Contains(ref, ":") {
		return "", nil, badRequest(codeDigestInvalid, "the reference is not a sha256 or sha512 digest in lower-case hexadecimal")
	}
	if !store.ValidTag(ref) {
		return "", nil, badRequest(codeManifestInvalid, "the reference is not a valid tag")
	}
	if want := query.Get("digest"); want != "" {
		d, err := store.ParseDigest(want)
		return d, append(tags, ref), err
	}
	return digest.FromBytes(body), append(tags, ref), nil
}

func subjectOf(body []byte) digest.Digest {
	var m struct {
		Subject *ocispec.Descriptor `json:"subject"`
	}
	// The store has parsed it before; what it refuses does not come here.
	if json.Unmarshal(body, &m) != nil || m.Subject == nil {
		return ""
	}
	return m.Subject.Digest
}

func setCreated(w http.ResponseWriter, location string, desc ocispec.Descriptor) {
	w.Header().Set("Location", location)
	w.Header().Set("Docker-Content-Digest", desc.Digest.String())
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusCreated)
}

// readError tells the client's troubles from ours.
func readError(err error) error {
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return err
	}
	if _, told := errors.AsType[*apiError](err); told {
		return err
	}
	return badRequest(codeSizeInvalid, "the body ended early: %v", err)
}
