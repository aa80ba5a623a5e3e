package registry_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/registry"
	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

// TestAnswersOfAuthorizers: clients log in by what they are told, and come back when that is worth while. None is told more
// than that.
func TestAnswersOfAuthorizers(t *testing.T) {
	t.Parallel()
	content, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = content.Close() })
	for name, c := range map[string]struct {
		err       error
		status    int
		code      string
		retry     string
		challenge string
	}{
		"no credential": {auth.ErrUnauthenticated, http.StatusUnauthorized, "UNAUTHORIZED", "", `Basic realm="ocm-registry", charset="UTF-8"`},
		"denied":        {fmt.Errorf("%w: why", auth.ErrDenied), http.StatusForbidden, "DENIED", "", ""},
		"limited":       {&auth.LimitedError{After: 7 * time.Second}, http.StatusTooManyRequests, "TOOMANYREQUESTS", "7", ""},
		"no answer":     {fmt.Errorf("%w: %w", auth.ErrUnavailable, errors.New("secret")), http.StatusServiceUnavailable, "UNKNOWN", "2", ""},
		"no time":       {fmt.Errorf("%w: %w", auth.ErrUnavailable, context.DeadlineExceeded), http.StatusServiceUnavailable, "UNKNOWN", "2", ""},
	} {
		var asked auth.Request
		authorizer := auth.Func(func(_ context.Context, r auth.Request) error {
			asked = r
			return c.err
		})
		request := httptest.NewRequest(http.MethodGet, "/v2/team/app/tags/list", http.NoBody)
		request.RemoteAddr = "192.0.2.1:1234"
		request.Header.Set("X-Forwarded-For", "198.51.100.1")
		request.Header.Set("Forwarded", "for=198.51.100.1")
		answer := httptest.NewRecorder()
		registry.NewHandler(content, registry.Options{Authorizer: authorizer}).ServeHTTP(answer, request)
		body := answer.Body.String()
		if answer.Code != c.status || !strings.Contains(body, `"`+c.code+`"`) || strings.Contains(body, "secret") {
			t.Errorf("%s: got %d %s", name, answer.Code, body)
		}
		if retry, challenge := answer.Header().Get("Retry-After"), answer.Header().Get("WWW-Authenticate"); retry != c.retry || challenge != c.challenge {
			t.Errorf("%s: Retry-After is %q and the challenge %q", name, retry, challenge)
		}
		if asked.Client != "192.0.2.1:1234" {
			t.Errorf("%s: the client is said to be %q", name, asked.Client)
		}
	}
}
