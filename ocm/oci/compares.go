package oci

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

const (
	// leaveFrom is the size from which on it is left to a target to compare content
	// with its digest. Hashing takes as long as all the rest of a copy.
	leaveFrom = 1 << 20
	// verdictAge is how long it is remembered of a host whether it does that: it
	// may be another registry by then.
	verdictAge = time.Hour
	// maxVerdicts bounds the hosts that are known.
	maxVerdicts = 256
	// proofTime bounds how long a host may take to show it.
	proofTime = 10 * time.Second
	// proofBytes is what is sent for that.
	proofBytes = 32
)

// verdicts say which hosts have proven that they compare what they are sent with
// its digest. They are safe for concurrent use.
type verdicts struct {
	now func() time.Time

	mu    sync.Mutex
	known map[string]*verdict // by the URL of the host
}

// verdict is what is known of a host.
type verdict struct {
	// done is closed when the host was asked, and compares says what came of it.
	done     chan struct{}
	compares bool
	// until is when to ask again. It is zero while the host is asked.
	until time.Time
}

func newVerdicts() *verdicts { return &verdicts{now: time.Now, known: map[string]*verdict{}} }

// of returns what is known of a host. The first who wants to know asks, and the
// others wait for the answer.
func (v *verdicts) of(ctx context.Context, host string, ask func(context.Context) bool) bool {
	known, first := v.enter(host)
	if first {
		compares := false
		defer func() { v.leave(host, known, compares, ctx.Err() == nil) }()
		compares = ask(ctx)
		return compares
	}
	select {
	case <-known.done:
		return known.compares
	case <-ctx.Done():
		return false
	}
}

// enter returns the verdict on a host, and whether the caller has to ask.
func (v *verdicts) enter(host string) (*verdict, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.now()
	if known := v.known[host]; known != nil && (known.until.IsZero() || now.Before(known.until)) {
		return known, false
	}
	if len(v.known) >= maxVerdicts {
		for name, old := range v.known {
			if !old.until.IsZero() {
				delete(v.known, name)
			}
		}
	}
	known := &verdict{done: make(chan struct{})}
	v.known[host] = known
	return known, true
}

// leave notes what came of asking, for others than those who wait only if it was
// not given up.
func (v *verdicts) leave(host string, known *verdict, compares, keep bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	known.compares, known.until = compares, v.now().Add(verdictAge)
	if !keep {
		delete(v.known, host)
	}
	close(known.done)
}

// compares reports whether the registry has proven that it refuses content that is
// not what its digest promises.
func (r *Repository) compares(ctx context.Context) bool {
	return r.verdicts.of(ctx, r.seen(), r.prove)
}

// seen names the host as it is seen with this connection: whose proxy it is may
// make it seem to refuse what it would take.
func (r *Repository) seen() string {
	return ConnectionWith(r.connection, r.credential) + " " + r.location.base()
}

// prove sends a few bytes with a digest that is not theirs, and reports whether
// they are refused because of that. Anything else proves nothing. The digest is one
// of bytes that nobody has ever seen, so that nobody takes it for something else
// where it is stored nevertheless.
func (r *Repository) prove(ctx context.Context) bool {
	ctx, stop := context.WithTimeout(ctx, proofTime)
	defer stop()
	begun, err := r.begin(ctx)
	if err != nil {
		return false
	}
	sent, unseen := make([]byte, proofBytes), make([]byte, proofBytes)
	_, _ = rand.Read(sent) // it never fails
	_, _ = rand.Read(unseen)
	desc := ocispec.Descriptor{Digest: digest.FromBytes(unseen), Size: proofBytes}
	// A reader of an unknown kind is sent once.
	err = r.put(ctx, begun, desc, struct{ io.Reader }{bytes.NewReader(sent)})
	refused, ok := errors.AsType[*refusal](err)
	_, renamed := errors.AsType[*DigestMismatchError](err)
	switch {
	case ok && refused.StatusCode >= http.StatusBadRequest:
		r.abandon(ctx, begun)
		return refused.StatusCode < http.StatusInternalServerError && blamesDigest(refused.ErrorResponse)
	case renamed: // stored with the digest that it has
		r.discard(ctx, digest.FromBytes(sent))
	case err == nil:
		r.discard(ctx, desc.Digest)
	default:
		r.abandon(ctx, begun)
	}
	return false
}

// blamesDigest reports whether a registry says that something is refused because
// of its digest. Other reasons to refuse say nothing about that.
func blamesDigest(response *errcode.ErrorResponse) bool {
	for _, e := range response.Errors {
		if strings.Contains(strings.ToLower(e.Code+" "+e.Message), "digest") {
			return true
		}
	}
	return false
}

// discard deletes a blob that is of no use. A registry that cannot do that has it
// without a reference, and collects it.
func (r *Repository) discard(ctx context.Context, d digest.Digest) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), abandonTime)
	defer stop()
	ctx = r.scoped(ctx, auth.ActionPull, auth.ActionPush, auth.ActionDelete)
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, r.url("blobs", d.String()), nil) //nolint:gocritic // with http.NoBody the client of oras doesn't retry
	if err != nil {
		return
	}
	if resp, err := r.client.Do(req); err == nil {
		resp.Body.Close()
	}
}
