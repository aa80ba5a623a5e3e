package forge

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// answering answers every request with the same bytes.
type answering struct {
	status int
	body   []byte
}

// RoundTrip implements http.RoundTripper.
func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	header := http.Header{"Link": {`<x>; rel="last"`}, "Retry-After": {"7"}}
	return &http.Response{StatusCode: a.status, Header: header, Body: io.NopCloser(bytes.NewReader(a.body)), Request: r}, nil
}

// FuzzAnswer gives foreign bytes to every method of every implementation: none panics, errors are short texts without the token, and what is returned is what a status has room for.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"number":1,"html_url":"http://h/1","state":"closed","title":"WIP: t","body":null,"draft":true,"merged":true,"merged_at":"2026-01-01T00:00:00Z","merge_commit_sha":"` + strings.Repeat("a", 40) +
			`","labels":[{"id":1,"name":"l"}],"head":{"ref":"a","label":"a","sha":"x","repo":{"id":1}},"base":{"ref":"main","repo":{"id":1}}}`,
		`[{"iid":1,"state":"opened","title":"Draft: t","source_branch":"a","target_branch":"main","source_project_id":1,"target_project_id":1,"labels":["l"],"draft":true}]`,
		`{"message":{"base":["secret-token"]},"errors":[{"message":"x"}]}`, `[]`, `null`, `{"message":"rate limit"}`, `[[[[`, "\x00", `{"number":-1}`, `{"number":1e400}`,
	} {
		for _, status := range []int{200, 201, 204, 302, 401, 403, 404, 409, 422, 429, 500} {
			f.Add(status, []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 599 {
			return
		}
		for _, provider := range []string{GitHub, GitLab, Gitea} {
			forge, err := New(Options{
				Provider: provider, RepositoryURL: "https://forge.example.org/a/b", Token: "secret-token", Client: &http.Client{Transport: answering{status, body}},
			})
			if err != nil {
				t.Fatal(err)
			}
			draft := Draft{Title: "t", Body: "b", Head: "a", Base: "main", Labels: []string{"l", "m"}}
			found, err := forge.Open(t.Context(), "a")
			judge(t, err)
			for i := range found {
				if found[i].Head != "a" || found[i].State != Open {
					t.Errorf("%s: not an open request of the branch: %+v", provider, found[i])
				}
			}
			for _, ask := range []func() (*Request, error){
				func() (*Request, error) { return forge.Get(t.Context(), 1) },
				func() (*Request, error) { return forge.Create(t.Context(), draft) },
				func() (*Request, error) { return forge.Update(t.Context(), 1, draft) },
			} {
				request, err := ask()
				judge(t, err)
				if err == nil && (request.Number < 1 || len(request.URL) > maxURL || (request.MergeCommit != "" && request.State != Merged)) {
					t.Errorf("%s: %+v", provider, request)
				}
			}
			judge(t, forge.Close(t.Context(), 1, "bye"))
		}
	})
}

// judge looks at an error that goes into a status.
func judge(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if text := err.Error(); len(text) > 2048 || strings.Contains(text, "secret-token") || !utf8.ValidString(text) || strings.ContainsAny(text, "\x00\x1b\n\r") {
		t.Errorf("error of %d bytes: %q", len(text), text)
	}
}

// FuzzAddress: whatever the address, the path has segments that are safe in a URL, and errors do not repeat passwords.
func FuzzAddress(f *testing.F) {
	for _, seed := range []string{"https://github.com/a/b", "git@h:a/b.git", "ssh://git@[::1]:22/a/b", "https://u:p@h/a/../b", "http://%zz", "::", "https://h/a%2f..%2fb/c"} {
		f.Add(seed, "https://h/x/api/v4")
	}
	f.Fuzz(func(t *testing.T, repository, api string) {
		for _, provider := range []string{GitHub, GitLab, Gitea} {
			parts, err := repositoryPath(repository, api, provider)
			if err == nil && strings.ContainsAny(strings.Join(parts, "/"), "%?#\\\x00 \n") {
				t.Errorf("%q gives %q", repository, parts)
			}
			for _, part := range parts {
				if part == "" || part == "." || part == ".." {
					t.Errorf("%q gives %q", repository, parts)
				}
			}
			if address, err := APIURL(provider, repository); err == nil {
				if c, err := newClient(Options{Token: "t"}, address); err == nil && c.base.User != nil {
					t.Errorf("%q gives %q", repository, address)
				}
			}
		}
	})
}

// BenchmarkOpen reads a page of requests with long texts, as at each interval.
func BenchmarkOpen(b *testing.B) {
	one := `{"number":%d,"state":"open","title":"t","body":"` + strings.Repeat("x", 60_000) + `","labels":[],"head":{"ref":"a","repo":{"id":1}},"base":{"ref":"main","repo":{"id":1}}}`
	var requests []string
	for i := range githubPage {
		requests = append(requests, fmt.Sprintf(one, i+1))
	}
	page := []byte("[" + strings.Join(requests, ",") + "]")
	f, err := New(Options{Provider: GitHub, RepositoryURL: "https://h/a/b", Token: "t", Client: &http.Client{Transport: answering{200, page}, Timeout: time.Minute}})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(page)))
	b.ReportAllocs()
	for b.Loop() {
		if found, err := f.Open(b.Context(), "a"); err != nil || len(found) != githubPage {
			b.Fatal(len(found), err)
		}
	}
}
