package remote

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/ocm-operator/ocm-operator/snapshot"
)

const (
	// digestHeader is where a registry states the digest of what it gives. It may be left out.
	digestHeader = "Docker-Content-Digest"
	// errorBytes bounds how much of the answer to a failed request is read.
	errorBytes = 8 << 10
)

// Repository is one repository of the registry. It is safe for concurrent use.
type Repository struct {
	store *Store
	ref   registry.Reference

	mu sync.Mutex
	// committed are blobs that the registry has had since this was made.
	committed map[digest.Digest]bool
}

var _ snapshot.Repository = (*Repository)(nil)

// where names the repository in messages.
func (r *Repository) where() string { return r.ref.Registry + "/" + r.ref.Repository }

// request is one that reads, or deletes.
type request struct {
	method, class, ref string
	// accept and span are headers; empty are left out.
	accept, span string
	action       string
}

// send sends a request and turns every answer but the good ones into an error.
func (r *Repository) send(ctx context.Context, q request) (*http.Response, error) {
	client, err := r.store.remote(ctx, r.ref)
	if err != nil {
		return nil, err
	}
	if q.action == "" {
		q.action = auth.ActionPull
	}
	ctx = auth.AppendRepositoryScope(ctx, r.ref, q.action)
	url := fmt.Sprintf("%s://%s/v2/%s/%s/%s", r.store.scheme(), r.ref.Host(), r.ref.Repository, q.class, q.ref)
	req, err := http.NewRequestWithContext(ctx, q.method, url, nil) //nolint:gocritic // with http.NoBody the client doesn't retry
	if err != nil {
		return nil, err
	}
	// Transparent compression would change the bytes that the digest is over.
	req.Header.Set("Accept-Encoding", "identity")
	if q.accept != "" {
		req.Header.Set("Accept", q.accept)
	}
	if q.span != "" {
		req.Header.Set("Range", q.span)
	}
	resp, err := client.Client.Do(req)
	if err != nil {
		return nil, err
	}
	if slices.Contains([]int{http.StatusOK, http.StatusAccepted, http.StatusNoContent, http.StatusPartialContent}, resp.StatusCode) {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, readAnswer(resp)
}

// readAnswer reads what a registry says of a request that failed.
func readAnswer(resp *http.Response) *answerError {
	answer := &answerError{status: resp.StatusCode}
	var body struct {
		Errors errcode.Errors `json:"errors"`
	}
	if data, err := io.ReadAll(io.LimitReader(resp.Body, errorBytes)); err == nil && json.Unmarshal(data, &body) == nil {
		answer.codes = body.Errors
	}
	return answer
}

// isPage reports whether an answer is a page for people, which registries give only as the content of a blob that they name.
func isPage(resp *http.Response, want digest.Digest) bool {
	mediaType := mediaTypeOf(resp)
	return (mediaType == "text/html" || mediaType == "application/xhtml+xml") && resp.Header.Get(digestHeader) != want.String()
}

func mediaTypeOf(resp *http.Response) string {
	mediaType, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(mediaType))
}

func (r *Repository) noteCommitted(d digest.Digest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.committed) < maxDamaged {
		r.committed[d] = true
	}
}

func (r *Repository) wasCommitted(d digest.Digest) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.committed[d]
}
