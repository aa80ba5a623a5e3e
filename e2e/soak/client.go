package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
)

// requestTimeout is longer than the slowest disk.
const requestTimeout = time.Minute

// errBroken says that no answer came, as when the registry was killed.
var errBroken = errors.New("no answer")

// errFull says that there is no room.
var errFull = errors.New("no room")

// wrongError is an answer that the registry must not give.
type wrongError struct {
	what string
	// status is that of the answer, where there is no other reason.
	status int
	// corrupt says that other bytes were served than were pushed, for which there is no excuse.
	corrupt bool
}

// Error implements error.
func (e *wrongError) Error() string { return e.what }

func wrong(format string, args ...any) error { return &wrongError{what: fmt.Sprintf(format, args...)} }

func corrupt(format string, args ...any) error {
	return &wrongError{what: fmt.Sprintf(format, args...), corrupt: true}
}

// client talks to the registry.
type client struct {
	http           *http.Client
	base           string
	user, password string
}

// answer is a reply that was read to its end.
type answer struct {
	status   int
	location string
	body     []byte
}

// explained tells whether the damage of a blob explains an answer: it is told once, and then the blob is not there.
func explained(got answer, err error) bool {
	if failed := new(wrongError); errors.As(err, &failed) {
		return failed.status == http.StatusInternalServerError
	}
	return err == nil && got.status == http.StatusNotFound
}

// do sends a request. The error is errBroken when there was no answer, or only a part of it.
func (c *client) do(ctx context.Context, method, path string, body []byte, mediaType string, header ...string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	at, err := url.Parse(c.base)
	if err != nil {
		return answer{}, err
	}
	if at, err = at.Parse(path); err != nil {
		return answer{}, err
	}
	r, err := http.NewRequestWithContext(ctx, method, at.String(), bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	r.SetBasicAuth(c.user, c.password)
	if mediaType != "" {
		r.Header.Set("Content-Type", mediaType)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", errBroken, err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", errBroken, err)
	}
	if resp.StatusCode == http.StatusInsufficientStorage {
		return answer{}, errFull
	}
	if resp.StatusCode >= http.StatusInternalServerError && resp.StatusCode != http.StatusServiceUnavailable {
		return answer{}, &wrongError{what: fmt.Sprintf("%s %s: %s: %s", method, path, resp.Status, content), status: resp.StatusCode}
	}
	if resp.StatusCode == http.StatusServiceUnavailable {
		return answer{}, fmt.Errorf("%w: %s", errBroken, resp.Status)
	}
	return answer{resp.StatusCode, resp.Header.Get("Location"), content}, nil
}

// push pushes an artifact as clients do: what the registry says it has is not sent. It returns true when the registry has
// acknowledged all of it.
func (c *client) push(ctx context.Context, a *artifact, how int) (bool, error) {
	for d, content := range a.blobs {
		if done, err := c.pushBlob(ctx, a, d, content, how); !done || err != nil {
			return false, err
		}
	}
	for i, m := range a.manifests {
		ref := m.digest.String()
		if i == a.main {
			ref = a.tag + "?digest=" + ref
		}
		got, err := c.do(ctx, http.MethodPut, "/v2/"+a.repository+"/manifests/"+ref, m.body, m.mediaType)
		if err != nil {
			return false, err
		}
		if got.status == http.StatusBadRequest && bytes.Contains(got.body, []byte("MANIFEST_BLOB_UNKNOWN")) {
			// The registry was killed after it took the blobs, or the push took longer than a lease. They are pushed again.
			return false, nil
		}
		if got.status != http.StatusCreated {
			return false, wrong("push of %s %s: %d %s", a.repository, m.digest, got.status, got.body)
		}
	}
	return true, nil
}

func (c *client) pushBlob(ctx context.Context, a *artifact, d digest.Digest, content []byte, how int) (bool, error) {
	head, err := c.do(ctx, http.MethodHead, "/v2/"+a.repository+"/blobs/"+d.String(), nil, "")
	if d == a.hurt && explained(head, err) {
		head, err = answer{status: http.StatusNotFound}, nil
	}
	if err != nil || head.status == http.StatusOK {
		return err == nil, err
	}
	uploads := "/v2/" + a.repository + "/blobs/uploads/"
	if how%3 == 0 {
		got, err := c.do(ctx, http.MethodPost, uploads+"?digest="+d.String(), content, "")
		return created(got, err, "push of "+d.String())
	}
	got, err := c.do(ctx, http.MethodPost, uploads+"?from=shared/pool&mount="+d.String(), nil, "")
	if err != nil || got.status == http.StatusCreated {
		return err == nil, err
	}
	rest := content
	for how%3 == 1 && len(rest) > len(content)/2 {
		part := rest[:len(rest)/2+1]
		if got, err = c.do(ctx, http.MethodPatch, got.location, part, ""); err != nil || got.status != http.StatusAccepted {
			return false, lost(got, err)
		}
		rest = rest[len(part):]
	}
	end, err := c.do(ctx, http.MethodPut, got.location+"?digest="+d.String(), rest, "")
	if err == nil && end.status == http.StatusNotFound {
		return false, nil
	}
	return created(end, err, "end of the upload of "+d.String())
}

// lost is for an upload that is unknown since the registry was killed.
func lost(got answer, err error) error {
	if err != nil || got.status == http.StatusNotFound {
		return err
	}
	return wrong("upload: %d %s", got.status, got.body)
}

func created(got answer, err error, what string) (bool, error) {
	if err != nil {
		return false, err
	}
	if got.status != http.StatusCreated {
		return false, wrong("%s: %d %s", what, got.status, got.body)
	}
	return true, nil
}

// remove deletes an artifact, each manifest before what it names or refers to. True says that it is gone.
func (c *client) remove(ctx context.Context, a *artifact) (bool, error) {
	for _, m := range slices.Backward(a.manifests) {
		got, err := c.do(ctx, http.MethodDelete, "/v2/"+a.repository+"/manifests/"+m.digest.String(), nil, "")
		if err != nil {
			return false, err
		}
		if got.status != http.StatusAccepted && got.status != http.StatusNotFound {
			return false, wrong("deletion of %s: %d %s", m.digest, got.status, got.body)
		}
	}
	return true, nil
}
