package forgetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/git/forge"
)

// Pull is a pull request or merge request as it is now.
type Pull struct {
	// Number is the number in its repository.
	Number int64
	// State says what became of it.
	State forge.State
	// Title is without the mark of a draft, which Draft tells.
	Title, Body string
	Draft       bool
	// Head and Base are the branches, and HeadRepository is where Head is.
	Head, Base, HeadRepository string
	// HeadCommit is the tip of Head when it was seen last. MergeCommit and SquashCommit are those that were made for the merge.
	HeadCommit, MergeCommit, SquashCommit string
	// Labels are sorted; Comments are in order.
	Labels   []string
	Comments []Comment
	// Author is whose token opened it.
	Author string
}

// Comment is what somebody said to a request.
type Comment struct {
	Author, Body string
	id           int64
	at           time.Time
}

// pull is a Pull and what its owner needs to know of it.
type pull struct {
	Pull

	id                               int64
	repository, from                 *repository
	created, updated, closed, merged time.Time
	// commits is how many commits it had when it was seen last, and testMerge one that merges it and is in no branch.
	commits   int
	testMerge string
}

// repository is a bare repository with its requests.
type repository struct {
	id    int64
	path  string
	bare  bare
	pulls []*pull
	// seen are the branches, of this and all other repositories, that the requests are up to.
	seen string
}

func (r *repository) owner() string { return r.path[:strings.LastIndex(r.path, "/")] }
func (r *repository) name() string  { return r.path[strings.LastIndex(r.path, "/")+1:] }

// AddRepository serves a bare repository under owner/name or, for GitLab, under group/.../project. A fork is a repository like others.
func (s *Server) AddRepository(path, dir string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repositories = append(s.repositories, &repository{id: s.id(), path: path, bare: bare(dir)})
}

// Rename gives a repository another path. The old one redirects, as those of GitHub do.
func (s *Server) Rename(path, to string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.repository(path); r != nil {
		s.moved[strings.ToLower(path)] = r
		r.path = to
	}
}

// id gives out the ids of things that are not numbers of requests; they are large, so that nobody takes one for the other.
func (s *Server) id() int64 {
	s.ids += 7
	return s.ids
}

// now returns times of whole seconds that differ, so that lists have an order.
func (s *Server) now() time.Time {
	s.times++
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(s.times) * time.Second)
}

func (s *Server) repository(path string) *repository {
	for _, r := range s.repositories {
		if strings.EqualFold(r.path, path) {
			return r
		}
	}
	return nil
}

func (s *Server) byID(id string) *repository {
	for _, r := range s.repositories {
		if text(r.id) == id {
			return r
		}
	}
	return nil
}

func (r *repository) pull(number string) *pull {
	for _, p := range r.pulls {
		if text(p.Number) == number {
			return p
		}
	}
	return nil
}

// open returns the open request for these branches.
func (r *repository) open(from *repository, head, base string) *pull {
	for _, p := range r.pulls {
		if p.State == forge.Open && p.from == from && p.Head == head && p.Base == base {
			return p
		}
	}
	return nil
}

// add opens a request.
func (s *Server) add(ctx context.Context, r, from *repository, p Pull) (*pull, error) {
	p.Number, p.State, p.HeadRepository, p.HeadCommit = int64(len(r.pulls)+1), forge.Open, from.path, from.bare.branch(ctx, p.Head)
	now := s.now()
	opened := &pull{Pull: p, id: s.id(), repository: r, from: from, created: now, updated: now}
	if err := opened.keep(ctx, s.provider); err != nil {
		return nil, err
	}
	r.pulls = append(r.pulls, opened)
	return opened, s.follow(ctx, opened)
}

// keep makes the commits of a request part of its repository.
func (p *pull) keep(ctx context.Context, provider string) error {
	if p.HeadCommit == "" {
		return nil
	}
	ref := fmt.Sprintf("refs/pull/%d/head", p.Number)
	if provider == forge.GitLab {
		ref = fmt.Sprintf("refs/merge-requests/%d/head", p.Number)
	}
	return p.repository.bare.keep(ctx, p.from.bare, p.HeadCommit, ref)
}

// refresh brings the open requests of a repository up to what was pushed since.
func (s *Server) refresh(ctx context.Context, r *repository) error {
	branches, err := s.branches(ctx, r)
	if err != nil || branches == r.seen {
		return err
	}
	for _, p := range r.pulls {
		if p.State != forge.Open {
			continue
		}
		if err := s.follow(ctx, p); err != nil {
			return err
		}
	}
	r.seen = branches
	return nil
}

// branches returns where all branches are that the open requests of a repository have to do with, as one text.
func (s *Server) branches(ctx context.Context, r *repository) (string, error) {
	all := map[bare]bool{r.bare: true}
	for _, p := range r.pulls {
		if p.State == forge.Open {
			all[p.from.bare] = true
		}
	}
	var b strings.Builder
	for _, dir := range slices.Sorted(maps.Keys(all)) {
		refs, err := dir.run(ctx, "for-each-ref", "--format=%(objectname) %(refname)", "refs/heads")
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%s\n%s\n", dir, refs)
	}
	return b.String(), nil
}

// follow does what forges do after a push. Both close a request whose head branch was deleted, and take one for merged whose commits were pushed to its base; GitHub also closes one whose base was
// deleted, or that has no commits any more.
func (s *Server) follow(ctx context.Context, p *pull) error {
	head, base := p.from.bare.branch(ctx, p.Head), p.repository.bare.branch(ctx, p.Base)
	moved := head != p.HeadCommit
	if head == "" {
		s.close(p)
		return nil
	}
	if moved {
		p.HeadCommit, p.updated = head, s.now()
		if err := p.keep(ctx, s.provider); err != nil {
			return err
		}
	}
	switch within := base != "" && p.repository.bare.reaches(ctx, base, head); {
	case within && !moved && p.commits > 0:
		s.close(p)
		p.State, p.merged, p.MergeCommit = forge.Merged, p.closed, head
		if s.provider == forge.GitLab {
			p.MergeCommit = ""
		}
	case s.provider == forge.GitHub && (base == "" || within):
		s.close(p)
	case within || base == "":
		p.commits, p.testMerge = 0, ""
	default:
		p.commits, p.testMerge = p.repository.bare.ahead(ctx, base, head), p.tryMerge(ctx, base)
	}
	return nil
}

// tryMerge returns a commit that merges the request and is in no branch, or nothing if there are conflicts.
func (p *pull) tryMerge(ctx context.Context, base string) string {
	commit, err := p.repository.bare.mergeCommit(ctx, base, p.HeadCommit, fmt.Sprintf("Merge %s into %s", p.HeadCommit, base))
	if err != nil {
		return ""
	}
	return commit
}

func (s *Server) close(p *pull) {
	p.State, p.closed = forge.Closed, s.now()
	p.updated = p.closed
}

// merge merges a request: with a commit of its own (merge), as one commit (squash), or by putting its commits on top of the base (rebase).
func (s *Server) merge(ctx context.Context, p *pull, method, message string) error {
	git, base := p.repository.bare, p.repository.bare.branch(ctx, p.Base)
	var commit string
	var err error
	switch method {
	case "squash":
		commit, err = git.squashCommit(ctx, base, p.HeadCommit, message)
		p.SquashCommit = commit
	case "rebase":
		commit, err = git.rebased(ctx, base, p.HeadCommit)
	default:
		commit, err = git.mergeCommit(ctx, base, p.HeadCommit, message)
		p.MergeCommit = commit
	}
	if err == nil && s.provider == forge.GitLab && method == "squash" {
		// A squash is merged like any other commit.
		commit, err = git.mergeCommit(ctx, base, p.SquashCommit, message)
		p.MergeCommit = commit
	}
	if err == nil {
		err = git.move(ctx, p.Base, commit, base)
	}
	if err != nil {
		p.MergeCommit, p.SquashCommit = "", ""
		return err
	}
	switch s.provider {
	case forge.GitHub:
		p.MergeCommit, p.SquashCommit = commit, ""
	case forge.GitLab:
		if method == "rebase" {
			// The source branch is rebased first, and the target then moves to it: there is no other commit.
			p.HeadCommit = commit
		}
	}
	s.close(p)
	p.State, p.merged = forge.Merged, p.closed
	return nil
}

// hands does something to a request on behalf of a person.
func (s *Server) hands(t testing.TB, path string, number int64, do func(ctx context.Context, p *pull) error) Pull {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repository(path)
	if r == nil {
		t.Fatalf("there is no repository %s", path)
	}
	p := r.pull(text(number))
	if p == nil {
		t.Fatalf("there is no request %d in %s", number, path)
	}
	err := s.refresh(t.Context(), r)
	if err == nil && do != nil {
		err = do(t.Context(), p)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p.view()
}

func (p *pull) view() Pull {
	v := p.Pull
	v.Labels, v.Comments = slices.Clone(p.Labels), slices.Clone(p.Comments)
	return v
}

// Pull returns a request as it is now.
func (s *Server) Pull(t testing.TB, path string, number int64) Pull {
	t.Helper()
	return s.hands(t, path, number, nil)
}

// Pulls returns all requests of a repository, by number.
func (s *Server) Pulls(t testing.TB, path string) []Pull {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repository(path)
	if r == nil {
		t.Fatalf("there is no repository %s", path)
	}
	if err := s.refresh(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	var all []Pull
	for _, p := range r.pulls {
		all = append(all, p.view())
	}
	return all
}

// Merge merges a request in one of the ways merge, squash and rebase, and returns the commit that the base branch has then.
func (s *Server) Merge(t testing.TB, path string, number int64, method string) string {
	t.Helper()
	var tip string
	s.hands(t, path, number, func(ctx context.Context, p *pull) error {
		if p.State != forge.Open {
			return errors.New("only open requests can be merged")
		}
		err := s.merge(ctx, p, method, fmt.Sprintf("Merge %d: %s", number, p.Title))
		tip = p.repository.bare.branch(ctx, p.Base)
		return err
	})
	return tip
}

// Close closes a request and leaves its branch.
func (s *Server) Close(t testing.TB, path string, number int64) {
	t.Helper()
	s.hands(t, path, number, func(_ context.Context, p *pull) error { s.close(p); return nil })
}

// Label sets a label beside others.
func (s *Server) Label(t testing.TB, path string, number int64, label string) {
	t.Helper()
	s.hands(t, path, number, func(_ context.Context, p *pull) error { p.label(label); return nil })
}

// Describe sets the text of a request, however long it is.
func (s *Server) Describe(t testing.TB, path string, number int64, text string) {
	t.Helper()
	s.hands(t, path, number, func(_ context.Context, p *pull) error { p.Body = text; return nil })
}

// MarkDraft marks a request as not ready.
func (s *Server) MarkDraft(t testing.TB, path string, number int64) {
	t.Helper()
	s.hands(t, path, number, func(_ context.Context, p *pull) error { p.Draft = true; return nil })
}

// label adds labels that are not there; their names differ in more than case.
func (p *pull) label(labels ...string) {
	for _, l := range labels {
		if l != "" && !slices.ContainsFunc(p.Labels, func(have string) bool { return strings.EqualFold(have, l) }) {
			p.Labels = append(p.Labels, l)
		}
	}
	slices.Sort(p.Labels)
}

func text(id int64) string { return strconv.FormatInt(id, 10) }

// stamp returns a time as both APIs write it, or nothing.
func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}

// orNull returns null for what is empty.
func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// failed answers for a repository that git cannot read.
func failed(x *exchange, err error) {
	x.json(http.StatusInternalServerError, map[string]any{"message": err.Error()})
}
