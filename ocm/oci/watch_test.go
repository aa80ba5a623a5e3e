package oci

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestWatch lets content through that comes, and passes on how it ends.
func TestWatch(t *testing.T) {
	t.Parallel()
	ctx, watch := NewWatch(t.Context(), time.Hour)
	text := strings.Repeat("x", 3*leastBytes)
	rc := watch.Over(io.NopCloser(strings.NewReader(text)))
	if got, err := io.ReadAll(rc); string(got) != text || err != nil || rc.Close() != nil {
		t.Errorf("%d bytes, %v, want all", len(got), err)
	}
	watch.End()
	if _, err := watch.Over(io.NopCloser(strings.NewReader(text))).Read(make([]byte, 1)); !errors.Is(err, context.Canceled) || ctx.Err() == nil {
		t.Errorf("after the end: %v, want that it is canceled", err)
	}
}

// TestManifestGivesUp on a manifest that hardly comes.
func TestManifestGivesUp(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, _ = w.Write([]byte("{")) // the client is gone if this fails
		_ = http.NewResponseController(w).Flush()
		<-req.Context().Done()
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	r, err := NewClient(Options{Home: host}).Repository(Location{Host: host, Path: "x", PlainHTTP: true})
	if err != nil {
		t.Fatal(err)
	}
	r.patience = time.Millisecond
	if _, err := r.Manifest(t.Context(), "1.0.0"); !errors.Is(err, ErrUnreachable) || errors.Is(err, context.Canceled) {
		t.Errorf("Manifest = %v, want ErrUnreachable", err)
	}
}
