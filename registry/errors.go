package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"syscall"

	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

// apiError is an answer in the form of the distribution specification.
type apiError struct {
	status  int
	code    string
	message string
	// allow is what may be asked instead of a method that may not.
	allow string
}

func (e *apiError) Error() string { return e.message }

// Codes of the distribution specification.
const (
	codeBlobUnknown         = "BLOB_UNKNOWN"
	codeUploadInvalid       = "BLOB_UPLOAD_INVALID"
	codeUploadUnknown       = "BLOB_UPLOAD_UNKNOWN"
	codeDigestInvalid       = "DIGEST_INVALID"
	codeManifestBlobUnknown = "MANIFEST_BLOB_UNKNOWN"
	codeManifestInvalid     = "MANIFEST_INVALID"
	codeManifestUnknown     = "MANIFEST_UNKNOWN"
	codeNameInvalid         = "NAME_INVALID"
	codeNameUnknown         = "NAME_UNKNOWN"
	codeSizeInvalid         = "SIZE_INVALID"
	codeUnauthorized        = "UNAUTHORIZED"
	codeDenied              = "DENIED"
	codeUnsupported         = "UNSUPPORTED"
	codeTooMany             = "TOOMANYREQUESTS"
	codeUnknown             = "UNKNOWN"
)

func badRequest(code, format string, args ...any) error {
	return &apiError{status: http.StatusBadRequest, code: code, message: fmt.Sprintf(format, args...)}
}

// toAPI finds the answer for an error. What the caller can do nothing about is told without
// details; the log has them.
func toAPI(err error) *apiError {
	var (
		api      *apiError
		name     *store.NameError
		mismatch *store.DigestMismatchError
		manifest *store.ManifestError
		missing  *store.MissingBlobError
		tooLarge *http.MaxBytesError
		limited  *auth.LimitedError
		full     *store.StorageFullError
	)
	switch {
	case errors.As(err, &api):
		return api
	case errors.Is(err, store.ErrDamaged):
		// What it wraps may look like a mistake of the client.
		return internal()
	case errors.Is(err, auth.ErrUnauthenticated):
		return &apiError{status: http.StatusUnauthorized, code: codeUnauthorized, message: err.Error()}
	case errors.Is(err, auth.ErrDenied):
		return &apiError{status: http.StatusForbidden, code: codeDenied, message: err.Error()}
	case errors.As(err, &limited):
		return &apiError{status: http.StatusTooManyRequests, code: codeTooMany, message: limited.Error()}
	case errors.Is(err, auth.ErrUnavailable), errors.Is(err, store.ErrUnreadable):
		return passing(err)
	case errors.As(err, &missing):
		return &apiError{status: http.StatusBadRequest, code: codeManifestBlobUnknown, message: missing.Error()}
	case errors.As(err, &manifest):
		return &apiError{status: http.StatusBadRequest, code: codeManifestInvalid, message: err.Error()}
	case errors.As(err, &tooLarge):
		return &apiError{status: http.StatusRequestEntityTooLarge, code: codeSizeInvalid, message: fmt.Sprintf("more than %d bytes", tooLarge.Limit)}
	case errors.Is(err, store.ErrTooLarge):
		return &apiError{status: http.StatusRequestEntityTooLarge, code: codeSizeInvalid, message: err.Error()}
	case errors.As(err, &name):
		return &apiError{status: http.StatusBadRequest, code: nameCode(name), message: err.Error()}
	case errors.Is(err, store.ErrManifestNotFound):
		return &apiError{status: http.StatusNotFound, code: codeManifestUnknown, message: err.Error()}
	case errors.Is(err, store.ErrRepositoryNotFound):
		return &apiError{status: http.StatusNotFound, code: codeNameUnknown, message: err.Error()}
	case errors.Is(err, store.ErrBlobNotFound):
		return &apiError{status: http.StatusNotFound, code: codeBlobUnknown, message: err.Error()}
	case errors.As(err, &mismatch):
		return &apiError{status: http.StatusBadRequest, code: codeDigestInvalid, message: mismatch.Error()}
	case errors.Is(err, store.ErrInUse):
		return &apiError{status: http.StatusMethodNotAllowed, code: codeUnsupported, message: err.Error(), allow: "GET, HEAD"}
	case errors.As(err, &full):
		return &apiError{status: http.StatusInsufficientStorage, code: codeUnknown, message: full.Error()}
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &apiError{status: http.StatusInsufficientStorage, code: codeUnknown, message: "the registry's disk is full"}
	case errors.Is(err, store.ErrStagingFull):
		return &apiError{status: http.StatusInsufficientStorage, code: codeUnknown, message: err.Error()}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, store.ErrClosed):
		return &apiError{status: http.StatusServiceUnavailable, code: codeUnknown, message: "the request was given up, or the registry is shutting down"}
	default:
		return internal()
	}
}

// passing is for what is worth another try soon.
func passing(err error) *apiError {
	told := auth.ErrUnavailable
	if errors.Is(err, store.ErrUnreadable) {
		told = store.ErrUnreadable
	}
	return &apiError{status: http.StatusServiceUnavailable, code: codeUnknown, message: told.Error()}
}

func internal() *apiError {
	return &apiError{status: http.StatusInternalServerError, code: codeUnknown, message: "the registry could not do this; its log has the reason"}
}

func nameCode(e *store.NameError) string {
	switch e.Kind {
	case "digest":
		return codeDigestInvalid
	case "repository name":
		return codeNameInvalid
	default:
		return codeManifestInvalid
	}
}

// retryAfter is how many seconds a client should wait before it asks again; empty when that is no use.
func (e *apiError) retryAfter() string {
	switch e.status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return "5"
	case http.StatusInsufficientStorage:
		// Room is made by a collection, or by somebody.
		return "30"
	default:
		return ""
	}
}

func (e *apiError) write(w http.ResponseWriter) {
	type item struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	body, err := json.Marshal(map[string][]item{"errors": {{e.code, e.message}}})
	if err != nil {
		// Two strings always encode.
		body = []byte("{}")
	}
	// Headers of an answer that was not to be.
	for _, header := range []string{"Docker-Content-Digest", "Etag", "Content-Length", "Cache-Control", "Accept-Ranges"} {
		w.Header().Del(header)
	}
	if e.status == http.StatusUnauthorized || e.status == http.StatusTooManyRequests {
		// Whoever nobody knows may not hold a connection and its memory.
		w.Header().Set("Connection", "close")
	}
	if e.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="ocm-registry", charset="UTF-8"`)
	}
	if e.allow != "" {
		w.Header().Set("Allow", e.allow)
	}
	if after := e.retryAfter(); after != "" && w.Header().Get("Retry-After") == "" {
		w.Header().Set("Retry-After", after)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(e.status)
	_, _ = w.Write(body)
}
