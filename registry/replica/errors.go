package replica

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// Codes of the distribution specification.
const (
	codeBlobUnknown     = "BLOB_UNKNOWN"
	codeManifestUnknown = "MANIFEST_UNKNOWN"
	codeUnknown         = "UNKNOWN"
)

// retryAfter is how many seconds a client is asked to wait when nobody leads. Clients have patience of their own; this is
// about how long it takes until somebody does.
const retryAfter = "2"

// Errors of what goes on between replicas. They are matched with errors.Is.
var (
	// ErrNoLeader says that it isn't known who leads. It passes.
	ErrNoLeader = errors.New("no replica is known to lead")
	// ErrMissing says that the leader has been asked and has no such content.
	ErrMissing = errors.New("the leader does not have it")
	// ErrNoRoom says that this replica can't keep what the leader has.
	ErrNoRoom = errors.New("content of the leader can't be kept")
	// ErrBusy says that too many requests wait for the leader.
	ErrBusy = errors.New("too many requests wait for content of the leader")
	// ErrClosed says that the replica was closed.
	ErrClosed = errors.New("the replica is closed")

	// errLeading says that this replica leads, and has nobody to ask.
	errLeading = errors.New("this replica leads")
)

// PeerError says that the leader has answered something that is no content, or that somebody else has answered.
type PeerError struct {
	// Address is where the leader was asked.
	Address string
	// Status is what it answered.
	Status int
	// Stranger is set when the answer was not that of a replica that leads.
	Stranger bool
}

// Error implements error.
func (e *PeerError) Error() string {
	if e.Stranger {
		return fmt.Sprintf("%s answers %d, and is not the replica that leads", e.Address, e.Status)
	}
	return fmt.Sprintf("the leader at %s answers %d", e.Address, e.Status)
}

// storeError says that content was fetched, or could have been, and that this replica can't keep it.
type storeError struct{ err error }

func (e *storeError) Error() string { return "store content of the leader: " + e.err.Error() }

// Unwrap returns why.
func (e *storeError) Unwrap() error { return e.err }

// Is lets others know one by ErrNoRoom.
func (*storeError) Is(target error) bool { return target == ErrNoRoom }

// unavailable asks the client to come again.
func unavailable(w http.ResponseWriter, message string) {
	w.Header().Set("Retry-After", retryAfter)
	writeError(w, http.StatusServiceUnavailable, codeUnknown, message)
}

// writeError answers in the form of the distribution specification.
func writeError(w http.ResponseWriter, status int, code, message string) {
	type item struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	body, err := json.Marshal(map[string][]item{"errors": {{code, message}}})
	if err != nil {
		body = []byte("{}") // strings always encode
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
