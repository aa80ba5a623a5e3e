package mutation

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// fetchFile fetches values.yaml as an operator does that is given no client of its own.
func fetchFile(t *testing.T, url, sum string) ([]byte, error) {
	t.Helper()
	e := newEngine(nil, nil, nil, nil, Options{})
	return e.fileOf(t.Context(), artifact{url: url, digest: sum}, "values.yaml", e.valuesFile())
}

func TestArtifactsAreFetchedFromThisMachine(t *testing.T) {
	t.Parallel()
	content := reconcilertest.Gzip(t, reconcilertest.Tar(t, map[string]string{"values.yaml": "a: 1"}))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) }))
	t.Cleanup(server.Close)
	got, err := fetchFile(t, server.URL, digest.FromBytes(content).String())
	if err != nil || string(got) != "a: 1" {
		t.Errorf("got %q (%v), want the file", got, err)
	}
}

func TestAddressesThatNoArtifactIsFetchedFrom(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"169.254.169.254", "169.254.170.2:80", "100.100.100.200", "[::ffff:169.254.169.254]"} {
		_, err := fetchFile(t, "http://user:word@"+host+"/latest", digest.FromString("x").String())
		if err == nil || !strings.Contains(err.Error(), "no request is sent to") || strings.Contains(err.Error(), "word") {
			t.Errorf("%s: error is %v, want a refusal without the password", host, err)
			continue
		}
		if verdict, ok := judgedFile("Reason", err).(*lifecycle.Verdict); !ok || !verdict.Final() { //nolint:errorlint // it is the outermost
			t.Errorf("%s: %v is no verdict, it would be tried again", host, err)
		}
	}
}

func TestAnswersThatAreNoArtifact(t *testing.T) {
	t.Parallel()
	led := 0
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { led++ }))
	t.Cleanup(elsewhere.Close)
	said := map[string]bool{}
	for _, status := range []int{http.StatusFound, http.StatusTemporaryRedirect, http.StatusUnauthorized, http.StatusNotFound, http.StatusInternalServerError} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", elsewhere.URL)
			w.WriteHeader(status)
		}))
		_, err := fetchFile(t, server.URL, digest.FromString("x").String())
		server.Close()
		if err == nil || !strings.Contains(err.Error(), "does not answer") {
			t.Fatalf("status %d: error is %v", status, err)
		}
		said[strings.ReplaceAll(err.Error(), server.URL, "")] = true
	}
	if led != 0 {
		t.Errorf("%d redirects were followed", led)
	}
	if len(said) != 1 {
		t.Errorf("the message tells one answer from another: %v", said)
	}
}
