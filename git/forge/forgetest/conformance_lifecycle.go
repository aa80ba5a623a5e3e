package forgetest

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/git/forge"
)

func testDuplicate(t *testing.T, w World) {
	f := w.open(t)
	created := w.propose(t, f, "ocm/duplicate/one")
	if again, err := f.Create(t.Context(), w.draft("ocm/duplicate/one")); !errors.Is(err, forge.ErrExists) || again != nil {
		t.Errorf("the second one: %+v, %v; want ErrExists", again, err)
	}
	other := w.draft("ocm/duplicate/one")
	other.Base = w.OtherBase
	second := must(f.Create(t.Context(), other))(t)
	found := must(f.Open(t.Context(), "ocm/duplicate/one"))(t)
	if len(found) != 2 || found[0].Number != created.Number || found[1].Number != second.Number {
		t.Errorf("found %s, want %d for one base and %d for the other", numbers(found), created.Number, second.Number)
	}
	// To be moved to a base for which there is one is the same as to be created for it.
	if _, err := f.Update(t.Context(), second.Number, w.draft("ocm/duplicate/one")); !errors.Is(err, forge.ErrExists) {
		t.Errorf("moved to the same base: %v, want ErrExists", err)
	}
}

// testAtOnce creates the same request from many sides: some forges let more than one through, but all of them are found.
func testAtOnce(t *testing.T, w World) {
	f := w.open(t)
	w.Branch(t, "ocm/at-once/one")
	var (
		mu      sync.Mutex
		created []int64
		wg      sync.WaitGroup
	)
	for range 4 {
		wg.Go(func() {
			request, err := f.Create(t.Context(), w.draft("ocm/at-once/one"))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				created = append(created, request.Number)
			} else if !errors.Is(err, forge.ErrExists) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	slices.Sort(created)
	found := must(f.Open(t.Context(), "ocm/at-once/one"))(t)
	if len(created) == 0 || len(found) != len(created) || found[0].Number != created[0] {
		t.Errorf("created %v, found %s", created, numbers(found))
	}
}

func testClose(t *testing.T, w World) {
	f := w.open(t)
	created := w.propose(t, f, "ocm/close/one")
	for range 2 {
		if err := f.Close(t.Context(), created.Number, "Superseded by *another* branch."); err != nil {
			t.Fatal(err)
		}
	}
	if read := must(f.Get(t.Context(), created.Number))(t); read.State != forge.Closed || read.MergeCommit != "" || read.Head != "ocm/close/one" {
		t.Errorf("closed: %+v", read)
	}
	if comments := w.Comments(t, created.Number); !slices.Equal(comments, []string{"Superseded by *another* branch."}) {
		t.Errorf("comments are %q, want one", comments)
	}
	if found := must(f.Open(t.Context(), "ocm/close/one"))(t); len(found) > 0 {
		t.Errorf("still open: %s", numbers(found))
	}
	again := must(f.Create(t.Context(), w.draft("ocm/close/one")))(t)
	if again.Number == created.Number {
		t.Errorf("the closed request %d was given out again", again.Number)
	}
	if err := f.Close(t.Context(), again.Number, ""); err != nil || len(w.Comments(t, again.Number)) > 0 {
		t.Errorf("closed without a comment: %v, %q", err, w.Comments(t, again.Number))
	}
}

// testCloseRefused: a token can have the right to comment and not the one to close. People who are mailed each comment do not hear of it at each try.
func testCloseRefused(t *testing.T, w World) {
	created := w.propose(t, w.open(t), "ocm/close-refused/one")
	f := w.open(t, intercepted(w.Client, func(r *http.Request) *http.Response {
		if r.Method == http.MethodPatch || r.Method == http.MethodPut {
			return response(http.StatusForbidden, strings.NewReader(`{"message":"Resource not accessible by personal access token"}`))
		}
		return nil
	}))
	for range 3 {
		if err := f.Close(t.Context(), created.Number, "It is superseded."); !errors.Is(err, forge.ErrForbidden) {
			t.Errorf("close: %v, want ErrForbidden", err)
		}
	}
	if comments := w.Comments(t, created.Number); len(comments) > 0 {
		t.Errorf("comments are %q on a request that could not be closed", comments)
	}
}

// testCommentRefused: a request that could be closed is closed, whatever becomes of the comment, and is not commented on later.
func testCommentRefused(t *testing.T, w World) {
	created := w.propose(t, w.open(t), "ocm/comment-refused/one")
	tries := 0
	f := w.open(t, intercepted(w.Client, func(r *http.Request) *http.Response {
		if r.Method == http.MethodPost {
			tries++
			return response(http.StatusForbidden, strings.NewReader(`{"message":"no"}`))
		}
		return nil
	}))
	for range 2 {
		if err := f.Close(t.Context(), created.Number, "It is superseded."); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if read := must(f.Get(t.Context(), created.Number))(t); read.State != forge.Closed || tries != 1 {
		t.Errorf("%s after %d tries of a comment; want it closed after one", read.State, tries)
	}
}

// testLongTexts: everybody can open a request from a fork whose branch is named as ours, and write into it as much as the forge takes. Ours is found beside it.
func testLongTexts(t *testing.T, w World) {
	f := w.open(t)
	ours := w.propose(t, f, "ocm/long-texts/one")
	foreign := w.ForkRequest(t, "ocm/long-texts/one")
	w.Describe(t, foreign, strings.Repeat("<", 2<<20)+strings.Repeat("x", 9<<20))
	found := must(f.Open(t.Context(), "ocm/long-texts/one"))(t)
	if len(found) != 1 || found[0].Number != ours.Number {
		t.Errorf("found %s, want %d alone", numbers(found), ours.Number)
	}
	w.Describe(t, foreign, "")
}

func testMerged(t *testing.T, w World) {
	f := w.open(t)
	created := w.propose(t, f, "ocm/merged/one")
	tip := w.Merge(t, created.Number)
	var read *forge.Request
	eventually(t, "the merge", func() bool {
		read = must(f.Get(t.Context(), created.Number))(t)
		return read.State == forge.Merged
	})
	if read.MergeCommit != tip || read.Head != "ocm/merged/one" {
		t.Errorf("merged as %+v, want commit %s", read, tip)
	}
	if found := must(f.Open(t.Context(), "ocm/merged/one"))(t); len(found) > 0 {
		t.Errorf("still open: %s", numbers(found))
	}
	if err := f.Close(t.Context(), created.Number, "too late"); err != nil || len(w.Comments(t, created.Number)) > 0 {
		t.Errorf("close after the merge: %v, comments %q; want nothing to happen", err, w.Comments(t, created.Number))
	}
	w.Branch(t, "ocm/merged/one")
	if again := must(f.Create(t.Context(), w.draft("ocm/merged/one")))(t); again.Number == created.Number || again.State != forge.Open {
		t.Errorf("the next one: %+v", again)
	}
}

func testClosed(t *testing.T, w World) {
	f := w.open(t)
	created := w.propose(t, f, "ocm/closed/one")
	w.Close(t, created.Number)
	if read := must(f.Get(t.Context(), created.Number))(t); read.State != forge.Closed {
		t.Errorf("closed: %+v", read)
	}
	if found := must(f.Open(t.Context(), "ocm/closed/one"))(t); len(found) > 0 {
		t.Errorf("still open: %s", numbers(found))
	}
}

// testFork: everybody can make a fork, name a branch as ours, and open a request. It is not ours to update or to close.
func testFork(t *testing.T, w World) {
	f := w.open(t)
	foreign := w.ForkRequest(t, "ocm/fork/one")
	if found := must(f.Open(t.Context(), "ocm/fork/one"))(t); len(found) > 0 {
		t.Errorf("request %d of a fork was taken for ours", foreign)
	}
	ours := w.propose(t, f, "ocm/fork/one")
	if found := must(f.Open(t.Context(), "ocm/fork/one"))(t); len(found) != 1 || found[0].Number != ours.Number {
		t.Errorf("found %s, want %d alone; %d is of a fork", numbers(found), ours.Number, foreign)
	}
}

func testNoChanges(t *testing.T, w World) {
	f := w.open(t)
	w.EmptyBranch(t, "ocm/empty/one")
	created, err := f.Create(t.Context(), w.draft("ocm/empty/one"))
	switch {
	case w.NoChanges && (!errors.Is(err, forge.ErrNoChanges) || created != nil):
		t.Errorf("created %+v, %v; want ErrNoChanges", created, err)
	case !w.NoChanges && (err != nil || created.State != forge.Open):
		t.Errorf("created %+v, %v; want an open one, as this forge has nothing against it", created, err)
	}
}

func testNotFound(t *testing.T, w World) {
	f := w.open(t)
	absent := w.open(t, func(o *forge.Options) { o.RepositoryURL = strings.TrimSuffix(w.RepositoryURL, ".git") + "-absent" })
	other := w.draft("ocm/not-found/absent")
	w.Branch(t, "ocm/not-found/one")
	base := w.draft("ocm/not-found/one")
	base.Base = "absent"
	for name, ask := range map[string]func() error{
		"request":            func() error { _, err := f.Get(t.Context(), 1<<30); return err },
		"request to update":  func() error { _, err := f.Update(t.Context(), 1<<30, other); return err },
		"request to close":   func() error { return f.Close(t.Context(), 1<<30, "x") },
		"head branch":        func() error { _, err := f.Create(t.Context(), other); return err },
		"base branch":        func() error { _, err := f.Create(t.Context(), base); return err },
		"repository, list":   func() error { _, err := absent.Open(t.Context(), "main"); return err },
		"repository, create": func() error { _, err := absent.Create(t.Context(), base); return err },
	} {
		if err := ask(); !errors.Is(err, forge.ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", name, err)
		}
	}
}

func testRights(t *testing.T, w World) {
	f := w.open(t)
	created := w.propose(t, f, "ocm/rights/one")
	w.Branch(t, "ocm/rights/two")
	reader := w.open(t, func(o *forge.Options) { o.Token = w.ReadToken })
	if found := must(reader.Open(t.Context(), "ocm/rights/one"))(t); len(found) != 1 {
		t.Errorf("a token that may read finds %d requests", len(found))
	}
	changed := w.draft("ocm/rights/one")
	changed.Title = "Changed without rights"
	for name, ask := range map[string]func(forge.Forge) error{
		"create":  func(f forge.Forge) error { _, err := f.Create(t.Context(), w.draft("ocm/rights/two")); return err },
		"update":  func(f forge.Forge) error { _, err := f.Update(t.Context(), created.Number, changed); return err },
		"close":   func(f forge.Forge) error { return f.Close(t.Context(), created.Number, "") },
		"comment": func(f forge.Forge) error { return f.Close(t.Context(), created.Number, "closed without rights") },
	} {
		if err := ask(reader); !errors.Is(err, forge.ErrForbidden) {
			t.Errorf("%s with a token that may only read: %v, want ErrForbidden", name, err)
		}
		unknown := w.open(t, func(o *forge.Options) { o.Token = "not-a-token-of-anybody" })
		if err := ask(unknown); !errors.Is(err, forge.ErrUnauthorized) || strings.Contains(err.Error(), "not-a-token-of-anybody") {
			t.Errorf("%s with an unknown token: %v, want ErrUnauthorized", name, err)
		}
	}
	if read := must(f.Get(t.Context(), created.Number))(t); read.State != forge.Open || read.Title != created.Title {
		t.Errorf("it was changed: %+v", read)
	}
}

// testPages makes pages short, so that a handful of requests needs some.
func testPages(t *testing.T, w World) {
	pages := 0
	f := w.open(t, intercepted(w.Client, func(r *http.Request) *http.Response {
		query := r.URL.Query()
		for _, name := range []string{"per_page", "limit"} {
			if r.Method == http.MethodGet && query.Has(name) {
				query.Set(name, "1")
				pages++
			}
		}
		r.URL.RawQuery = query.Encode()
		return nil
	}))
	first := w.propose(t, f, "ocm/pages/one")
	other := w.draft("ocm/pages/one")
	other.Base = w.OtherBase
	second := must(f.Create(t.Context(), other))(t)
	found := must(f.Open(t.Context(), "ocm/pages/one"))(t)
	if len(found) != 2 || found[0].Number != first.Number || found[1].Number != second.Number {
		t.Errorf("found %s, want %d and %d", numbers(found), first.Number, second.Number)
	}
	if pages < 2 {
		t.Errorf("%d pages were read, want some", pages)
	}
}

// eventually waits for what forges do in the background.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline.C:
			t.Fatalf("%s: not seen within 30 s", what)
		case <-tick.C:
		}
	}
}
