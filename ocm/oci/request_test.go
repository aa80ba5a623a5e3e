package oci

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"oras.land/oras-go/v2/registry/remote/errcode"
)

// TestAnswerEnds gives up on an answer whose reason never comes.
func TestAnswerEnds(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		w.(http.Flusher).Flush()
		<-req.Context().Done()
	}))
	t.Cleanup(server.Close)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	refused, ok := errors.AsType[*errcode.ErrorResponse](answerWithin(resp, time.Millisecond))
	if !ok || refused.StatusCode != http.StatusForbidden || len(refused.Errors) > 0 {
		t.Errorf("answer = %+v", refused)
	}
}
