package oci

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/ocm/credentials"
)

// shortly returns a transport that waits for an answer only for moments.
func shortly(t *testing.T) *Transport {
	t.Helper()
	transport, err := NewTransport(TransportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	transport.answer = 20 * time.Millisecond
	return transport
}

// TestSilentServer is given up, and not blamed for what comes before its answer.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body) // it ends with the client
		<-req.Context().Done()
	}))
	t.Cleanup(server.Close)
	r := newVault(t).repository(t, "c")
	for _, body := range []io.Reader{nil, strings.NewReader("text")} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, body)
		if err != nil {
			t.Fatal(err)
		}
		_, err = shortly(t).RoundTrip(toChosen(req))
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() || errors.Is(err, context.Canceled) {
			t.Errorf("RoundTrip = %v, want a timeout", err)
		}
		if err := r.explain("read x", err); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "took the request and gave no answer for 20ms") {
			t.Errorf("it is explained as %v", err)
		}
	}
}

// TestAnswerMayTakeItsTime ends nothing when it has begun, and lets go of it when it is
// closed.
func TestAnswerMayTakeItsTime(t *testing.T) {
	t.Parallel()
	transport := shortly(t)
	var sent *http.Request
	transport.RegisterProtocol("odd", trip(func(req *http.Request) (*http.Response, error) {
		sent = req
		httptrace.ContextClientTrace(sent.Context()).WroteRequest(httptrace.WroteRequestInfo{})
		return reply(http.StatusOK), nil
	}))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "odd://x", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil || resp.Request != req {
		t.Fatalf("RoundTrip = %v", err)
	}
	httptrace.ContextClientTrace(sent.Context()).WroteRequest(httptrace.WroteRequestInfo{}) // the answer came before all was sent
	if sent.Context().Err() != nil {
		t.Error("the answer has ended before it was read")
	}
	if err := resp.Body.Close(); err != nil || sent.Context().Err() == nil {
		t.Errorf("Close = %v, the request has ended: %t", err, sent.Context().Err() != nil)
	}
	s := &silence{limit: time.Hour, stop: func(error) { t.Error("it is stopped after the end") }}
	s.begin(httptrace.WroteRequestInfo{Err: io.ErrShortWrite})
	if s.timer != nil {
		t.Error("the time runs though the request was not sent")
	}
	if err := s.end(); err != nil {
		t.Error(err)
	}
	s.begin(httptrace.WroteRequestInfo{})
	s.giveUp()
}

// TestWithTLSKeepsTheLimit of the transport that is copied.
func TestWithTLSKeepsTheLimit(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	base := shortly(t)
	authority := credentials.Credential{CertificateAuthority: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))}
	for name, tc := range map[string]struct {
		base http.RoundTripper
		want time.Duration
	}{
		"ours":   {base, base.answer},
		"theirs": {http.DefaultTransport, answerTimeout},
	} {
		got, err := WithTLS(tc.base, authority)
		if own, ok := got.(*Transport); err != nil || !ok || own.answer != tc.want {
			t.Errorf("%s: WithTLS = %+v, %v", name, got, err)
		}
	}
	if got, err := WithTLS(base, credentials.Credential{}); got != http.RoundTripper(base) || err != nil {
		t.Errorf("without certificates: %v, %v", got, err)
	}
	if _, err := WithTLS(trip(nil), authority); err == nil {
		t.Error("no error for a transport of an unknown kind")
	}
}
