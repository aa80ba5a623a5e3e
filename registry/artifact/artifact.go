// Package artifact serves single blobs of the registry's store over plain HTTP, to clients that speak no registry protocol.
//
// Only a path that Handler.Path has made leads anywhere. It carries the digest of the blob, by which the client checks what
// it gets, and a seal that nobody can make without the key. So nothing has to be stored about what is published, every
// replica with the key serves the same, and who doesn't know a path learns nothing.
package artifact

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/registry/internal/journal"
	"github.com/ocm-operator/ocm-operator/registry/internal/pace"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

const (
	// minKey is the shortest key: what the hash can use.
	minKey = 32
	// sealed separates the seal from whatever else the key is used for.
	sealed = "ocm-registry-artifact\x00"
	// extension is what every blob is called; those that are published are compressed archives.
	extension = ".tar.gz"
	// maxPath bounds what is looked at before it is known to be ours.
	maxPath = 1024
	// operation is what requests are called in metrics and the log.
	operation = "artifact"
	// patience is how long a client may take over some of the answer.
	patience = time.Minute
)

// encoding is strict: one seal has one spelling.
var encoding = base64.RawURLEncoding.Strict()

// Handler serves blobs.
type Handler struct {
	store *store.Store
	keys  atomic.Pointer[[][]byte]
	log   *slog.Logger
	ask   Asker
	meter Meter
	// complaints bounds what the log has of what goes wrong.
	complaints journal.Complaints
}

// NewHandler returns a handler that seals paths with a key of at least 32 random bytes. A nil log is silent.
func NewHandler(content *store.Store, key []byte, log *slog.Logger) (*Handler, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	h := &Handler{store: content, log: log, meter: nobody{}}
	return h, h.SetKeys(key)
}

// SetKeys replaces the keys. The first one seals paths; those that any of them has sealed lead somewhere.
func (h *Handler) SetKeys(keys ...[]byte) error {
	if len(keys) == 0 {
		return errors.New("the artifact server needs a key")
	}
	all := make([][]byte, len(keys))
	for i, key := range keys {
		if len(key) < minKey {
			return fmt.Errorf("key %d of the artifact server has %d bytes; it needs %d or more", i+1, len(key), minKey)
		}
		all[i] = append([]byte(nil), key...)
	}
	h.keys.Store(&all)
	return nil
}

// Path returns where a blob of a repository is served, without the slash before it.
func (h *Handler) Path(repository string, blob digest.Digest) string {
	return repository + "/" + encoding.EncodeToString(seal((*h.keys.Load())[0], repository, blob)) + "/" + blob.Algorithm().String() + "-" + blob.Encoded() + extension
}

func seal(key []byte, repository string, blob digest.Digest) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(sealed + repository + "\x00" + blob.String()))
	return mac.Sum(nil)
}

// parse returns what a path is for. It fails for every path that Path has not made.
func (h *Handler) parse(path string) (string, digest.Digest, bool) {
	path, rooted := strings.CutPrefix(path, "/")
	if !rooted || len(path) > maxPath {
		return "", "", false
	}
	rest, file := cutLast(path)
	repository, encoded := cutLast(rest)
	name, ok := strings.CutSuffix(file, extension)
	if !ok {
		return "", "", false
	}
	algorithm, hex, _ := strings.Cut(name, "-")
	blob := digest.Digest(algorithm + ":" + hex)
	given, err := encoding.DecodeString(encoded)
	if err != nil || blob.Validate() != nil || !h.sealed(given, repository, blob) {
		return "", "", false
	}
	return repository, blob, true
}

func (h *Handler) sealed(given []byte, repository string, blob digest.Digest) bool {
	for _, key := range *h.keys.Load() {
		if hmac.Equal(given, seal(key, repository, blob)) {
			return true
		}
	}
	return false
}

func cutLast(path string) (before, after string) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+1:]
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin, end := time.Now(), h.meter.Begin()
	x, r := pace.Begin(w, r, patience)
	var repository string
	var blob digest.Digest
	defer func() {
		took := time.Since(begin)
		end(operation, r.Method, x.Status(), x.Received(), x.Sent(), took)
		// The path has the seal in it, which opens it to everybody.
		journal.Request{Message: "artifact request", Operation: operation, Repository: repository, Reference: blob.String()}.Log(h.log, r, x, took)
	}()
	defer x.End()
	repository, blob = h.answer(x, r)
}

// answer returns what was asked for, as far as that is known.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request) (string, digest.Digest) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "artifacts are read only", http.StatusMethodNotAllowed)
		return "", ""
	}
	repository, blob, ok := h.parse(r.URL.Path)
	if !ok {
		http.NotFound(w, r)
		return "", ""
	}
	if err := h.serve(w, r, repository, blob); err != nil {
		if omitted, due := h.complaints.Due(time.Now()); due {
			h.log.Error("artifact was not served", "repository", repository, "digest", blob.String(), "error", err.Error(), "notLogged", omitted)
		}
		http.Error(w, "the artifact can't be read", http.StatusInternalServerError)
	}
	return repository, blob
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, repository string, blob digest.Digest) error {
	if h.ask != nil && h.ask(w, r, repository, blob) {
		return nil
	}
	repo, err := h.store.Repository(repository)
	if err != nil {
		return err
	}
	// Flux fetches an artifact at every interval, also one that nothing names any more because what points to it is held back.
	// So whoever asks for it counts on it.
	_, err = repo.StatBlob(r.Context(), blob)
	if errors.Is(err, store.ErrNotFound) {
		http.NotFound(w, r)
		return nil
	}
	if err != nil {
		return err
	}
	content, _, err := repo.OpenBlob(r.Context(), blob)
	if errors.Is(err, store.ErrNotFound) {
		http.NotFound(w, r)
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	header := w.Header()
	header.Set("Content-Type", "application/gzip")
	header.Set("ETag", `"`+blob.String()+`"`)
	http.ServeContent(w, r, "", time.Time{}, content)
	return nil
}
