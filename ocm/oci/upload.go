package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"syscall"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

const (
	// askFirst is the size from which on the registry is asked whether it wants
	// the content before it is sent: one that is full or read-only says so then,
	// instead of closing the connection in between.
	askFirst = 8 << 20
	// abandonTime bounds how long it is tried to end an upload that failed.
	abandonTime = 3 * time.Second
)

// session is an upload that a registry has begun.
type session struct {
	url           string
	authorization string
}

// opener opens the content of a blob.
type opener func(ctx context.Context) (io.ReadCloser, error)

// contents are two ways to open the content of a blob.
type contents struct {
	// hashed is for a reader that compares size and digest.
	hashed opener
	// sized is for a reader that compares nothing but the size. It is nil if the
	// digest cannot be left to the target.
	sized opener
}

// PushBlob uploads a blob unless it is there already. The content is opened
// again when the registry asks to try later.
func (r *Repository) PushBlob(ctx context.Context, desc ocispec.Descriptor, open func() (io.ReadCloser, error)) error {
	object := r.pushing(desc)
	has, err := r.has(ctx, object, desc)
	if err != nil || has {
		return at(Target, err)
	}
	return r.upload(ctx, desc, nil, nil, contents{hashed: func(context.Context) (io.ReadCloser, error) {
		content, err := open()
		if err != nil {
			return nil, err
		}
		verified, err := Verify(content, object, desc.Size, desc.Digest)
		if err != nil {
			return nil, errors.Join(err, content.Close())
		}
		return verified, nil
	}})
}

// pushing names what is done, for messages.
func (r *Repository) pushing(desc ocispec.Descriptor) string {
	return fmt.Sprintf("push blob %s to %s", desc.Digest, r.location)
}

// upload sends a blob, in the given upload if there is one, and once more if that
// may help. Its errors have a side.
func (r *Repository) upload(ctx context.Context, desc ocispec.Descriptor, begun *session, report func(int64), content contents) error {
	object := r.pushing(desc)
	open := content.hashed
	left := content.sized != nil && r.compares(ctx)
	if left {
		open = content.sized
	}
	for attempt := 0; ; attempt++ {
		err := r.uploadOnce(ctx, desc, begun, report, open)
		if err == nil {
			return nil
		}
		begun = nil
		if left && wrongContent(err) {
			// Once more, to see on which side it went wrong.
			left, open = false, content.hashed
			continue
		}
		wait, again := uploadAgain(ctx, attempt, err)
		if !again {
			return err
		}
		if sleep(ctx, wait) != nil {
			return fmt.Errorf("%s: %w", object, context.Cause(ctx))
		}
		// It may be there although the answer was lost.
		if has, err := r.has(ctx, object, desc); err == nil && has {
			return nil
		}
	}
}

// wrongContent reports whether a target may have refused content because it is not
// what its digest promises.
func wrongContent(err error) bool {
	_, mismatch := errors.AsType[*DigestMismatchError](err)
	return SideOf(err) == Target && (mismatch || answered(err, http.StatusBadRequest, http.StatusUnprocessableEntity))
}

// uploadAgain reports whether, and when, to try again after an error.
func uploadAgain(ctx context.Context, attempt int, err error) (time.Duration, bool) {
	if attempt >= maxRetries || ctx.Err() != nil {
		return 0, false
	}
	if refusal, ok := errors.AsType[*refusal](err); ok {
		// An upload may be unknown to the server that got the content, and a token too old by then.
		lost := refusal.StatusCode == http.StatusNotFound || refusal.StatusCode == http.StatusUnauthorized
		resp := &http.Response{StatusCode: refusal.StatusCode}
		switch wait, ok := retryAfter(refusal.after, time.Now()); {
		case refusal.Method != http.MethodPut: // other requests were tried again when they were sent
			return 0, false
		case errors.Is(err, ErrFull), !lost && !retryable(resp, nil), ok && wait > longestWait:
			return 0, false
		case ok:
			return wait, true
		}
		return backoff(attempt), true
	}
	return backoff(attempt), broken(err)
}

// broken reports whether a connection ended that was there before.
func broken(err error) bool {
	var timeout net.Error
	var op *net.OpError
	return errors.As(err, &timeout) && timeout.Timeout() ||
		errors.As(err, &op) && op.Op != "dial" ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errClosed)
}

// errClosed marks the error about a connection that was closed instead of an
// answer: io.EOF itself would be taken for the end of content.
var errClosed = errors.New("connection closed")

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// uploadOnce sends a blob in one request.
func (r *Repository) uploadOnce(ctx context.Context, desc ocispec.Descriptor, begun *session, report func(int64), open opener) error {
	attempt, flow := newFlow(ctx, r.patience, report)
	flow.times = r.times
	failed, err := r.sendBlob(attempt, flow, desc, begun, open)
	reason := flow.failure()
	flow.stop(nil)
	closed := flow.Close()
	if err == nil {
		return at(Source, closed)
	}
	var looked error
	if ctx.Err() == nil && flow.undecided(failed) {
		var arrived bool
		if arrived, looked = r.arrives(ctx, desc, flow, failed); arrived {
			return at(Source, closed)
		}
	}
	flow.report(-flow.passed())
	late, silent := errors.AsType[*lateError](reason)
	switch {
	case ctx.Err() != nil: // either side may have said so
		return fmt.Errorf("%s: %w", r.pushing(desc), context.Cause(ctx))
	case silent:
		return r.late(desc, late, looked)
	case reason != nil:
		return reason
	}
	return at(Target, err)
}

// sendBlob returns what was wrong with the request that sent the content, if it came
// to that, and explains what is wrong.
func (r *Repository) sendBlob(ctx context.Context, f *flow, desc ocispec.Descriptor, begun *session, open opener) (failed, err error) {
	object := r.pushing(desc)
	content, err := open(ctx)
	if err != nil {
		r.abandon(ctx, begun)
		return nil, at(Source, err)
	}
	f.over(content, desc.Size)
	if begun == nil {
		if begun, err = r.begin(ctx); err != nil {
			return nil, r.explain(object, err)
		}
	}
	// A transport closes what it has sent, and the flow still watches what comes then.
	failed = r.put(ctx, begun, desc, struct{ io.Reader }{f})
	switch refusal, ok := errors.AsType[*refusal](failed); {
	case failed == nil:
		return nil, nil
	case f.undecided(failed):
		// The registry may be storing it, so the upload is left alone.
		return failed, r.explain(object+", all of which was sent", failed)
	case ok && isDigestInvalid(refusal.ErrorResponse):
		err = &DigestMismatchError{Object: object, Want: desc.Digest.String(), Got: "other content, says the registry"}
	default:
		err = r.explain(object, failed)
	}
	r.abandon(ctx, begun)
	return failed, err
}

// isDigestInvalid reports whether a registry compared the digest and found it
// wrong.
func isDigestInvalid(response *errcode.ErrorResponse) bool {
	return response != nil && slices.ContainsFunc(response.Errors, func(e errcode.Error) bool { return e.Code == errcode.ErrorCodeDigestInvalid })
}

// begin begins an upload.
func (r *Repository) begin(ctx context.Context) (*session, error) {
	resp, err := r.post(r.scoped(ctx, auth.ActionPull, auth.ActionPush), nil)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusAccepted {
		return nil, answer(resp)
	}
	return r.session(resp)
}

// post asks for an upload.
func (r *Repository) post(ctx context.Context, query url.Values) (*http.Response, error) {
	address := r.url("blobs", "uploads") + "/"
	if query != nil {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, nil) //nolint:gocritic // with http.NoBody the client of oras doesn't retry
	if err != nil {
		return nil, err
	}
	return r.client.Do(req)
}

// session reads the answer to a request for an upload.
func (r *Repository) session(resp *http.Response) (*session, error) {
	defer resp.Body.Close()
	address, err := r.own(resp, resp.Header.Get("Location"))
	if err != nil {
		return nil, err
	}
	return &session{url: address, authorization: resp.Request.Header.Get("Authorization")}, nil
}

// request makes a request of an upload.
func (s *session) request(ctx context.Context, method string, query string, body io.Reader) (*http.Request, error) {
	address, err := url.Parse(s.url)
	if err != nil {
		return nil, err
	}
	if query != "" {
		if address.RawQuery != "" {
			query = address.RawQuery + "&" + query
		}
		address.RawQuery = query
	}
	req, err := http.NewRequestWithContext(ctx, method, address.String(), body)
	if err != nil {
		return nil, err
	}
	if s.authorization != "" {
		req.Header.Set("Authorization", s.authorization)
	}
	return req, nil
}

// put sends the content and ends the upload.
func (r *Repository) put(ctx context.Context, s *session, desc ocispec.Descriptor, content io.Reader) error {
	if desc.Size == 0 {
		if err := readEnd(content); err != io.EOF { //nolint:errorlint // only this is the end
			return err
		}
		content = nil
	}
	req, err := s.request(r.scoped(ctx, auth.ActionPull, auth.ActionPush), http.MethodPut, "digest="+url.QueryEscape(desc.Digest.String()), content)
	if err != nil {
		return err
	}
	req.ContentLength = desc.Size
	req.Header.Set("Content-Type", "application/octet-stream")
	if desc.Size >= askFirst {
		req.Header.Set("Expect", "100-continue")
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusCreated {
		return answer(resp)
	}
	resp.Body.Close()
	return stated(resp, desc.Digest)
}

// stated compares the digest that a registry says that it stored.
func stated(resp *http.Response, want digest.Digest) error {
	got, err := digest.Parse(resp.Header.Get(digestHeader))
	if err != nil || got == want || got.Algorithm() != want.Algorithm() {
		return nil //nolint:nilerr // a registry need not say it
	}
	return &DigestMismatchError{Object: "what was stored by " + resp.Request.URL.Host, Want: want.String(), Got: got.String()}
}

// abandon ends an upload that will not be finished, so that the registry need not
// keep what it has of it.
func (r *Repository) abandon(ctx context.Context, s *session) {
	if s == nil {
		return
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), abandonTime)
	defer stop()
	req, err := s.request(r.scoped(ctx, auth.ActionPull, auth.ActionPush), http.MethodDelete, "", nil)
	if err != nil {
		return
	}
	if resp, err := r.client.Do(req); err == nil {
		resp.Body.Close()
	}
}
