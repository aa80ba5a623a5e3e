package oci

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
)

// detour plays the part of a proxy of one's own: it answers in the name of every host.
type detour struct{ to *url.URL }

// RoundTrip implements http.RoundTripper.
func (d detour) RoundTrip(req *http.Request) (*http.Response, error) {
	out := req.Clone(req.Context())
	out.URL.Scheme, out.URL.Host = d.to.Scheme, d.to.Host
	return http.DefaultTransport.RoundTrip(out)
}

// unchanging is a registry all of whose contents seem to be the same for ever.
func unchanging(t *testing.T, answer http.HandlerFunc) detour {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("ETag", `"guessed"`)
		if req.Header.Get("If-None-Match") == `"guessed"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		answer(w, req)
	}))
	t.Cleanup(server.Close)
	to, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return detour{to}
}

// telling answers everything with a text.
func telling(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(text)) // the client is gone if this fails
	}
}

// TestMemoryConnections tells nobody what somebody else's proxy said in the name of a registry.
func TestMemoryConnections(t *testing.T) {
	t.Parallel()
	const ours, theirs = `{"tags":["ours"],"layers":[]}`, `{"tags":["theirs"],"layers":[]}`
	for name, tc := range map[string]struct {
		their, our string
		shared     bool
	}{
		"different":        {their: "by a proxy", our: "usual"},
		"one is not named": {their: "", our: "usual"},
		"none is named":    {},
		"the same":         {their: "usual", our: "usual", shared: true},
	} {
		memory := NewMemory(MemoryOptions{})
		read := func(connection string, by detour) string {
			l, err := ParseURL("https://registry.example/a")
			if err != nil {
				t.Fatal(err)
			}
			r, err := NewClient(Options{Home: l.Host, Memory: memory, Transport: by, Connection: connection}).Repository(l)
			if err != nil {
				t.Fatal(err)
			}
			m, err := r.Manifest(t.Context(), "1.0")
			if err != nil {
				t.Fatal(err)
			}
			tags, err := r.Tags(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprintf("%s %s", m.Bytes, tags)
		}
		if got, want := read(tc.their, unchanging(t, telling(theirs))), theirs+" [theirs]"; got != want {
			t.Errorf("%s: read %s, want %s", name, got, want)
		}
		want := ours + " [ours]"
		if tc.shared {
			want = theirs + " [theirs]"
		}
		if got := read(tc.our, unchanging(t, telling(ours))); got != want {
			t.Errorf("%s: read %s, want %s", name, got, want)
		}
	}
}

// TestMemoryDigest uses nothing that is remembered and not what the registry means.
func TestMemoryDigest(t *testing.T) {
	t.Parallel()
	const text = `{"layers":[]}`
	for name, tc := range map[string]struct {
		stated string // with the answer that nothing has changed
		spoil  bool   // what is remembered
		want   int    // requests
	}{
		"nothing is stated":    {want: 2},
		"the same is stated":   {stated: digest.FromString(text).String(), want: 2},
		"by another algorithm": {stated: digest.SHA512.FromString(text).String(), want: 2},
		"another is stated":    {stated: digest.FromString("other").String(), want: 3},
		"it was changed":       {spoil: true, want: 3},
	} {
		asked := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			asked++
			w.Header().Set("ETag", `"x"`)
			if req.Header.Get("If-None-Match") == "" {
				telling(text)(w, req)
				return
			}
			if tc.stated != "" {
				w.Header().Set(digestHeader, tc.stated)
			}
			w.WriteHeader(http.StatusNotModified)
		}))
		t.Cleanup(server.Close)
		l, err := ParseURL(server.URL + "/a")
		if err != nil {
			t.Fatal(err)
		}
		r, err := NewClient(Options{Home: l.Host, Memory: NewMemory(MemoryOptions{})}).Repository(l)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			m, err := r.Manifest(t.Context(), "1.0")
			if err != nil || string(m.Bytes) != text {
				t.Fatalf("%s: Manifest = %+v, %v", name, m, err)
			}
			if tc.spoil {
				m.Bytes[0] = ' '
			}
		}
		if asked != tc.want {
			t.Errorf("%s: %d requests, want %d", name, asked, tc.want)
		}
	}
}

// TestBudgetOfConnections lets no proxy of somebody else's ask in the name of a registry to be left alone.
func TestBudgetOfConnections(t *testing.T) {
	t.Parallel()
	pauses := 0
	budget := NewBudget(BudgetOptions{Paused: func(string, time.Duration) { pauses++ }})
	resolve := func(by detour) error {
		l, err := ParseURL("https://registry.example/a")
		if err != nil {
			t.Fatal(err)
		}
		r, err := NewClient(Options{Home: l.Host, Budget: budget, Transport: by}).Repository(l)
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Resolve(t.Context(), "1.0")
		return err
	}
	if err := resolve(unchanging(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "600")
		w.WriteHeader(http.StatusTooManyRequests)
	})); err == nil || pauses != 1 {
		t.Errorf("%v after %d pauses, want one and an error", err, pauses)
	}
	start := time.Now()
	if err := resolve(unchanging(t, telling(`{"layers":[]}`))); err != nil || time.Since(start) > 30*time.Second {
		t.Errorf("%v after %s", err, time.Since(start))
	}
}

// TestComparesConnections takes nobody's word but the registry's own for what it refuses.
func TestComparesConnections(t *testing.T) {
	t.Parallel()
	memory := NewMemory(MemoryOptions{})
	compares := func(by detour) bool {
		l, err := ParseURL("https://registry.example/a")
		if err != nil {
			t.Fatal(err)
		}
		r, err := NewClient(Options{Home: l.Host, Memory: memory, Transport: by}).Repository(l)
		if err != nil {
			t.Fatal(err)
		}
		return r.compares(t.Context())
	}
	takes := func(put http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, req *http.Request) {
			if req.Method != http.MethodPost {
				put(w, req)
				return
			}
			w.Header().Set("Location", req.URL.Path+"1")
			w.WriteHeader(http.StatusAccepted)
		}
	}
	if !compares(unchanging(t, takes(func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusBadRequest, "DIGEST_INVALID", "other content")
	}))) {
		t.Error("what refuses wrong content does not compare it")
	}
	if compares(unchanging(t, takes(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) }))) {
		t.Error("somebody's proxy decides for others what a registry compares")
	}
}
