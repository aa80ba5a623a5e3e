package forge

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// script answers as a Gitea was seen to: by method and path, and page where there are some.
type script struct {
	answers map[string]string
	asked   []string
}

// RoundTrip implements http.RoundTripper.
func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	key := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/api/v1/")
	if page := r.URL.Query().Get("page"); page != "" {
		key += "?" + page
	}
	if r.Method != http.MethodGet {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		s.asked = append(s.asked, key+" "+string(body))
	}
	status, answer := http.StatusOK, s.answers[key]
	if code, rest, ok := strings.Cut(answer, " "); ok && len(code) == 3 {
		status = map[string]int{"201": 201, "403": 403, "404": 404}[code]
		answer = rest
	}
	header := http.Header{}
	if _, next := s.answers[strings.TrimSuffix(key, "1")+"2"]; strings.HasSuffix(key, "?1") && next {
		header.Set("Link", `<https://elsewhere.example.org/?page=2>; rel="next"`)
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
}

func scripted(t *testing.T, answers map[string]string) (Forge, *script) {
	t.Helper()
	s := &script{answers: answers}
	f, err := New(Options{Provider: Gitea, RepositoryURL: "https://git.acme.org/acme/fleet", Token: "t", Client: &http.Client{Transport: s}})
	if err != nil {
		t.Fatal(err)
	}
	return f, s
}

func giteaPull(number, title, labels string) string {
	return `{"id":900,"number":` + number + `,"state":"open","title":"` + title + `","draft":` + map[bool]string{true: "true", false: "false"}[strings.HasPrefix(title, "WIP")] +
		`,"labels":` + labels + `,"head":{"ref":"a","label":"a","repo":{"id":3}},"base":{"ref":"main","repo":{"id":3}}}`
}

// TestGiteaLabels: labels are known by id, in the repository or in the organization, and are created where they are missing.
func TestGiteaLabels(t *testing.T) {
	t.Parallel()
	f, s := scripted(t, map[string]string{
		"POST repos/acme/fleet/pulls":           "201 " + giteaPull("7", "Deliver", "[]"),
		"GET repos/acme/fleet/labels?1":         `[{"id":1,"name":"other"}]`,
		"GET repos/acme/fleet/labels?2":         `[{"id":2,"name":"Delivery"}]`,
		"GET orgs/acme/labels?1":                `[{"id":30,"name":"team-a"},{"id":31,"name":"delivery"}]`,
		"POST repos/acme/fleet/labels":          `201 {"id":4,"name":"new"}`,
		"POST repos/acme/fleet/issues/7/labels": `[{"id":4,"name":"new"},{"id":2,"name":"Delivery"}]`,
	})
	created, err := f.Create(t.Context(), Draft{Title: "Deliver", Head: "a", Base: "main", Labels: []string{"delivery", "team-a", "new"}})
	if err != nil || created.Number != 7 || !slices.Equal(created.Labels, []string{"Delivery", "new"}) {
		t.Fatalf("%+v, %v", created, err)
	}
	want := []string{
		`POST repos/acme/fleet/pulls {"base":"main","body":"","head":"a","title":"Deliver"}`,
		`POST repos/acme/fleet/labels {"color":"#1d76db","name":"new"}`,
		`POST repos/acme/fleet/issues/7/labels {"labels":[2,30,4]}`,
	}
	if !slices.Equal(s.asked, want) {
		t.Errorf("asked\n%s\nwant\n%s", strings.Join(s.asked, "\n"), strings.Join(want, "\n"))
	}
}

// TestGiteaLabelForbidden: the request exists although its label may not be created, and the error says which one.
func TestGiteaLabelForbidden(t *testing.T) {
	t.Parallel()
	f, _ := scripted(t, map[string]string{
		"POST repos/acme/fleet/pulls":   "201 " + giteaPull("7", "Deliver", "[]"),
		"GET repos/acme/fleet/labels?1": `[]`,
		"GET orgs/acme/labels?1":        `404 {"message":"not found"}`,
		"POST repos/acme/fleet/labels":  `403 {"message":"token does not have at least one of required scope(s)"}`,
	})
	created, err := f.Create(t.Context(), Draft{Title: "Deliver", Head: "a", Base: "main", Labels: []string{"new"}})
	if !errors.Is(err, ErrForbidden) || !strings.Contains(err.Error(), `"new"`) || created == nil || created.Number != 7 {
		t.Errorf("%+v, %v", created, err)
	}
}

// TestGiteaOpen: all open requests are read, and links are not followed. What moves to the next page in between is there once.
func TestGiteaOpen(t *testing.T) {
	t.Parallel()
	f, _ := scripted(t, map[string]string{
		"GET repos/acme/fleet/pulls?1": "[" + giteaPull("9", "b", "[]") + "," + giteaPull("7", "WIP: a", "[]") + "]",
		"GET repos/acme/fleet/pulls?2": "[" + giteaPull("7", "WIP: a", "[]") + `,{"number":8,"state":"open","head":{"ref":"a","repo":{"id":5}},"base":{"ref":"main","repo":{"id":3}}}]`,
	})
	found, err := f.Open(t.Context(), "a")
	if err != nil || len(found) != 2 || found[0].Number != 7 || found[1].Number != 9 || found[0].Title != "a" || !found[0].Draft {
		t.Errorf("%+v, %v", found, err)
	}
}

// TestEndlessPages: a server that always has another page is given up.
func TestEndlessPages(t *testing.T) {
	t.Parallel()
	for _, provider := range []string{GitHub, GitLab, Gitea} {
		pages := 0
		f, err := New(Options{Provider: provider, RepositoryURL: "https://git.acme.org/acme/fleet", Token: "t", Client: &http.Client{Transport: endless{&pages}}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Open(t.Context(), "a")
		if limit, ok := errors.AsType[*TooLargeError](err); !ok || limit.Limit != maxPages || pages != maxPages {
			t.Errorf("%s: %d pages, %v", provider, pages, err)
		}
	}
}

// TestNotHTTP: what answers in place of a server is not repeated at length.
func TestNotHTTP(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			// The other side may hang up in the middle.
			_, err = conn.Write([]byte("SSH-2.0-" + strings.Repeat("a-token ", 10_000) + "\r\n"))
			if err := errors.Join(err, conn.Close()); err != nil {
				continue
			}
		}
	}()
	f, err := New(Options{Provider: Gitea, RepositoryURL: "http://" + listener.Addr().String() + "/acme/fleet", Token: "a-token"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Get(t.Context(), 1); err == nil || len(err.Error()) > 1024 || strings.Contains(err.Error(), "a-token") {
		t.Errorf("%v", err)
	}
}

type endless struct{ pages *int }

// RoundTrip implements http.RoundTripper.
func (e endless) RoundTrip(r *http.Request) (*http.Response, error) {
	*e.pages++
	body, err := json.Marshal([]pull{{Number: 1}})
	header := http.Header{"Link": {`<https://elsewhere.example.org/>; rel="next"`}}
	return &http.Response{StatusCode: http.StatusOK, Header: header, Body: io.NopCloser(strings.NewReader(string(body))), Request: r}, err
}
