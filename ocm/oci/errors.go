package oci

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"

	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// Errors every function of this package returns, to be matched with errors.Is.
var (
	// ErrNotFound says that the registry does not have what was asked for.
	ErrNotFound = errors.New("not found")
	// ErrUnauthorized says that the registry refused the credentials, or that
	// there were none.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrUnreachable says that there was no answer from the registry, or only that
	// it can't give one now.
	ErrUnreachable = errors.New("unreachable")
	// ErrTooLarge says that a bound on what is accepted was exceeded.
	ErrTooLarge = errors.New("too large")
	// ErrNotComponent says that an artifact is no component version.
	ErrNotComponent = errors.New("not a component version")
	// ErrMalformed says that a component version cannot be parsed. Its digest
	// promises these bytes, so they stay as they are.
	ErrMalformed = errors.New("malformed")
	// ErrUnsure is matched, besides another of these errors, by what has not the
	// form of a registry's answer. Something between here and there may have given
	// it, such as a proxy or a page to log in, so it may pass.
	ErrUnsure = errors.New("not sure")
)

// Doubt makes an error match ErrUnsure.
func Doubt(err error) error { return &doubtful{err} }

type doubtful struct{ error }

func (d *doubtful) Unwrap() error { return d.error }

func (*doubtful) Is(target error) bool { return target == ErrUnsure }

// isPage reports whether an answer is a page for people, as no registry gives it.
func isPage(resp *http.Response) bool { return IsPage(resp.Header.Get("Content-Type")) }

// doubtPage doubts an error about the content of an answer if that is a page.
func doubtPage(resp *http.Response, err error) error {
	if isPage(resp) {
		return Doubt(err)
	}
	return err
}

// DoubtContent returns a reader that doubts that wrong content is wrong for good.
func DoubtContent(rc io.ReadCloser) io.ReadCloser { return &doubted{rc} }

type doubted struct{ io.ReadCloser }

// Read implements io.Reader.
func (d *doubted) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	if _, wrong := errors.AsType[*DigestMismatchError](err); wrong {
		err = Doubt(err)
	}
	return n, err
}

// IsPage reports whether a media type is that of pages for people.
func IsPage(mediaType string) bool {
	mediaType, _, _ = strings.Cut(mediaType, ";")
	mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	return mediaType == "text/html" || mediaType == "application/xhtml+xml"
}

// says reports whether a registry itself says that it has not what was asked for:
// it does so with one of the codes of the specification, or the one that some use.
func says(response *errcode.ErrorResponse) bool {
	return response != nil && slices.ContainsFunc(response.Errors, func(e errcode.Error) bool {
		return strings.HasSuffix(e.Code, "_UNKNOWN") || strings.HasSuffix(e.Code, "NOT_FOUND")
	})
}

// malformed is an error about content that its digest promises.
func malformed(err error) error { return &hint{err.Error(), ErrMalformed, err} }

// DigestMismatchError says that content is not what its digest promised.
type DigestMismatchError struct {
	// Object is what was read.
	Object string
	// Want is the promised digest.
	Want string
	// Got is the digest of the content.
	Got string
}

// Error names both digests.
func (e *DigestMismatchError) Error() string {
	return fmt.Sprintf("content of %s is not what its digest promises: want %s, got %s; it was damaged or replaced", e.Object, e.Want, e.Got)
}

// hint is an error whose message is complete and that matches a sentinel
// without repeating its words.
type hint struct {
	message  string
	sentinel error
	cause    error
}

func (h *hint) Error() string { return h.message }

func (h *hint) Unwrap() []error {
	if h.cause == nil {
		return []error{h.sentinel}
	}
	return []error{h.sentinel, h.cause}
}

// explain turns an error of the client into one that says what to do. The
// object is what was asked for.
func (r *Repository) explain(object string, err error) error {
	var refused *realmError
	var host *HostError
	var response *errcode.ErrorResponse
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errdef.ErrNotFound), errors.As(err, &response) && response.StatusCode == http.StatusNotFound:
		if !says(response) {
			return Doubt(&hint{fmt.Sprintf("%s: not found, by an answer that has not the form of a registry's", object), ErrNotFound, err})
		}
		return &hint{fmt.Sprintf("%s: not found", object), ErrNotFound, err}
	case errors.As(err, &host):
		return &hint{fmt.Sprintf("%s: %v", object, host), ErrHostRefused, host}
	case errors.As(err, &refused):
		return &hint{fmt.Sprintf("%s: %v", object, refused), ErrUnauthorized, err}
	case strings.Contains(err.Error(), "bearer realm "):
		// The client has no type for it. There may be an answer in the chain, which was not about a password.
		_, why, _ := strings.Cut(err.Error(), "bearer realm ")
		return &hint{fmt.Sprintf("%s: the registry names a token service that is refused: %s; have the registry name one with https:// "+
			"and a public address, or the address of the registry itself", object, why), ErrUnauthorized, err}
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return r.unauthorized(object, "it wants a user name and a password", err)
	case response != nil && r.writeRefused(object, response, err) != nil:
		return r.writeRefused(object, response, err)
	case errors.As(err, &response) && (response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden):
		return r.unauthorized(object, fmt.Sprintf("it answered %d %s", response.StatusCode, http.StatusText(response.StatusCode)), err)
	case errors.Is(err, errdef.ErrTooManyPages), errors.Is(err, errdef.ErrSizeExceedsLimit):
		return &hint{fmt.Sprintf("%s: %v", object, err), ErrTooLarge, err}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: %w", object, err)
	case response != nil && away(response.StatusCode):
		return &hint{fmt.Sprintf("%s: %v", object, err), ErrUnreachable, err}
	}
	if advice := unreachable(err, r.checkWhere()); advice != "" {
		return &hint{fmt.Sprintf("%s: cannot reach the registry at %s: %s", object, r.location.base(), advice), ErrUnreachable, err}
	}
	if errors.Is(err, io.EOF) {
		// Without the cause, which readers of content would take for the end of it.
		return &hint{fmt.Sprintf("%s: the registry at %s closed the connection without an answer", object, r.location.base()), ErrUnreachable, errClosed}
	}
	return fmt.Errorf("%s: %w", object, err)
}

// away reports whether a registry, or what is before it, says that it has no answer
// now, whatever the question.
func away(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// unauthorized explains that a registry refuses what was given, or wants more than
// nothing. The why is what it says.
func (r *Repository) unauthorized(object, why string, err error) error {
	message := fmt.Sprintf("%s: %s wants a credential, and none was given: %s; add one, for example with %s.secretRef", object, r.location.Host, why, r.field)
	if !r.credential.IsZero() {
		message = fmt.Sprintf("%s: %s refuses the credential that was given, %s: %s; check %s.secretRef, or where else it comes from, and that it grants access to %s",
			object, r.location.Host, r.credential, why, r.field, r.location.Path)
	}
	return &hint{message, ErrUnauthorized, err}
}

// checkWhere names what told where this repository is.
func (r *Repository) checkWhere() string {
	if strings.EqualFold(r.location.Host, r.home) {
		return "; check " + r.field + ".url"
	}
	return "; check the access of the resource, which names this registry"
}

// unreachable returns what to tell the user about an error that happened
// before the registry answered, or nothing if it was another error.
func unreachable(err error, check string) string {
	var dns *net.DNSError
	var unknown x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var op *net.OpError
	var silent *silentError
	switch {
	case errors.As(err, &silent):
		return silent.Error()
	case errors.As(err, &dns):
		return fmt.Sprintf("host name %q cannot be resolved", dns.Name) + check
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused" + check
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its TLS certificate has expired, or is not valid yet"
	case errors.As(err, &unknown), errors.As(err, &hostname), errors.As(err, &invalid):
		return fmt.Sprintf("its TLS certificate is not accepted: %v", err)
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "it does not speak TLS; if this is intended, write http:// in front"
	case errors.As(err, &op):
		// Without the addresses: the local port is another each time, and conditions compare messages.
		return fmt.Sprintf("%s: %v", op.Op, op.Err) + check
	}
	return ""
}
