package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"syscall"

	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

// apiError is an answer in the form of the distribution specification.
type apiError struct {
	status  int
	code    string
	message string
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
	return &apiError{http.StatusBadRequest, code, fmt.Sprintf(format, args...)}
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
	)
	switch {
	case errors.As(err, &api):
		return api
	case errors.Is(err, store.ErrDamaged):
		// What it wraps may look like a mistake of the client.
		return internal()
	case errors.Is(err, auth.ErrUnauthenticated):
		return &apiError{http.StatusUnauthorized, codeUnauthorized, err.Error()}
	case errors.Is(err, auth.ErrDenied):
		return &apiError{http.StatusForbidden, codeDenied, err.Error()}
	case errors.As(err, &limited):
		return &apiError{http.StatusTooManyRequests, codeTooMany, limited.Error()}
	case errors.Is(err, auth.ErrUnavailable):
		return &apiError{http.StatusServiceUnavailable, codeUnknown, auth.ErrUnavailable.Error()}
	case errors.As(err, &missing):
		return &apiError{http.StatusBadRequest, codeManifestBlobUnknown, missing.Error()}
	case errors.As(err, &manifest):
		return &apiError{http.StatusBadRequest, codeManifestInvalid, err.Error()}
	case errors.As(err, &tooLarge):
		return &apiError{http.StatusRequestEntityTooLarge, codeSizeInvalid, fmt.Sprintf("more than %d bytes", tooLarge.Limit)}
	case errors.Is(err, store.ErrTooLarge):
		return &apiError{http.StatusRequestEntityTooLarge, codeSizeInvalid, err.Error()}
	case errors.As(err, &name):
		return &apiError{http.StatusBadRequest, nameCode(name), err.Error()}
	case errors.Is(err, store.ErrManifestNotFound):
		return &apiError{http.StatusNotFound, codeManifestUnknown, err.Error()}
	case errors.Is(err, store.ErrRepositoryNotFound):
		return &apiError{http.StatusNotFound, codeNameUnknown, err.Error()}
	case errors.Is(err, store.ErrBlobNotFound):
		return &apiError{http.StatusNotFound, codeBlobUnknown, err.Error()}
	case errors.As(err, &mismatch):
		return &apiError{http.StatusBadRequest, codeDigestInvalid, mismatch.Error()}
	case errors.Is(err, store.ErrInUse):
		return &apiError{http.StatusMethodNotAllowed, codeUnsupported, err.Error()}
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &apiError{http.StatusInsufficientStorage, codeUnknown, "the registry's disk is full"}
	case errors.Is(err, store.ErrStagingFull):
		return &apiError{http.StatusInsufficientStorage, codeUnknown, err.Error()}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, store.ErrClosed):
		return &apiError{http.StatusServiceUnavailable, codeUnknown, "the request was given up, or the registry is shutting down"}
	default:
		return internal()
	}
}

func internal() *apiError {
	return &apiError{http.StatusInternalServerError, codeUnknown, "the registry could not do this; its log has the reason"}
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
	for _, header := range []string{"Docker-Content-Digest", "Etag", "Content-Length", "Cache-Control"} {
		w.Header().Del(header)
	}
	if e.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="ocm-registry", charset="UTF-8"`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(e.status)
	_, _ = w.Write(body)
}
