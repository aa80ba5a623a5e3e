package oci

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"
)

func TestRetryPolicy(t *testing.T) {
	t.Parallel()
	answer := func(status int, after string) *http.Response {
		return &http.Response{StatusCode: status, Header: http.Header{"Retry-After": {after}}}
	}
	cases := map[string]struct {
		attempt  int
		resp     *http.Response
		err      error
		min, max time.Duration // negative: not again
	}{
		"fine":                {0, answer(200, ""), nil, -1, -1},
		"not found":           {0, answer(404, ""), nil, -1, -1},
		"unavailable":         {0, answer(503, ""), nil, 160 * time.Millisecond, 240 * time.Millisecond},
		"unavailable, third":  {2, answer(503, ""), nil, 640 * time.Millisecond, 960 * time.Millisecond},
		"unavailable, fourth": {3, answer(503, ""), nil, -1, -1},
		"Retry-After":         {0, answer(429, "3"), nil, 3 * time.Second, 3 * time.Second},
		"Retry-After, long":   {0, answer(429, "3600"), nil, -1, -1},
		"Retry-After, past":   {0, answer(503, "Mon, 01 Jan 2001 00:00:00 GMT"), nil, 0, 0},
		"Retry-After, broken": {0, answer(503, "soon"), nil, 160 * time.Millisecond, 240 * time.Millisecond},
		"cut off":             {0, nil, io.ErrUnexpectedEOF, 160 * time.Millisecond, 240 * time.Millisecond},
		"other error":         {0, nil, errors.New("x"), -1, -1},
		"not implemented":     {0, answer(501, ""), nil, -1, -1},
	}
	for name, tc := range cases {
		got, err := retryPolicy{}.Retry(tc.attempt, tc.resp, tc.err)
		if err != nil || got < tc.min || got > tc.max {
			t.Errorf("%s: Retry = %s, %v, want %s to %s", name, got, err, tc.min, tc.max)
		}
	}
}

func TestSameSite(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		realm, registry string
		want            bool
	}{
		"same host":        {"https://ghcr.io/token", "ghcr.io", true},
		"other port":       {"https://reg.example:8443/token", "reg.example:5000", true},
		"Docker Hub":       {"https://auth.docker.io/token", "registry-1.docker.io", true},
		"GitLab":           {"https://gitlab.com/jwt/auth", "registry.gitlab.com", true},
		"other domain":     {"https://evil.example/token", "ghcr.io", false},
		"suffix only":      {"https://evil-docker.io/token", "registry-1.docker.io", false},
		"public suffix":    {"https://evil.co.uk/token", "good.co.uk", false},
		"hosted pages":     {"https://evil.github.io/token", "good.github.io", false},
		"other address":    {"https://10.0.0.2/token", "10.0.0.1:5000", false},
		"address and name": {"https://10.0.0.2/token", "reg.example", false},
		"single labels":    {"https://other/token", "registry:5000", false},
		"private domain":   {"https://gitlab.corp.lan/jwt/auth", "registry.corp.lan", true},
		"other services":   {"https://auth.theirs.svc.cluster.local/token", "registry.ours.svc.cluster.local:5000", false},
		"one namespace":    {"https://auth.ours.svc.cluster.local/token", "registry.ours.svc.cluster.local:5000", false},
		"short names":      {"https://auth.ours.svc/token", "registry.ours.svc", false},
		"own cluster name": {"https://auth.ours.svc.k8s.corp/token", "registry.ours.svc.k8s.corp", false},
		"final dot":        {"https://auth.docker.io./token", "registry-1.docker.io", true},
	}
	for name, tc := range cases {
		u, err := url.Parse(tc.realm)
		if err != nil {
			t.Fatal(err)
		}
		if got := sameSite(u, tc.registry); got != tc.want {
			t.Errorf("%s: sameSite(%s, %s) = %v", name, tc.realm, tc.registry, got)
		}
	}
}

func TestRedirectToPlainHTTP(t *testing.T) {
	t.Parallel()
	c := NewClient(Options{})
	from := &http.Request{URL: &url.URL{Scheme: "https", Host: "a"}}
	to := &http.Request{URL: &url.URL{Scheme: "http", Host: "a"}}
	if err := c.checkRedirect(to, []*http.Request{from}); err == nil {
		t.Error("a redirect from https to http is followed")
	}
	if err := c.checkRedirect(from, []*http.Request{to}); err != nil {
		t.Errorf("a redirect from http to https is refused: %v", err)
	}
}
