package forgetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/git/forge"
)

// interceptor answers requests in place of a server, or lets them pass.
type interceptor struct {
	next   http.RoundTripper
	answer func(*http.Request) *http.Response
}

// RoundTrip implements http.RoundTripper.
func (i *interceptor) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if resp := i.answer(r); resp != nil {
		resp.Request = r
		return resp, nil
	}
	return i.next.RoundTrip(r)
}

// intercepted is an option: requests are given to answer first, which may change them, and answer them; nil lets them pass.
func intercepted(client *http.Client, answer func(*http.Request) *http.Response) func(*forge.Options) {
	next := http.DefaultTransport
	if client != nil && client.Transport != nil {
		next = client.Transport
	}
	return func(o *forge.Options) { o.Client = &http.Client{Transport: &interceptor{next: next, answer: answer}} }
}

// response is an answer of a server that is not there.
func response(status int, body io.Reader, header ...string) *http.Response {
	resp := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(body), ProtoMajor: 1, ProtoMinor: 1}
	for i := 0; i+1 < len(header); i += 2 {
		resp.Header.Set(header[i], header[i+1])
	}
	return resp
}

// fault is something that can come back for every request.
type fault struct {
	reason string
	answer reply
	check  func(err error) bool
}

// reply is an answer to be; endless ones go on after body.
type reply struct {
	status  int
	body    string
	header  []string
	endless bool
}

func (r reply) response() *http.Response {
	var body io.Reader = strings.NewReader(r.body)
	if r.endless {
		body = io.MultiReader(body, endless('x'))
	}
	return response(r.status, body, r.header...)
}

// endless sends the same byte for ever.
type endless byte

// Read implements io.Reader.
func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}

func faults(token string, reset time.Time) map[string]fault {
	text := func(status int, body string, header ...string) reply {
		return reply{status: status, body: body, header: header}
	}
	limited := func(err error) bool {
		limit, ok := errors.AsType[*forge.RateLimitedError](err)
		return ok && limit.Until.After(time.Now().Add(time.Minute)) && limit.Until.Before(time.Now().Add(time.Hour))
	}
	tooLarge := func(err error) bool { _, ok := errors.AsType[*forge.TooLargeError](err); return ok }
	refused := func(err error) bool { return strings.Contains(err.Error(), "check repository.provider") }
	status := func(code int) func(err error) bool {
		return func(err error) bool {
			failure, ok := errors.AsType[*forge.ResponseError](err)
			return ok && failure.Status == code && len(failure.Message) <= 512
		}
	}
	without := func(code int, text string) func(err error) bool {
		return func(err error) bool { return status(code)(err) && !strings.Contains(err.Error(), text) }
	}
	seconds := strconv.FormatInt(reset.Unix(), 10)
	return map[string]fault{
		"429 with Retry-After":         {"every forge", text(429, "Retry later\n", "Retry-After", "600"), limited},
		"429 with RateLimit-Reset":     {"GitLab", text(429, "Retry later\n", "RateLimit-Reset", seconds), limited},
		"429 with a date":              {"a proxy", text(429, "", "Retry-After", reset.UTC().Format(http.TimeFormat)), limited},
		"403 with remaining 0":         {"GitHub's hourly limit", text(403, `{"message":"API rate limit exceeded"}`, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", seconds), limited},
		"403 with Retry-After":         {"GitHub's limit of bursts", text(403, `{"message":"You have exceeded a secondary rate limit"}`, "Retry-After", "600"), limited},
		"body without end":             {"memory is bounded", reply{status: 200, body: `{"title":"`, endless: true}, tooLarge},
		"error body without end":       {"memory is bounded", reply{status: 500, endless: true}, status(500)},
		"deep":                         {"the stack is bounded", text(200, strings.Repeat("[", 1<<20)), tooLarge},
		"page for people":              {"a log-in in front of the forge", text(200, "<!DOCTYPE html><title>Log in</title>"), refused},
		"garbage":                      {"not JSON", text(200, "\x00\x01{{{"), refused},
		"cut off":                      {"a connection that broke", text(200, `[{"number":1,"title":"`), refused},
		"other JSON":                   {"an API of something else", text(200, `"ok"`), refused},
		"empty":                        {"nothing", text(200, ""), refused},
		"error page":                   {"pages are not repeated", text(502, "<html>"+strings.Repeat("no ", 1000)), without(502, "html")},
		"token in the error":           {"what is sent back is not shown", text(400, `{"message":"bad header Authorization: Bearer `+token+`"}`), without(400, token)},
		"control characters":           {"nothing that a terminal obeys", text(500, "a\x1b[31mb\r\nc"), func(err error) bool { return strings.Contains(err.Error(), "a [31mb c") }},
		"redirect to nowhere":          {"no Location", text(302, ""), status(302)},
		"redirect in the same loop":    {"redirects are bounded", text(302, "", "Location", "?again"), redirected},
		"redirect to no host":          {"a broken Location", text(302, "", "Location", "http://%zz/"), func(err error) bool { return strings.Contains(err.Error(), "Location") }},
		"redirect with another scheme": {"never to a file", text(302, "", "Location", "file:///etc/passwd"), redirected},
	}
}

func redirected(err error) bool {
	_, ok := errors.AsType[*forge.RedirectError](err)
	return ok
}

// everything is each method of a forge once.
func everything(ctx context.Context, f forge.Forge, w World) map[string]error {
	errs := map[string]error{}
	_, errs["open"] = f.Open(ctx, "ocm/faults/one")
	_, errs["get"] = f.Get(ctx, 1)
	_, errs["create"] = f.Create(ctx, w.draft("ocm/faults/one"))
	_, errs["update"] = f.Update(ctx, 1, w.draft("ocm/faults/one"))
	errs["close"] = f.Close(ctx, 1, "x")
	return errs
}

func testFaults(t *testing.T, w World) {
	for name, c := range faults(w.Token, time.Now().Add(10*time.Minute)) {
		t.Run(name, func(t *testing.T) {
			f := w.open(t, intercepted(w.Client, func(*http.Request) *http.Response { return c.answer.response() }))
			for method, err := range everything(t.Context(), f, w) {
				if err == nil || !c.check(err) {
					t.Errorf("%s (%s): %v", method, c.reason, err)
				}
			}
		})
	}
	t.Run("redirect to another host", func(t *testing.T) { testRedirect(t, w) })
	t.Run("renamed", func(t *testing.T) { testRenamed(t, w) })
	t.Run("given up", func(t *testing.T) { testGivenUp(t, w) })
}

// testRedirect: neither the token nor the request goes to another host, nor to another port of the same one.
func testRedirect(t *testing.T, w World) {
	var reached int
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { reached++ }))
	t.Cleanup(other.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		f := w.open(t, intercepted(w.Client, func(r *http.Request) *http.Response {
			if r.URL.Host == strings.TrimPrefix(other.URL, "http://") {
				return nil
			}
			return response(status, bytes.NewReader(nil), "Location", other.URL+"/api?token=secret")
		}))
		for method, err := range everything(t.Context(), f, w) {
			moved, ok := errors.AsType[*forge.RedirectError](err)
			if !ok || moved.To != other.URL+"/api" {
				t.Errorf("%s after %d: %v", method, status, err)
			}
		}
	}
	if reached > 0 {
		t.Errorf("the other host was asked %d times", reached)
	}
}

// testRenamed: a repository that was renamed answers from its new place on the same host. What only reads goes along; what writes tells the user.
func testRenamed(t *testing.T, w World) {
	created := w.propose(t, w.open(t), "ocm/renamed/one")
	api := must(url.Parse(w.APIURL))(t)
	f := w.open(t, intercepted(w.Client, func(r *http.Request) *http.Response {
		if rest, old := strings.CutPrefix(r.URL.EscapedPath(), api.Path+"/old"); old {
			return response(http.StatusTemporaryRedirect, bytes.NewReader(nil), "Location", api.Path+rest+"?"+r.URL.RawQuery)
		}
		return nil
	}), func(o *forge.Options) { o.APIURL = strings.TrimSuffix(w.APIURL, "/") + "/old" })
	if read := must(f.Get(t.Context(), created.Number))(t); read.Head != created.Head {
		t.Errorf("read %+v", read)
	}
	if found := must(f.Open(t.Context(), "ocm/renamed/one"))(t); len(found) != 1 {
		t.Errorf("found %s, want %d", numbers(found), created.Number)
	}
	if err := f.Close(t.Context(), created.Number, ""); !redirected(err) {
		t.Errorf("close: %v, want a *RedirectError", err)
	}
}

// testGivenUp: a server that never answers is left when the context ends.
func testGivenUp(t *testing.T, w World) {
	f := w.open(t, intercepted(w.Client, func(r *http.Request) *http.Response {
		<-r.Context().Done()
		return nil
	}))
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := f.Get(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}
