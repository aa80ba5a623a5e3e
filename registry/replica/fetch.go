package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

const (
	// attempts is how often the leader is asked for the same: it may end, or be another one, in the middle of an answer.
	attempts = 3
	// pause is the time before another attempt.
	pause = 100 * time.Millisecond
)

// fetch brings a blob into the local store. All who want the same wait for one transfer, which ends by itself when they
// don't wait any more.
func (r *Replica) fetch(ctx context.Context, repository string, d digest.Digest) error {
	defer r.waiting.Add(-1)
	if r.waiting.Add(1) > maxWaiting {
		return ErrBusy
	}
	result := r.flights.DoChan(repository+"@"+d.String(), func() (any, error) { //nolint:contextcheck // it ends with the replica, not with who came first
		end, ok := r.begin()
		if !ok {
			return nil, ErrClosed
		}
		defer end()
		ctx, cancel := context.WithTimeout(r.ctx, r.options.FetchTime)
		defer cancel()
		if err := r.slots.Acquire(ctx, 1); err != nil {
			return nil, err
		}
		defer r.slots.Release(1)
		return nil, r.persist(ctx, func() error { return r.fetchOnce(ctx, repository, d) })
	})
	select {
	case got := <-result:
		return got.Err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// persist tries something again that the leader may have spoiled.
func (r *Replica) persist(ctx context.Context, try func() error) error {
	for attempt := 1; ; attempt++ {
		err := try()
		_, full := errors.AsType[*storeError](err)
		if err == nil || full || attempt == attempts || errors.Is(err, ErrMissing) || errors.Is(err, ErrNoLeader) || errors.Is(err, errLeading) {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return errors.Join(err, context.Cause(ctx))
		}
	}
}

func (r *Replica) fetchOnce(ctx context.Context, repository string, d digest.Digest) error {
	n, err := r.copyBlob(ctx, repository, d)
	r.metrics.asked(opBlob, err, n)
	return err
}

func (r *Replica) copyBlob(ctx context.Context, repository string, d digest.Digest) (n int64, err error) {
	repo, err := r.options.Store.Repository(repository)
	if err != nil {
		return 0, err
	}
	response, err := r.get(ctx, opBlob, repository, d, nil)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return 0, &PeerError{Address: response.Request.URL.Host, Status: response.StatusCode}
	}
	stage, err := repo.Stage(ctx)
	if err != nil {
		return 0, &storeError{err}
	}
	defer func() { err = errors.Join(err, stage.Close()) }()
	// Without a look, a replica without room would fetch nearly all of it again and again.
	if err := stage.Expect(response.ContentLength); err != nil {
		return 0, &storeError{err}
	}
	source := &watchedReader{Reader: response.Body}
	if n, err = io.Copy(stage, source); err != nil {
		if source.err == nil {
			err = &storeError{err}
		}
		return n, fmt.Errorf("fetch %s from the leader: %w", d, err)
	}
	_, err = stage.Commit(ctx, d)
	if _, wrong := errors.AsType[*store.DigestMismatchError](err); err != nil && !wrong {
		err = &storeError{err}
	}
	return n, err
}

// watchedReader remembers that it was the reader that failed.
type watchedReader struct {
	io.Reader
	err error
}

// Read implements io.Reader.
func (w *watchedReader) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
	}
	return n, err
}

// document is a manifest that the leader has, and that has the digest that was asked for.
type document struct {
	mediaType string
	body      []byte
}

// fetchManifest reads a manifest from the leader.
func (r *Replica) fetchManifest(ctx context.Context, repository string, d digest.Digest) (*document, error) {
	var found *document
	err := r.persist(ctx, func() (err error) {
		found, err = r.readManifest(ctx, repository, d)
		n := 0
		if found != nil {
			n = len(found.body)
		}
		r.metrics.asked(opManifest, err, int64(n))
		return err
	})
	return found, err
}

func (r *Replica) readManifest(ctx context.Context, repository string, d digest.Digest) (*document, error) {
	response, err := r.get(ctx, opManifest, repository, d, nil)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, &PeerError{Address: response.Request.URL.Host, Status: response.StatusCode}
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, store.MaxManifestBytes+1))
	if err != nil {
		return nil, fmt.Errorf("fetch manifest %s from the leader: %w", d, err)
	}
	if got := d.Algorithm().FromBytes(body); got != d {
		return nil, fmt.Errorf("fetch manifest from the leader: %w", &store.DigestMismatchError{Want: d, Got: got})
	}
	mediaType, _, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if err != nil {
		return nil, fmt.Errorf("fetch manifest %s from the leader: media type: %w", d, err)
	}
	return &document{mediaType: mediaType, body: body}, nil
}

// manifest answers with a manifest of the leader. It can't be stored before what it names, which Mirror sees to.
func (r *Replica) manifest(w http.ResponseWriter, req *http.Request, repository string, d digest.Digest) bool {
	found, err := r.wanted(req.Context(), repository, d)
	if err != nil {
		return r.answer(w, req, err, codeManifestUnknown, repository, d)
	}
	header := w.Header()
	header.Set("Content-Type", found.mediaType)
	header.Set("Docker-Content-Digest", d.String())
	header.Set("Etag", `"`+d.String()+`"`)
	header.Set("Cache-Control", "private, no-cache")
	http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(found.body))
	return true
}

// wanted bounds how many manifests are held in memory, and how long one waits for its turn.
func (r *Replica) wanted(ctx context.Context, repository string, d digest.Digest) (*document, error) {
	defer r.waiting.Add(-1)
	if r.waiting.Add(1) > maxWaiting {
		return nil, ErrBusy
	}
	turn, cancel := context.WithTimeout(ctx, r.options.Wait)
	defer cancel()
	if err := r.documents.Acquire(turn, 1); err != nil {
		return nil, fmt.Errorf("fetch manifest %s from the leader: %w", d, errors.Join(ErrBusy, context.Cause(ctx)))
	}
	defer r.documents.Release(1)
	return r.fetchManifest(ctx, repository, d)
}
