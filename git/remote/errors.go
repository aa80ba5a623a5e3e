package remote

import (
	"errors"
	"fmt"
	"net/http"
)

var (
	// ErrUnauthorized says that the server does not accept the credentials, or wants some.
	ErrUnauthorized = errors.New("the server does not accept the credentials; check the Secret of the repository")
	// ErrForbidden says that the credentials are known and do not allow this.
	ErrForbidden = errors.New("the credentials do not allow this; check what they may do with the repository")
	// ErrNotFound says that there is no such repository, or none that the credentials may see.
	ErrNotFound = errors.New("the repository does not exist, or the credentials do not allow to see it; check its url and the Secret")
	// ErrMoved says that the branch is not where the update says it is. Nothing was changed; the caller looks again.
	ErrMoved = errors.New("the branch was changed by somebody else meanwhile")
	// ErrHostKey says that the server of SSH has no key that is known. Nothing was sent to it.
	ErrHostKey = errors.New("the key of the host is not the one in known_hosts")
	// ErrNoSuchCommit says that the server does not give the commit that was asked for, because a branch has moved.
	ErrNoSuchCommit = errors.New("the server does not give this commit; its branch may have moved")
	// ErrNoSuchObject says that a store does not have an object.
	ErrNoSuchObject = errors.New("no such object")
	// ErrInterrupted says that a push ended before the server said what became of it. It may have happened; the caller
	// looks again.
	ErrInterrupted = errors.New("the connection ended before the server said what became of the push")
	// ErrProtocol says that what a server sent is not what a git server sends.
	ErrProtocol = errors.New("this is not an answer of a git server; check the url")
	// ErrUnsupported says that the repository, or its server, is of a kind that cannot be used.
	ErrUnsupported = errors.New("this kind of repository is not supported")

	// errGateway is an answer of something before the server, or of a server in trouble, which may have got the request.
	errGateway = errors.New("the server is in trouble")
)

// RejectedError is a push that the server refused by its own rules.
type RejectedError struct {
	// Branch is the short name of the branch.
	Branch string
	// Message is what the server said, bounded and printable.
	Message string
	// Protected is true if a rule about the branch refused it, and not a problem of the server.
	Protected bool
}

// Error implements error.
func (e *RejectedError) Error() string {
	if e.Protected {
		return fmt.Sprintf("the server refuses pushes to branch %s: %s; allow them, or choose another branch", e.Branch, e.Message)
	}
	return fmt.Sprintf("the server refuses the push to branch %s: %s", e.Branch, e.Message)
}

// TooLargeError is content of a server that is larger than allowed.
type TooLargeError struct {
	// What is larger: the repository, the list of its refs, or an object.
	What string
	// Limit is the number of bytes, of refs, or of objects that is allowed.
	Limit int64
}

// Error implements error.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("%s: more than the %d that are allowed", e.What, e.Limit)
}

// RedirectError is a redirect that was not followed, since it leads to another host or away from TLS. Nothing was sent
// there.
type RedirectError struct {
	// From and To are scheme and host of both ends.
	From, To string
}

// Error implements error.
func (e *RedirectError) Error() string {
	return fmt.Sprintf("%s redirects to %s, where credentials are not sent to; set the url of the repository to its new address if it has moved", e.From, e.To)
}

// StatusError is an answer of an HTTP server that says that it failed.
type StatusError struct {
	// Code is the status of the answer.
	Code int
	// Message is what the server said, bounded and printable. It may be empty.
	Message string
}

// Error implements error.
func (e *StatusError) Error() string {
	text := fmt.Sprintf("the server answers with status %d", e.Code)
	if means := e.means(); means != nil {
		text += ": " + means.Error()
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// means is what a known status stands for.
func (e *StatusError) means() error {
	switch e.Code {
	case http.StatusUnauthorized:
		return ErrUnauthorized
	case http.StatusForbidden:
		return ErrForbidden
	case http.StatusNotFound, http.StatusGone:
		return ErrNotFound
	}
	return nil
}

// Is makes the errors of known statuses match their sentinels.
func (e *StatusError) Is(target error) bool {
	return target == e.means() && target != nil || target == errGateway && e.Code >= http.StatusInternalServerError
}
