package forgetest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/git/forge"
)

// World is a repository of a forge, and the hands of others in it. Everything but Client has to be set.
type World struct {
	// Provider, RepositoryURL and APIURL are what forge.New takes.
	Provider, RepositoryURL, APIURL string
	// Token may read and write pull requests, ReadToken may only read them.
	Token, ReadToken string
	// Client is used to reach the forge; nil is a plain one.
	Client *http.Client
	// Base is the branch that requests are for, and OtherBase another one. Both have a commit.
	Base, OtherBase string
	// NoChanges tells whether the forge refuses a request that has no commits.
	NoChanges bool
	// Branch adds a commit to the branch, which begins at Base if it does not exist, and returns the commit.
	Branch func(t testing.TB, branch string) string
	// EmptyBranch makes a branch that is at the tip of Base.
	EmptyBranch func(t testing.TB, branch string)
	// ForkRequest opens a request to Base from the branch of that name of a fork, and returns its number.
	ForkRequest func(t testing.TB, branch string) int64
	// Label, MarkDraft, Merge and Close are what people do with a request. Merge returns the commit that Base has then.
	Label     func(t testing.TB, number int64, label string)
	MarkDraft func(t testing.TB, number int64)
	Merge     func(t testing.TB, number int64) string
	Close     func(t testing.TB, number int64)
	// Describe sets the text of a request, as its author can.
	Describe func(t testing.TB, number int64, text string)
	// Comments returns the texts of all comments of a request.
	Comments func(t testing.TB, number int64) []string
}

// Run tests an implementation of forge.Forge against a forge. All tests share the world, and use branches of their own.
func Run(t *testing.T, w World) {
	for name, run := range map[string]func(*testing.T, World){
		"create":             testCreate,
		"reuse":              testReuse,
		"duplicate":          testDuplicate,
		"at once":            testAtOnce,
		"update":             testUpdate,
		"labels of others":   testLabels,
		"marked as draft":    testDraft,
		"commits follow":     testCommits,
		"close with comment": testClose,
		"close is refused":   testCloseRefused,
		"comment is refused": testCommentRefused,
		"long texts":         testLongTexts,
		"merged elsewhere":   testMerged,
		"closed elsewhere":   testClosed,
		"fork":               testFork,
		"nothing to propose": testNoChanges,
		"not found":          testNotFound,
		"rights":             testRights,
		"pages":              testPages,
		"long title":         testTitle,
		"faults":             testFaults,
	} {
		t.Run(name, func(t *testing.T) { run(t, w) })
	}
}

// open returns the forge of the world.
func (w *World) open(t *testing.T, change ...func(*forge.Options)) forge.Forge {
	t.Helper()
	o := forge.Options{Provider: w.Provider, RepositoryURL: w.RepositoryURL, APIURL: w.APIURL, Token: w.Token, Client: w.Client, UserAgent: "conformance"}
	for _, c := range change {
		c(&o)
	}
	f, err := forge.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// propose makes a branch with a commit and a request for it.
func (w *World) propose(t *testing.T, f forge.Forge, branch string, labels ...string) *forge.Request {
	t.Helper()
	w.Branch(t, branch)
	return must(f.Create(t.Context(), w.draft(branch, labels...)))(t)
}

func (w *World) draft(branch string, labels ...string) forge.Draft {
	return forge.Draft{Title: "Deliver " + branch, Body: "What changes:\n\n- `a.yaml`\n", Head: branch, Base: w.Base, Labels: labels}
}

// must returns a result, or ends the test.
func must[T any](result T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
}

// numbers returns the numbers of requests, for messages.
func numbers(requests []forge.Request) string {
	var list []string
	for i := range requests {
		list = append(list, number(&requests[i]))
	}
	return strings.Join(list, " ")
}

func number(r *forge.Request) string { return strconv.FormatInt(r.Number, 10) }

func testCreate(t *testing.T, w World) {
	f := w.open(t)
	tip := w.Branch(t, "ocm/create/one")
	draft := w.draft("ocm/create/one", "delivery")
	created := must(f.Create(t.Context(), draft))(t)
	read := must(f.Get(t.Context(), created.Number))(t)
	for name, r := range map[string]*forge.Request{"created": created, "read": read} {
		if r.Number < 1 || r.State != forge.Open || r.Head != draft.Head || r.Base != draft.Base || r.MergeCommit != "" || r.Draft {
			t.Errorf("%s: %+v", name, r)
		}
		if !strings.Contains(r.URL, number(r)) || !strings.HasPrefix(r.URL, "http") {
			t.Errorf("%s: url %q does not show number %d", name, r.URL, r.Number)
		}
		if r.HeadCommit != tip {
			t.Errorf("%s: head is at %s, want %s", name, r.HeadCommit, tip)
		}
		if !slices.Contains(r.Labels, "delivery") || forge.Differs(r, draft) {
			t.Errorf("%s: it is not what was asked for: %+v", name, r)
		}
	}
}

func testReuse(t *testing.T, w World) {
	f := w.open(t)
	if found := must(f.Open(t.Context(), "ocm/reuse/one"))(t); len(found) > 0 {
		t.Fatalf("requests %s of a branch that does not exist", numbers(found))
	}
	created := w.propose(t, f, "ocm/reuse/one")
	w.propose(t, f, "ocm/reuse/one-more")
	found := must(f.Open(t.Context(), "ocm/reuse/one"))(t)
	if len(found) != 1 || found[0].Number != created.Number || forge.Differs(&found[0], w.draft("ocm/reuse/one")) {
		t.Fatalf("found %+v, want number %d alone", found, created.Number)
	}
}

func testUpdate(t *testing.T, w World) {
	var writes int
	f := w.open(t, intercepted(w.Client, func(r *http.Request) *http.Response {
		if r.Method != http.MethodGet {
			writes++
		}
		return nil
	}))
	created := w.propose(t, f, "ocm/update/one")
	draft := forge.Draft{Title: "Another title: <b> & \"quotes\" ü", Body: "Another text\r\nof *two* lines", Base: w.OtherBase, Labels: []string{"one", "two words"}}
	updated := must(f.Update(t.Context(), created.Number, draft))(t)
	read := must(f.Get(t.Context(), created.Number))(t)
	for name, r := range map[string]*forge.Request{"updated": updated, "read": read} {
		if forge.Differs(r, draft) || r.Title != draft.Title || r.Base != w.OtherBase || r.State != forge.Open {
			t.Errorf("%s: %+v", name, r)
		}
	}
	writes = 0
	must(f.Update(t.Context(), created.Number, draft))(t)
	must(f.Update(t.Context(), created.Number, forge.Draft{Body: draft.Body, Labels: []string{"ONE"}}))(t)
	if writes != 0 {
		t.Errorf("%d requests wrote what was there already", writes)
	}
	draft.Body = ""
	if r := must(f.Update(t.Context(), created.Number, draft))(t); r.Body != "" {
		t.Errorf("the text is still %q", r.Body)
	}
}

func testLabels(t *testing.T, w World) {
	f := w.open(t)
	created := w.propose(t, f, "ocm/labels/one", "ours")
	w.Label(t, created.Number, "of-somebody-else")
	updated := must(f.Update(t.Context(), created.Number, w.draft("ocm/labels/one", "ours", "ours-too")))(t)
	read := must(f.Get(t.Context(), created.Number))(t)
	for name, r := range map[string]*forge.Request{"updated": updated, "read": read} {
		if want := []string{"of-somebody-else", "ours", "ours-too"}; !slices.Equal(r.Labels, want) {
			t.Errorf("%s: labels are %q, want %q", name, r.Labels, want)
		}
	}
}

func testDraft(t *testing.T, w World) {
	f := w.open(t)
	created := w.propose(t, f, "ocm/draft/one")
	w.MarkDraft(t, created.Number)
	marked := must(f.Get(t.Context(), created.Number))(t)
	if !marked.Draft || marked.Title != created.Title || forge.Differs(marked, w.draft("ocm/draft/one")) {
		t.Fatalf("marked as draft: %+v", marked)
	}
	draft := w.draft("ocm/draft/one")
	draft.Title = "Deliver something else"
	must(f.Update(t.Context(), created.Number, draft))(t)
	if read := must(f.Get(t.Context(), created.Number))(t); !read.Draft || read.Title != draft.Title {
		t.Fatalf("the mark of a reviewer was taken off: %+v", read)
	}
}

func testCommits(t *testing.T, w World) {
	f := w.open(t)
	created := w.propose(t, f, "ocm/commits/one")
	tip := w.Branch(t, "ocm/commits/one")
	eventually(t, "the new commit", func() bool {
		found := must(f.Open(t.Context(), "ocm/commits/one"))(t)
		return len(found) == 1 && found[0].Number == created.Number && found[0].HeadCommit == tip
	})
}

func testTitle(t *testing.T, w World) {
	f := w.open(t)
	w.Branch(t, "ocm/title/one")
	draft := w.draft("ocm/title/one")
	draft.Title = strings.Repeat("ü ä\n", 200)
	created := must(f.Create(t.Context(), draft))(t)
	if read := must(f.Get(t.Context(), created.Number))(t); forge.Differs(read, draft) || !strings.HasPrefix(read.Title, "ü ä ü") {
		t.Fatalf("title %q", read.Title)
	}
}
