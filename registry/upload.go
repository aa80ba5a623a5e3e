package registry

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

// sessions are the uploads that go over several requests. They live as long as the process:
// what a restart ends, the client begins again.
type sessions struct {
	most int
	idle time.Duration

	mu  sync.Mutex
	all map[string]*session
}

// session is one upload. Its lock is held by the request that is writing.
type session struct {
	id, name string
	timer    *time.Timer

	mu    sync.Mutex
	stage *store.Stage
}

func newSessions(most int, idle time.Duration) *sessions {
	return &sessions{most: most, idle: idle, all: map[string]*session{}}
}

func (s *sessions) add(name string, stage *store.Stage) (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) >= s.most {
		return nil, &apiError{status: http.StatusTooManyRequests, code: codeTooMany, message: fmt.Sprintf("%d uploads are open; try again later", s.most)}
	}
	up := &session{id: rand.Text(), name: name, stage: stage}
	up.timer = time.AfterFunc(s.idle, func() { s.expire(up) })
	s.all[up.id] = up
	return up, nil
}

// expire drops an upload that nobody is busy with.
func (s *sessions) expire(up *session) {
	if !up.mu.TryLock() {
		up.timer.Reset(s.idle)
		return
	}
	defer up.mu.Unlock()
	s.remove(up)
}

// remove needs the session's lock.
func (s *sessions) remove(up *session) {
	s.mu.Lock()
	delete(s.all, up.id)
	s.mu.Unlock()
	up.timer.Stop()
	// An upload that is dropped has nothing to tell; what it leaves is removed at the next start.
	_ = up.stage.Close()
}

// close drops every upload, and waits for those that a request is writing to.
func (s *sessions) close() {
	s.mu.Lock()
	all := slices.Collect(maps.Values(s.all))
	s.mu.Unlock()
	for _, up := range all {
		up.mu.Lock()
		s.remove(up)
		up.mu.Unlock()
	}
}

// take returns an upload for one request alone. A session belongs to the repository that it was
// begun in.
func (s *sessions) take(name, id string) (*session, error) {
	s.mu.Lock()
	up := s.all[id]
	s.mu.Unlock()
	unknown := &apiError{status: http.StatusNotFound, code: codeUploadUnknown, message: "this upload is not known; begin a new one"}
	if up == nil || up.name != name {
		return nil, unknown
	}
	if !up.mu.TryLock() {
		return nil, &apiError{status: http.StatusConflict, code: codeUploadInvalid, message: "another request is writing to this upload"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all[id] != up {
		up.mu.Unlock()
		return nil, unknown
	}
	up.timer.Reset(s.idle)
	return up, nil
}

// locate tells where an upload goes on. The range ends with the last byte, and is 0-0 when there is none.
func (up *session) locate(w http.ResponseWriter) {
	w.Header().Set("Location", "/v2/"+up.name+"/blobs/uploads/"+up.id)
	w.Header().Set("Docker-Upload-UUID", up.id)
	w.Header().Set("Range", "0-"+strconv.FormatInt(max(0, up.stage.Size()-1), 10))
}

func (h *Handler) beginUpload(w http.ResponseWriter, r *http.Request, c call) error {
	query := r.URL.Query()
	if mount := query.Get("mount"); mount != "" {
		mounted, err := h.mount(w, r, c, digest.Digest(mount), query.Get("from"))
		if err != nil || mounted {
			return err
		}
	}
	want := query.Get("digest")
	if want != "" {
		if _, err := store.ParseDigest(want); err != nil {
			return err
		}
	}
	stage, err := c.repo.Stage(r.Context())
	if err != nil {
		return err
	}
	if want != "" {
		defer func() { _ = stage.Close() }()
		return h.finish(w, r, c, stage, want)
	}
	up, err := h.uploads.add(c.name, stage)
	if err != nil {
		return errors.Join(err, stage.Close())
	}
	up.locate(w)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// mount links a blob of another repository, if the client may read it there. Where not, an
// ordinary upload begins, and tells nothing of what the other repository has.
func (h *Handler) mount(w http.ResponseWriter, r *http.Request, c call, d digest.Digest, from string) (bool, error) {
	if _, err := store.ParseDigest(d.String()); err != nil {
		return false, err
	}
	if !store.ValidName(from) || !h.mayPull(r, from) {
		return false, nil
	}
	source, err := h.store.Repository(from)
	if err != nil {
		return false, err
	}
	desc, err := c.repo.MountBlob(r.Context(), source, d)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	setCreated(w, "/v2/"+c.name+"/blobs/"+desc.Digest.String(), desc)
	return true, nil
}

func (h *Handler) mayPull(r *http.Request, repository string) bool {
	return h.authorize(r, auth.Request{Repository: repository, Action: auth.Pull, Aside: true}) == nil
}

func (h *Handler) uploadStatus(w http.ResponseWriter, _ *http.Request, c call) error {
	up, err := h.uploads.take(c.name, c.ref)
	if err != nil {
		return err
	}
	defer up.mu.Unlock()
	up.locate(w)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Handler) cancelUpload(w http.ResponseWriter, _ *http.Request, c call) error {
	up, err := h.uploads.take(c.name, c.ref)
	if err != nil {
		return err
	}
	defer up.mu.Unlock()
	h.uploads.remove(up)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Handler) patchUpload(w http.ResponseWriter, r *http.Request, c call) error {
	up, err := h.uploads.take(c.name, c.ref)
	if err != nil {
		return err
	}
	defer up.mu.Unlock()
	if err := holdToRange(r, up.stage.Size()); err != nil {
		up.locate(w)
		return err
	}
	if err := h.receive(w, r, up.stage); err != nil {
		h.giveUp(up, err)
		return err
	}
	up.locate(w)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusAccepted)
	return nil
}

func (h *Handler) putUpload(w http.ResponseWriter, r *http.Request, c call) error {
	up, err := h.uploads.take(c.name, c.ref)
	if err != nil {
		return err
	}
	defer up.mu.Unlock()
	want := r.URL.Query().Get("digest")
	if _, err := store.ParseDigest(want); err != nil {
		return err
	}
	if err := holdToRange(r, up.stage.Size()); err != nil {
		up.locate(w)
		return err
	}
	if err := h.receive(w, r, up.stage); err != nil {
		h.giveUp(up, err)
		return err
	}
	defer h.uploads.remove(up)
	return h.commit(w, r, c, up.stage, want)
}

// giveUp drops an upload that can't go on, so that what it has written makes room. One whose client went away can.
func (h *Handler) giveUp(up *session, err error) {
	if broken, ok := errors.AsType[*apiError](err); ok && broken.code == codeSizeInvalid && broken.status == http.StatusBadRequest {
		return
	}
	h.uploads.remove(up)
}

// holdToRange holds a chunk to its place and its length. A request without a range goes on where the last
// one ended.
func holdToRange(r *http.Request, offset int64) error {
	header := r.Header.Get("Content-Range")
	if header == "" {
		return nil
	}
	first, last, err := parseRange(header)
	if err != nil {
		return err
	}
	if first != offset {
		message := fmt.Sprintf("the chunk begins at %d, and the upload goes on at %d", first, offset)
		return &apiError{status: http.StatusRequestedRangeNotSatisfiable, code: codeUploadInvalid, message: message}
	}
	if r.ContentLength >= 0 && r.ContentLength != last-first+1 {
		return badRequest(codeSizeInvalid, "Content-Range says %d bytes and Content-Length %d", last-first+1, r.ContentLength)
	}
	r.Body = &rangeReader{ReadCloser: r.Body, left: last - first + 1}
	return nil
}

// rangeReader ends a body that has another length than its range. What belongs to the range is kept: the
// client can ask where to go on.
type rangeReader struct {
	io.ReadCloser
	left int64
}

// Read implements io.Reader.
func (r *rangeReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		if n, err := io.ReadFull(r.ReadCloser, make([]byte, 1)); n == 0 {
			return 0, err
		}
		return 0, badRequest(codeSizeInvalid, "the body is longer than its Content-Range")
	}
	n, err := r.ReadCloser.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	if r.left > 0 && errors.Is(err, io.EOF) {
		err = badRequest(codeSizeInvalid, "the body is %d bytes shorter than its Content-Range", r.left)
	}
	return n, err
}

func parseRange(header string) (int64, int64, error) {
	from, to, found := strings.Cut(strings.TrimPrefix(header, "bytes "), "-")
	to, _, _ = strings.Cut(to, "/")
	first, err1 := strconv.ParseUint(from, 10, 62)
	last, err2 := strconv.ParseUint(to, 10, 62)
	if !found || err1 != nil || err2 != nil || last+1 < first {
		message := "Content-Range has to be <first>-<last>"
		return 0, 0, &apiError{status: http.StatusRequestedRangeNotSatisfiable, code: codeUploadInvalid, message: message}
	}
	return int64(first), int64(last), nil
}

// bodyBuffer is how much of a body is read, hashed and written at once: more of what has arrived with one call of the
// system than io.Copy takes, and little enough to stay in the processor's cache.
const bodyBuffer = 128 << 10

func newBuffer() any {
	buffer := make([]byte, bodyBuffer)
	return &buffer
}

// receive appends a body to an upload. What came before the client went away stays, so that it
// can ask how much that was and go on.
func (h *Handler) receive(w http.ResponseWriter, r *http.Request, stage *store.Stage) error {
	if err := h.expect(r, stage); err != nil {
		return err
	}
	body := r.Body
	if most := h.options.MaxBlobBytes; most > 0 {
		body = http.MaxBytesReader(w, body, max(0, most-stage.Size()))
	}
	source := &clientReader{r: body}
	buffer, _ := h.buffers.Get().(*[]byte)
	defer h.buffers.Put(buffer)
	_, err := io.CopyBuffer(stage, source, *buffer)
	if err != nil && source.err != nil {
		return readError(source.err)
	}
	return err
}

// expect refuses a body that is known to be too much before any of it is sent.
func (h *Handler) expect(r *http.Request, stage *store.Stage) error {
	if most := h.options.MaxBlobBytes; most > 0 && r.ContentLength > most-stage.Size() {
		return &http.MaxBytesError{Limit: most}
	}
	return stage.Expect(r.ContentLength)
}

// clientReader remembers that an error of a copy was the client's.
type clientReader struct {
	r   io.Reader
	err error
}

func (c *clientReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}

func (h *Handler) finish(w http.ResponseWriter, r *http.Request, c call, stage *store.Stage, want string) error {
	if err := h.receive(w, r, stage); err != nil {
		return err
	}
	return h.commit(w, r, c, stage, want)
}

func (h *Handler) commit(w http.ResponseWriter, r *http.Request, c call, stage *store.Stage, want string) error {
	desc, err := stage.Commit(r.Context(), digest.Digest(want))
	if err != nil {
		return err
	}
	setCreated(w, "/v2/"+c.name+"/blobs/"+desc.Digest.String(), desc)
	return nil
}
