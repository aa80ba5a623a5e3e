package forge

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestClean(t *testing.T) {
	t.Parallel()
	for _, c := range []string{"a", "ü", "🚀"} {
		title := Clean(Draft{Title: strings.Repeat(c, 300)}).Title
		if len(title) > titleBytes || len(title) < titleBytes-len(c) || strings.Trim(title, c) != ellipsis || Clean(Draft{Title: title}).Title != title {
			t.Errorf("a long title has %d bytes: %q", len(title), title)
		}
	}
	d := Clean(Draft{Title: " two\r\n lines\t\xff ", Body: "a\r\nb \n\n"})
	if d.Title != "two lines" || d.Body != "a\nb" || Clean(d).Title != d.Title {
		t.Errorf("%+v", d)
	}
}

func TestDiffers(t *testing.T) {
	t.Parallel()
	is := Request{Title: "Deliver", Body: "text", Base: "main", Labels: []string{"Bug", "theirs"}}
	for name, c := range map[string]struct {
		draft  Draft
		want   bool
		reason string
	}{
		"the same":           {Draft{Title: "Deliver", Body: "text", Base: "main", Labels: []string{"bug"}}, false, "case of labels does not matter, and those of others may be there"},
		"nothing of it":      {Draft{Body: "text"}, false, "what is empty stays"},
		"line ends":          {Draft{Title: "Deliver", Body: "text\r\n"}, false, "forges change them"},
		"a mark taken off":   {Draft{Title: "Draft: Deliver", Body: "text"}, false, "a reviewer says when it is ready"},
		"title":              {Draft{Title: "deliver", Body: "text"}, true, ""},
		"body":               {Draft{Title: "Deliver"}, true, ""},
		"base":               {Draft{Title: "Deliver", Body: "text", Base: "next"}, true, ""},
		"a label is missing": {Draft{Title: "Deliver", Body: "text", Labels: []string{"bug", "new"}}, true, ""},
	} {
		if got := Differs(&is, c.draft); got != c.want {
			t.Errorf("%s: %v, want %v (%s)", name, got, c.want, c.reason)
		}
	}
}

func TestDraftMark(t *testing.T) {
	t.Parallel()
	for title, want := range map[string]string{"Draft: a": "a", "[WIP]a": "a", "wip: a": "a", "(Draft) a": "a", "drafty": "drafty", "": "", "Draft:": ""} {
		if _, rest := draftMark(title); rest != want {
			t.Errorf("%q: %q, want %q", title, rest, want)
		}
	}
	// A request of the user's own that says so in its title keeps one mark, also after a reviewer has marked it.
	r := Request{Title: "a", Draft: true, Body: "b"}
	if change := plan(&r, Draft{Title: "[Draft] b", Body: "b"}, "Draft:"); change.title == nil || *change.title != "[Draft] b" || change.body != nil || change.base != nil {
		t.Errorf("%+v", change)
	}
}

func TestUntil(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	for name, c := range map[string]struct {
		header map[string]string
		want   time.Duration
	}{
		"nothing":            {nil, time.Minute},
		"seconds":            {map[string]string{"Retry-After": "30"}, 30 * time.Second},
		"a date":             {map[string]string{"Retry-After": now.Add(time.Hour).UTC().Format(http.TimeFormat)}, time.Hour},
		"seconds come first": {map[string]string{"Retry-After": "30", "X-RateLimit-Reset": "1800003600"}, 30 * time.Second},
		"a time":             {map[string]string{"X-RateLimit-Reset": "1800003600"}, time.Hour},
		"a time of GitLab":   {map[string]string{"RateLimit-Reset": "1800000060"}, time.Minute},
		"the draft standard": {map[string]string{"RateLimit-Reset": "90"}, 90 * time.Second},
		"another limit":      {map[string]string{"X-RateLimit-Remaining": "4900", "X-RateLimit-Reset": "1800003600"}, time.Minute},
		"this limit":         {map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1800003600"}, time.Hour},
		"GitLab's, used up":  {map[string]string{"RateLimit-Remaining": "0", "RateLimit-Reset": "1800003600"}, time.Hour},
		"the past":           {map[string]string{"X-RateLimit-Reset": "1700000000"}, time.Second},
		"now":                {map[string]string{"Retry-After": "0"}, time.Second},
		"for ever":           {map[string]string{"Retry-After": "2000000000"}, 6 * time.Hour},
		"far away":           {map[string]string{"X-RateLimit-Reset": "2305843009213693951"}, 6 * time.Hour},
		"no number":          {map[string]string{"Retry-After": "soon"}, time.Minute},
		"negative":           {map[string]string{"RateLimit-Reset": "-5"}, time.Minute},
	} {
		h := http.Header{}
		for name, value := range c.header {
			h.Set(name, value)
		}
		if got := until(h, now).Sub(now); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestMessage(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string]string{
		`{"message":"Validation Failed","errors":[{"resource":"PullRequest","code":"custom","message":"A pull request already exists for a:b."}]}`:                          "Validation Failed: A pull request already exists for a:b.",
		`{"message":"Validation Failed","errors":[{"resource":"PullRequest","field":"head","code":"invalid"}]}`:                                                             "Validation Failed: code invalid: field head: resource PullRequest",
		`{"message":{"source_branch":["does not exist"]}}`:                                                                                                                  "source_branch does not exist",
		`{"message":["Another open merge request already exists: !38"]}`:                                                                                                    "Another open merge request already exists: !38",
		`{"error":"insufficient_scope","error_description":"The request requires"}`:                                                                                         "insufficient_scope: The request requires",
		`{"errors":null,"message":"not found","url":"http://x/api/swagger"}`:                                                                                                "not found",
		`{"message":"You have exceeded a secondary rate limit. If you reach out to GitHub Support for help, please include the request ID 12AB and timestamp 2026-01-01."}`: "You have exceeded a secondary rate limit.",
		"Retry later\n":               "Retry later",
		"<html><body>502</body>":      "",
		`{"message":7}`:               "",
		`[1,2]`:                       "[1,2]",
		"\xff\xfe":                    "",
		strings.Repeat("[", 1000):     strings.Repeat("[", 1000),
		`{"message":[[["a"],["b"]]]}`: "a: b",
	} {
		if got := message([]byte(sent)); got != want {
			t.Errorf("%s: %q, want %q", sent, got, want)
		}
	}
	if got := printable(strings.Repeat("ü\n", 1000), 512); len(got) > 512 || !strings.HasSuffix(got, "…") {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}

// TestNeverOurs: what a forge says of a request is looked at, not believed.
func TestNeverOurs(t *testing.T) {
	t.Parallel()
	for name, sent := range map[string]string{
		"a fork":            `{"number":1,"head":{"ref":"a","repo":{"id":2}},"base":{"ref":"main","repo":{"id":1}}}`,
		"a deleted fork":    `{"number":1,"head":{"ref":"a","repo":null},"base":{"ref":"main","repo":{"id":1}}}`,
		"no repositories":   `{"number":1,"head":{"ref":"a"},"base":{"ref":"main"}}`,
		"ids that are none": `{"number":1,"head":{"ref":"a","repo":{"id":0}},"base":{"ref":"main","repo":{"id":0}}}`,
		"another branch":    `{"number":1,"head":{"ref":"A","label":"x:a","repo":{"id":1}},"base":{"ref":"main","repo":{"id":1}}}`,
	} {
		var p pull
		if err := decode([]byte(sent), &p); err != nil || p.ours("a") {
			t.Errorf("%s: %v, taken for ours: %v", name, err, p.ours("a"))
		}
	}
	var m mergeRequest
	if err := decode([]byte(`{"iid":1,"source_branch":"a"}`), &m); err != nil || m.ours("a") {
		t.Errorf("a merge request without projects: %v", err)
	}
	p := pull{HTMLURL: "javascript:alert(1)", MergeCommitSHA: "--upload-pack=x", Merged: true, Head: pullBranch{SHA: "../../x", Ref: "refs/pull/7/head", Label: "a"}}
	if r := p.request(); r.URL != "" || r.MergeCommit != "" || r.HeadCommit != "" || r.Head != "a" {
		t.Errorf("%+v", r)
	}
}

// TestRefusedBeforeSending: what no forge accepts is not sent, and the error names the field of the user.
func TestRefusedBeforeSending(t *testing.T) {
	t.Parallel()
	for _, provider := range []string{GitHub, GitLab, Gitea} {
		s := &script{}
		f, err := New(Options{Provider: provider, RepositoryURL: "https://git.acme.org/acme/fleet", Token: "t", Client: &http.Client{Transport: s}})
		if err != nil {
			t.Fatal(err)
		}
		good := Draft{Title: "t", Head: "a", Base: "main"}
		for name, c := range map[string]struct {
			change func(*Draft)
			say    string
			only   string
		}{
			"title": {func(d *Draft) { d.Title = " \n" }, "pullRequestTemplate.title", ""},
			"head":  {func(d *Draft) { d.Head = "" }, "head and a base", ""},
			"base":  {func(d *Draft) { d.Base = "" }, "head and a base", ""},
			"comma": {func(d *Draft) { d.Labels = []string{"a,b"} }, "pullRequestTemplate.labels", GitLab},
		} {
			if c.only != "" && c.only != provider {
				continue
			}
			draft := good
			c.change(&draft)
			if request, err := f.Create(t.Context(), draft); err == nil || !strings.Contains(err.Error(), c.say) || request != nil {
				t.Errorf("%s, %s: %+v, %v", provider, name, request, err)
			}
		}
		if _, err := f.Get(t.Context(), 0); err == nil {
			t.Errorf("%s: there is no request 0", provider)
		}
		if provider == GitLab {
			if _, err := f.Update(t.Context(), 1, Draft{Labels: []string{"a,b"}}); err == nil || !strings.Contains(err.Error(), "comma") {
				t.Errorf("update: %v", err)
			}
		}
		if len(s.asked) > 0 {
			t.Errorf("%s: sent %s", provider, s.asked)
		}
	}
}

// TestSameServer: the token goes along to the same server only.
func TestSameServer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from, to string
		want     bool
	}{
		"another page":           {"https://git.acme.org/a", "https://git.acme.org/b", true},
		"its port is said":       {"https://git.acme.org/a", "https://GIT.acme.org:443/a", true},
		"to TLS":                 {"http://git.acme.org/a", "https://git.acme.org/a", true},
		"to TLS on another port": {"http://git.acme.org/a", "https://git.acme.org:9999/a", false},
		"to TLS from a port":     {"http://git.acme.org:3000/a", "https://git.acme.org/a", true},
		"to TLS on this port":    {"http://git.acme.org:3000/a", "https://git.acme.org:3000/a", true},
		"from TLS":               {"https://git.acme.org/a", "http://git.acme.org/a", false},
		"another port":           {"http://git.acme.org/a", "http://git.acme.org:3000/a", false},
		"another host":           {"https://git.acme.org/a", "https://acme.org/a", false},
		"another scheme":         {"http://git.acme.org/a", "ftp://git.acme.org:80/a", false},
	} {
		from, err := url.Parse(c.from)
		if err != nil {
			t.Fatal(err)
		}
		to, err := (&client{}).redirected(&http.Response{StatusCode: http.StatusFound, Header: http.Header{"Location": {c.to}}}, http.MethodGet, from)
		if moved, refused := errors.AsType[*RedirectError](err); refused == c.want || (to != nil) != c.want {
			t.Errorf("%s: goes to %v, %v", name, to, moved)
		}
	}
}
