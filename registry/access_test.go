package registry_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/registry"
	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

// logged collects what is logged, whatever its level.
type logged struct {
	mu  sync.Mutex
	all bytes.Buffer
}

// Write implements io.Writer.
func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *logged) logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: level}))
}

// lines returns the requests that were logged.
func (l *logged) lines(t *testing.T) (lines []map[string]any) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.SplitSeq(strings.TrimSpace(l.all.String()), "\n") {
		var fields map[string]any
		if line != "" {
			if err := json.Unmarshal([]byte(line), &fields); err != nil {
				t.Fatal(err)
			}
			lines = append(lines, fields)
		}
	}
	return lines
}

// levelAccess is V(1) of logr.
const levelAccess = slog.Level(-1)

func TestAccessLog(t *testing.T) {
	t.Parallel()
	issuer, err := auth.NewIssuer(bytes.Repeat([]byte{1}, 32), nil)
	if err != nil {
		t.Fatal(err)
	}
	cred, err := issuer.Issue(auth.Scope{Prefix: "team/", Push: true}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	var log logged
	h := registry.NewHandler(newStore(t), registry.Options{Authorizer: issuer, Logger: log.logger(levelAccess)})
	defer h.Close()
	c := &client{t: t, handler: h}
	d := digest.FromString("12345").String()
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(cred.Username+":"+cred.Password))
	c.expect(201, "", "POST", "/v2/team/app/blobs/uploads/?digest="+d, []byte("12345"), "Authorization", basic, "User-Agent", strings.Repeat("agent", 1000))
	c.expect(200, "", "GET", "/v2/team/app/blobs/"+d, nil, "Authorization", basic)
	c.expect(200, "", "HEAD", "/v2/team/app/blobs/"+d, nil, "Authorization", basic)
	c.expect(403, "DENIED", "GET", "/v2/other/manifests/v1", nil, "Authorization", basic)
	c.expect(401, "UNAUTHORIZED", "GET", "/v2/"+strings.Repeat("a", 10_000)+"/manifests/v1", nil)
	at := c.expect(202, "", "POST", "/v2/team/app/blobs/uploads/", nil, "Authorization", basic).Header.Get("Location")
	c.expect(204, "", "GET", at, nil, "Authorization", basic)
	lines := log.lines(t)
	if len(lines) != 7 {
		t.Fatalf("%d lines for 7 requests", len(lines))
	}
	for i, want := range []map[string]any{
		{"method": "POST", "operation": "uploads", "repository": "team/app", "reference": "", "status": 201.0, "received": 5.0, "sent": 0.0, "who": "push team/*"},
		{"method": "GET", "operation": "blob", "repository": "team/app", "reference": d, "status": 200.0, "received": 0.0, "sent": 5.0, "who": "push team/*"},
		{"method": "HEAD", "status": 200.0, "sent": 0.0},
		{"operation": "manifest", "repository": "other", "reference": "v1", "status": 403.0, "who": "push team/*"},
		{"status": 401.0, "who": "", "repository": strings.Repeat("a", 256) + "…"},
		{"operation": "uploads", "status": 202.0},
		{"operation": "upload", "reference": "", "status": 204.0},
	} {
		for key, value := range want {
			if lines[i][key] != value {
				t.Errorf("line %d: %s is %v, want %v", i, key, lines[i][key], value)
			}
		}
		if lines[i]["remote"] != "192.0.2.1:1234" || lines[i]["duration"] == nil {
			t.Errorf("line %d: %v", i, lines[i])
		}
	}
	if agent, _ := lines[0]["userAgent"].(string); len(agent) > 300 || !strings.HasPrefix(agent, "agent") {
		t.Errorf("the user agent has %d bytes", len(agent))
	}
	if log.logger(slog.LevelInfo); len(log.lines(t)) != 7 {
		t.Error("requests are logged at another level")
	}
}

// TestNoSecretInLog gives credentials of all kinds, right and wrong, at every place where clients put them.
func TestNoSecretInLog(t *testing.T) {
	t.Parallel()
	issuer, err := auth.NewIssuer(bytes.Repeat([]byte{1}, 32), nil)
	if err != nil {
		t.Fatal(err)
	}
	good, err := issuer.Issue(auth.Scope{Push: true}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	ended, err := issuer.Issue(auth.Scope{}, -time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	var log logged
	s := newStore(t)
	h := registry.NewHandler(s, registry.Options{Authorizer: issuer, Logger: log.logger(slog.LevelDebug), Probe: func(context.Context) error { return errors.New("disk at /secret/place") }})
	defer h.Close()
	const token = "eyJhbGciOiJSUzI1NiJ9.c2VjcmV0.c2lnbmF0dXJl"
	secrets := []string{good.Password, ended.Password, token, "hunter2"}
	var headers []string
	for _, pair := range [][2]string{{good.Username, good.Password}, {ended.Username, ended.Password}, {good.Username, "hunter2"}, {"user", token}, {"", token}, {token, ""}, {"hunter2", "hunter2"}} {
		encoded := base64.StdEncoding.EncodeToString([]byte(pair[0] + ":" + pair[1]))
		secrets = append(secrets, encoded)
		headers = append(headers, "Basic "+encoded)
	}
	headers = append(headers, "Bearer "+token, "bearer "+good.Password, "Basic "+token, "Negotiate "+token, token)
	for _, header := range headers {
		for _, path := range []string{"/v2/", "/v2/a/blobs/" + digest.FromString("x").String(), "/v2/a/tags/list?token=" + token, "/v2/_catalog?access_token=" + token, "/healthz?token=" + token, "/elsewhere?password=hunter2"} {
			for _, method := range []string{"GET", "POST", "DELETE"} {
				r := httptest.NewRequest(method, path, strings.NewReader(token))
				r.Header.Set("Authorization", header)
				r.Header.Set("Proxy-Authorization", header)
				r.Header.Set("Cookie", "session="+token)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				for _, secret := range secrets {
					if strings.Contains(w.Body.String(), secret) || strings.Contains(w.Body.String(), "/secret/place") {
						t.Errorf("%s %s is answered with a secret: %s", method, path, w.Body)
					}
				}
			}
		}
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	for _, secret := range secrets {
		if strings.Contains(log.all.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
	if strings.Count(log.all.String(), "registry request") == 0 {
		t.Error("nothing is logged")
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	var broken error
	c := newHandler(t, registry.Options{Authorizer: auth.DenyAll(), Probe: func(context.Context) error { return broken }})
	r := c.expect(200, "", "GET", "/healthz", nil)
	if got := text(t, r); got != "ok\n" || r.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%q, %v", got, r.Header)
	}
	c.expect(200, "", "HEAD", "/healthz", nil)
	if got := c.expect(405, "UNSUPPORTED", "POST", "/healthz", nil).Header.Get("Allow"); got != "GET, HEAD" {
		t.Errorf("allowed is %q", got)
	}
	broken = errors.New("open /data/registry/index.db: input/output error")
	r = c.expect(503, "", "GET", "/healthz", nil)
	if got := text(t, r); !strings.Contains(got, "storage") || strings.Contains(got, "/data") || r.Header.Get("Retry-After") == "" {
		t.Errorf("%q, %v", got, r.Header)
	}
	newHandler(t, registry.Options{}).expect(200, "", "GET", "/healthz", nil)
}

// TestRetryAfter has a time in every answer that says to come again.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.TempDir(), store.Options{NoSync: true, MaxStagedBytes: 4})
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, handler: registry.NewHandler(s, registry.Options{Authorizer: auth.AllowAll(), MaxUploads: 1})}
	push := "/v2/a/blobs/uploads/?digest=" + digest.FromString("12345").String()
	for status, r := range map[int]*http.Response{
		507: c.expect(507, "UNKNOWN", "POST", push, []byte("12345")),
		429: func() *http.Response {
			c.expect(202, "", "POST", "/v2/a/blobs/uploads/", nil)
			return c.expect(429, "TOOMANYREQUESTS", "POST", "/v2/a/blobs/uploads/", nil)
		}(),
		503: func() *http.Response {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return c.expect(503, "UNKNOWN", "GET", "/v2/a/tags/list", nil)
		}(),
	} {
		if r.Header.Get("Retry-After") == "" {
			t.Errorf("%d says nothing about when", status)
		}
	}
}

// TestTooLargeBeforeItIsSent announces bodies that are too large, and is answered without having sent any of them.
func TestTooLargeBeforeItIsSent(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.TempDir(), store.Options{NoSync: true, MaxBlobBytes: 1000})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	h := registry.NewHandler(s, registry.Options{Authorizer: auth.AllowAll(), StallTimeout: time.Second})
	defer h.Close()
	server := &registry.Server{Addr: "127.0.0.1:0", Handler: h, Grace: 15 * time.Second}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	<-server.Ready()
	c := &client{t: t, handler: h}
	begin := func() string { return c.expect(202, "", "POST", "/v2/a/blobs/uploads/", nil).Header.Get("Location") }
	half := begin()
	c.expect(202, "", "PATCH", half, bytes.Repeat([]byte("x"), 600))
	d := "?digest=" + digest.FromString("x").String()
	for line, length := range map[string]string{
		"POST /v2/a/blobs/uploads/" + d: "1001", "PATCH " + begin(): "1001", "PUT " + begin() + d: "1001", "PATCH " + half: "401",
		"PUT /v2/a/manifests/v1": "4194305",
	} {
		conn := dial(t, server.Address(), line+" HTTP/1.1\r\nHost: registry\r\nContent-Type: "+imageType+"\r\nExpect: 100-continue\r\nContent-Length: "+length+"\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		body, err := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(string(body), "SIZE_INVALID") {
			t.Errorf("%s: %s %s, %v", line, resp.Status, body, err)
		}
	}
	if got := s.Stats().Staged; got != 0 {
		t.Errorf("%d uploads that can't go on are kept", got)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
