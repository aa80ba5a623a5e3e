package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"

	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/ocm-operator/ocm-operator/snapshot"
)

// Errors of this package besides snapshot.ErrNotFound, to be matched with errors.Is.
var (
	// ErrUnreachable says that there was no answer from the registry.
	ErrUnreachable = errors.New("unreachable")
	// ErrUnauthorized says that the registry refused the credentials, or that there were none.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrUnsure says that an answer has not the form of a registry's. Something between here and there may have given it, such
	// as a proxy or a page to log in, so it proves nothing and may pass. It never comes with snapshot.ErrNotFound.
	ErrUnsure = errors.New("not an answer of a registry")
	// ErrTooLarge says that a bound on a blob or a manifest was exceeded.
	ErrTooLarge = errors.New("too large")
	// ErrStagingFull says that there is no room for what is on its way to the registry.
	ErrStagingFull = errors.New("temporary space is exhausted")
	// ErrUndeletable says that the registry deletes nothing for its clients.
	ErrUndeletable = errors.New("the snapshot registry does not delete manifests")
)

// maxText bounds how much of the text of a registry is shown.
const maxText = 200

// answerError is an answer that is none of those that were hoped for.
type answerError struct {
	status int
	codes  errcode.Errors
}

// Error tells the status and what the registry said of it.
func (e *answerError) Error() string {
	text := fmt.Sprintf("it answered %d %s", e.status, http.StatusText(e.status))
	for _, code := range e.codes {
		said := strings.Join(strings.Fields(code.Code+" "+code.Message), " ")
		if len(text)+len(said) > maxText {
			break
		}
		text += ", " + said
	}
	return strings.ToValidUTF8(text, "")
}

// asAnswer returns the answer in an error, be it of this package or of the client.
func asAnswer(err error) (*answerError, bool) {
	if answer, ok := errors.AsType[*answerError](err); ok {
		return answer, true
	}
	if response, ok := errors.AsType[*errcode.ErrorResponse](err); ok {
		return &answerError{status: response.StatusCode, codes: response.Errors}, true
	}
	return nil, false
}

// says reports whether it is the registry itself that says that it has not what was asked for: it does so with one of the
// codes of the specification, or the one that some use.
func (e *answerError) says() bool {
	return slices.ContainsFunc(e.codes, func(code errcode.Error) bool {
		return strings.HasSuffix(code.Code, "_UNKNOWN") || strings.HasSuffix(code.Code, "NOT_FOUND")
	})
}

func (e *answerError) has(code string) bool {
	return slices.ContainsFunc(e.codes, func(c errcode.Error) bool { return c.Code == code })
}

// explain turns an error of a read into one that says what it means.
func (r *Repository) explain(object string, err error) error {
	if answer, ok := asAnswer(err); ok && answer.status == http.StatusNotFound {
		if answer.says() {
			return fmt.Errorf("%s: %w", object, snapshot.ErrNotFound)
		}
		return fmt.Errorf("%s at %s: %w: not found, but it is not the registry that says so", object, r.where(), ErrUnsure)
	}
	return r.explainAny(object, err)
}

// explainPush is explain for writes: what is missing there is not the snapshot.
func (r *Repository) explainPush(object string, err error) error {
	answer, ok := asAnswer(err)
	switch {
	case ok && answer.has(errcode.ErrorCodeNameUnknown):
		return fmt.Errorf("%s at %s: %w; let the registry make repositories when something is pushed, or make this one", object, r.where(), answer)
	case ok && (answer.has("TAG_INVALID") || answer.status == http.StatusPreconditionFailed):
		return fmt.Errorf("%s at %s: %w; let the registry overwrite tags: snapshots are pulled by digest, and their tags move", object, r.where(), answer)
	case ok && answer.status == http.StatusInsufficientStorage:
		return fmt.Errorf("%s at %s: %w: %w; give the registry more", object, r.where(), snapshot.ErrStorageFull, answer)
	case ok && answer.status == http.StatusRequestEntityTooLarge:
		return fmt.Errorf("%s at %s: %w; let the registry, and the proxies before it, accept larger requests", object, r.where(), answer)
	}
	return r.explainAny(object, err)
}

func (r *Repository) explainAny(object string, err error) error {
	answer, answered := asAnswer(err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrUnreachable), errors.Is(err, ErrTooLarge), errors.Is(err, ErrUnsure):
		return fmt.Errorf("%s at %s: %w", object, r.where(), err)
	case answered && (answer.status == http.StatusUnauthorized || answer.status == http.StatusForbidden):
		return fmt.Errorf("%s at %s: %w: %w; check the credentials of --snapshot-registry-secret or --snapshot-registry-provider, and what they allow",
			object, r.where(), ErrUnauthorized, answer)
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return fmt.Errorf("%s at %s: %w: it wants a log-in; give it one with --snapshot-registry-secret or --snapshot-registry-provider", object, r.where(), ErrUnauthorized)
	case answered:
		return fmt.Errorf("%s at %s: %w", object, r.where(), answer)
	case errors.Is(err, errdef.ErrSizeExceedsLimit):
		return fmt.Errorf("%s at %s: %w", object, r.where(), ErrTooLarge)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s at %s: %w", object, r.where(), err)
	}
	if advice := unreachable(err); advice != "" {
		return fmt.Errorf("%s at %s: %w: %s", object, r.where(), ErrUnreachable, advice)
	}
	return fmt.Errorf("%s at %s: %w", object, r.where(), cleaned(err))
}

// cleaned returns an error without the address that the request ended at: object storages have signatures in theirs. Nor
// does it look like the end of content.
func cleaned(err error) error {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: it closed the connection", ErrUnreachable)
	}
	return err
}

// unreachable returns what to tell about an error that happened before the registry answered, or nothing if it was another.
func unreachable(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Sprintf("host name %q cannot be resolved; check --snapshot-registry", dns.Name)
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return "its TLS certificate has expired, or is not valid yet"
	}
	if verification, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fmt.Sprintf("its TLS certificate is not accepted: %v; give its authority with --snapshot-registry-cert-secret", verification.Err)
	}
	_, record := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case record || strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "it does not speak TLS; if this is intended, set --snapshot-registry-plain-http"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused; check --snapshot-registry"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		// Without the addresses: the local port is another each time, and conditions compare messages.
		return fmt.Sprintf("%s: %v", op.Op, op.Err)
	}
	return ""
}
