package oci

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"

	"oras.land/oras-go/v2/registry/remote/errcode"
)

// Errors about storing, to be matched with errors.Is.
var (
	// ErrFull says that there is no room for what was to be stored, or that it is
	// more than is accepted.
	ErrFull = errors.New("full")
	// ErrReadOnly says that nothing can be stored: not at all, or not with this
	// credential, in which case it is ErrUnauthorized, too.
	ErrReadOnly = errors.New("read-only")
)

// fullTexts are what registries say when a quota or a disk is the reason and the
// status does not tell.
var fullTexts = []string{"quota", "no space left", "insufficient storage", "exceed the configured upper limit", "storage limit"}

// maxSaid bounds how much of what a registry says is told.
const maxSaid = 300

// said returns what a registry says about its answer.
func said(response *errcode.ErrorResponse) string {
	if len(response.Errors) == 0 {
		return ""
	}
	text := strings.Join(strings.Fields(response.Errors.Error()), " ")
	if len(text) > maxSaid {
		text = strings.ToValidUTF8(text[:maxSaid], "") + "..."
	}
	return " (" + text + ")"
}

// writeRefused explains why a registry stores nothing, and returns nil for other
// reasons.
func (r *Repository) writeRefused(object string, response *errcode.ErrorResponse, err error) error {
	switch response.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
	default:
		return nil
	}
	status := fmt.Sprintf("%d %s%s", response.StatusCode, http.StatusText(response.StatusCode), said(response))
	switch {
	case response.StatusCode == http.StatusRequestEntityTooLarge:
		return &hint{fmt.Sprintf("%s: the registry at %s, or a proxy before it, accepts nothing as large: it answered %s; raise its limit",
			object, r.location.base(), status), ErrFull, err}
	case isFull(response):
		return &hint{fmt.Sprintf("%s: the registry at %s has no room for it: it answered %s; make room there, or raise its quota",
			object, r.location.base(), status), ErrFull, err}
	case response.StatusCode == http.StatusMethodNotAllowed:
		return &hint{fmt.Sprintf("%s: the registry at %s is read-only: it answered %s", object, r.location.base(), status), ErrReadOnly, err}
	case response.StatusCode == http.StatusForbidden:
		return &hint{r.unauthorized(object, "it answered "+status, err).Error(), ErrReadOnly, &hint{"", ErrUnauthorized, err}}
	}
	return nil
}

// isFull reports whether there is no room.
func isFull(response *errcode.ErrorResponse) bool {
	if response.StatusCode == http.StatusInsufficientStorage {
		return true
	}
	if response.StatusCode == http.StatusTooManyRequests {
		return false // a quota of requests
	}
	for _, e := range response.Errors {
		text := strings.ToLower(fmt.Sprint(e.Code, " ", e.Message, " ", e.Detail))
		for _, full := range fullTexts {
			if strings.Contains(text, full) {
				return true
			}
		}
	}
	return false
}

// ExplainDisk makes an error of a file system match ErrFull or ErrReadOnly where
// it is about that.
func ExplainDisk(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return &hint{err.Error() + "; make room there", ErrFull, err}
	case errors.Is(err, syscall.EROFS), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return &hint{err.Error() + "; it has to be writable", ErrReadOnly, err}
	}
	return err
}
