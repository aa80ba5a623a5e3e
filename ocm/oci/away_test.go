package oci

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"oras.land/oras-go/v2/registry/remote/errcode"
)

// TestAway tells a registry that has no answer now from one that has answered.
func TestAway(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]bool{
		http.StatusTooManyRequests: true, http.StatusBadGateway: true, http.StatusServiceUnavailable: true, http.StatusGatewayTimeout: true,
		http.StatusInternalServerError: false, http.StatusBadRequest: false, http.StatusUnauthorized: false, http.StatusNotFound: false,
	} {
		answer := &errcode.ErrorResponse{Method: http.MethodGet, URL: &url.URL{Scheme: "https", Host: "registry.example.com"}, StatusCode: status}
		err := (&Repository{}).explain("app:1.0.0", fmt.Errorf("get: %w", answer))
		if got := errors.Is(err, ErrUnreachable); got != want || !errors.As(err, new(*errcode.ErrorResponse)) {
			t.Errorf("status %d: ErrUnreachable is %t, want %t: %v", status, got, want, err)
		}
	}
}
