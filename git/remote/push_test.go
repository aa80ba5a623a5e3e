package remote_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/ocm-operator/ocm-operator/git/gittest"
	"github.com/ocm-operator/ocm-operator/git/remote"
)

// TestPush goes from a first branch over an update to a branch that is replaced.
func TestPush(t *testing.T) {
	t.Parallel()
	s, first := serve(t, gittest.Options{}, oneFile)
	dir := s.Dir("site.git")
	r := open(t, remote.Options{URL: s.RepositoryURL("site.git")})
	base := entries(t, fetch(t, r, first), first)

	second, w := change(t, base, first, "one", "1")
	if err := r.Push(within(t), update("ocm/team/app", "", second, w)); err != nil {
		t.Fatal(err)
	}
	third, w := change(t, base, first, "two", "2")
	if err := r.Push(within(t), update("ocm/team/app", second.String(), third, w)); err != nil {
		t.Fatalf("a branch is replaced with its tip known: %v", err)
	}
	if got := gittest.Contents(t, dir, "ocm/team/app"); got["two"] != "2" || got["one"] != "" || got["apps/web.yaml"] == "" {
		t.Errorf("the branch has %v", got)
	}
	if tip := gittest.Tip(t, dir, "main"); tip != first {
		t.Errorf("main is at %s, want %s", tip, first)
	}
	gittest.Fsck(t, dir)
}

// TestPushAgain lets the content of a pack be unknown in size, and its commit be known to the server already.
func TestPushAgain(t *testing.T) {
	t.Parallel()
	s, first := serve(t, gittest.Options{}, oneFile)
	r := open(t, remote.Options{URL: s.RepositoryURL("site.git")})
	second, w := change(t, entries(t, fetch(t, r, first), first), first, "one", "1")
	if err := r.Push(within(t), update("main", first, second, w)); err != nil {
		t.Fatal(err)
	}
	if err := r.Push(within(t), update("main", first, second, w)); !errors.Is(err, remote.ErrMoved) {
		t.Errorf("the same push again gives %v, want %v", err, remote.ErrMoved)
	}
	u := update("copy", "", second, w)
	known := u.Pack
	u.Pack = func() (io.ReadCloser, int64, error) {
		content, _, err := known()
		return content, -1, err
	}
	if err := r.Push(within(t), u); err != nil {
		t.Errorf("a second branch of the same commit, with a pack of unknown size: %v", err)
	}
}

// TestPushMoved changes the branch at two moments: before the server is asked, and while it takes the pack.
func TestPushMoved(t *testing.T) {
	t.Parallel()
	for name, when := range map[string]func(*http.Request) bool{"before": gittest.IsRefs, "with the pack": gittest.IsPush} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, first := serve(t, gittest.Options{}, oneFile)
			dir := s.Dir("site.git")
			o := remote.Options{URL: s.RepositoryURL("site.git")}
			base := entries(t, fetch(t, open(t, o), first), first)
			cases := map[string]struct {
				branch, old string
				fault       func()
			}{
				"changed": {branch: "main", old: first, fault: func() { gittest.Commit(t, dir, "main", map[string]string{"foreign": "1"}) }},
				"made":    {branch: "new", fault: func() { gittest.Branch(t, dir, "new", "main") }},
				"deleted": {branch: "old", old: first, fault: func() { gittest.DeleteBranch(t, dir, "old") }},
			}
			gittest.Branch(t, dir, "old", first)
			for what, c := range cases {
				commit, w := change(t, base, first, "ours", what)
				s.SetFault(gittest.Once(when, gittest.Before(c.fault)))
				if err := open(t, o).Push(within(t), update(c.branch, c.old, commit, w)); !errors.Is(err, remote.ErrMoved) {
					t.Errorf("%s: got %v, want %v", what, err, remote.ErrMoved)
				}
				if tip := gittest.Tip(t, dir, c.branch); tip == commit.String() {
					t.Errorf("%s: the branch was overwritten", what)
				}
			}
		})
	}
}

// TestPushForbiddenByHook: Gitea says in a hook that a user may not write at all.
func TestPushForbiddenByHook(t *testing.T) {
	t.Parallel()
	s, first := serve(t, gittest.Options{}, oneFile)
	gittest.Hook(t, s.Dir("site.git"), "pre-receive", "echo 'error: User permission denied for writing.' >&2\nexit 1\n")
	r := open(t, remote.Options{URL: s.RepositoryURL("site.git")})
	commit, w := change(t, entries(t, fetch(t, r, first), first), first, "ours", "1")
	if err := r.Push(within(t), update("new", "", commit, w)); !errors.Is(err, remote.ErrForbidden) {
		t.Errorf("got %v, want %v", err, remote.ErrForbidden)
	}
}

// TestPushMovedByHook changes the branch when the server has the pack, as late as can be.
func TestPushMovedByHook(t *testing.T) {
	t.Parallel()
	s, first := serve(t, gittest.Options{}, oneFile)
	dir := s.Dir("site.git")
	foreign := gittest.Commit(t, dir, "other", map[string]string{"foreign": "1"})
	gittest.Hook(t, dir, "pre-receive", "unset GIT_QUARANTINE_PATH\ngit update-ref refs/heads/main "+foreign+"\n")
	r := open(t, remote.Options{URL: s.RepositoryURL("site.git")})
	commit, w := change(t, entries(t, fetch(t, r, first), first), first, "ours", "1")
	if err := r.Push(within(t), update("main", first, commit, w)); !errors.Is(err, remote.ErrMoved) {
		t.Errorf("got %v, want %v", err, remote.ErrMoved)
	}
	if tip := gittest.Tip(t, dir, "main"); tip != foreign {
		t.Errorf("main is at %s, want the foreign commit %s", tip, foreign)
	}
}

// TestPushRejected goes through the ways in which a server says no.
func TestPushRejected(t *testing.T) {
	t.Parallel()
	long := "for i in $(seq 1 5000); do echo \"rule $i: \\033[31mask secret-of-ann\" >&2; done; exit 1"
	cases := map[string]struct {
		reason    string
		prepare   func(t *testing.T, dir string)
		branch    string
		protected bool
		says      string
	}{
		"protected": {reason: "a branch that is protected", prepare: func(t *testing.T, dir string) { t.Helper(); gittest.Protect(t, dir, "main") }, branch: "main", protected: true, says: "rotected branch"},
		"hook":      {reason: "a hook that says too much", prepare: func(t *testing.T, dir string) { t.Helper(); gittest.Hook(t, dir, "update", long) }, branch: "main", protected: true, says: "hook declined; rule 1: [31mask ***; rule 2"},
		"folder": {reason: "the name of the branch is the folder of another", prepare: func(t *testing.T, dir string) {
			t.Helper()
			gittest.Branch(t, dir, "deploy", "main")
		}, branch: "deploy/app", says: "deploy"},
		"checked out": {reason: "no force", prepare: func(t *testing.T, dir string) {
			t.Helper()
			gittest.Config(t, dir, "receive.denyNonFastForwards", "true")
			gittest.Apply(t, dir, gittest.Change{Branch: "main", Files: map[string]string{"a": "b"}, Root: true})
		}, branch: "main", protected: true, says: "non-fast-forward"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, first := serve(t, gittest.Options{Username: "ann", Password: "secret-of-ann"}, oneFile)
			r := open(t, remote.Options{URL: s.RepositoryURL("site.git"), Auth: remote.Auth{Username: "ann", Password: "secret-of-ann"}})
			commit, w := change(t, entries(t, fetch(t, r, first), first), first, "ours", "1")
			c.prepare(t, s.Dir("site.git"))
			err := r.Push(within(t), update(c.branch, gittest.Tip(t, s.Dir("site.git"), c.branch), commit, w))
			rejected, ok := errors.AsType[*remote.RejectedError](err)
			if !ok {
				t.Fatalf("%s: got %v, want a *RejectedError", c.reason, err)
			}
			if rejected.Protected != c.protected || rejected.Branch != c.branch || !strings.Contains(rejected.Message, c.says) || len(rejected.Message) > 512 {
				t.Errorf("%s: got %+v, want protected %t and a message with %q", c.reason, rejected, c.protected, c.says)
			}
		})
	}
}

// TestPushUnknown cuts connections off where nobody knows what the server has done.
func TestPushUnknown(t *testing.T) {
	t.Parallel()
	s, first := serve(t, gittest.Options{}, oneFile)
	o := remote.Options{URL: s.RepositoryURL("site.git")}
	base := entries(t, fetch(t, open(t, o), first), first)
	commit, w := change(t, base, first, "ours", "1")

	s.LoseAnswers(gittest.IsPush)
	err := open(t, o).Push(within(t), update("main", first, commit, w))
	if !errors.Is(err, remote.ErrInterrupted) {
		t.Errorf("a lost answer gives %v, want %v", err, remote.ErrInterrupted)
	}
	if tip := gittest.Tip(t, s.Dir("site.git"), "main"); tip != commit.String() {
		t.Errorf("main is at %s, want the commit whose answer was lost", tip)
	}
	s.LoseAnswers(nil)

	const result = "application/x-git-receive-pack-result"
	next, w := change(t, base, commit.String(), "ours", "2")
	for name, fault := range map[string]gittest.Fault{
		"bad gateway":     gittest.Status(502, "bad gateway"),
		"disconnect":      gittest.Disconnect(),
		"nothing":         answerWith(result, ""),
		"half a report":   answerWith(result, pkt("\x01"+pkt("unpack ok\n"))),
		"no branch":       answerWith(result, pkt("\x01"+pkt("unpack ok\n")+"0000")+"0000"),
		"another branch":  answerWith(result, pkt("\x01"+pkt("unpack ok\n")+pkt("ok refs/heads/other\n")+"0000")+"0000"),
		"garbage":         answerWith(result, "garbage"),
		"endless report":  gittest.Endless(result, nil, []byte(pkt("\x01"+pkt("ok refs/heads/main\n")))),
		"endless talking": gittest.Endless(result, nil, []byte(pkt("\x02"+strings.Repeat("talk\n", 10000)))),
	} {
		s.SetFault(gittest.When(gittest.IsPush, fault))
		if err := open(t, o).Push(within(t), update("main", commit.String(), next, w)); !errors.Is(err, remote.ErrInterrupted) {
			t.Errorf("%s: got %v, want %v", name, err, remote.ErrInterrupted)
		}
	}
	s.SetFault(gittest.When(gittest.IsPush, gittest.Status(403, "not here")))
	if err := open(t, o).Push(within(t), update("main", commit.String(), next, w)); !errors.Is(err, remote.ErrForbidden) || errors.Is(err, remote.ErrInterrupted) {
		t.Errorf("a refusal gives %v, want %v", err, remote.ErrForbidden)
	}
}

// TestPushLate lets the server think for a while, and say so.
func TestPushLate(t *testing.T) {
	t.Parallel()
	s, first := serve(t, gittest.Options{}, oneFile)
	gittest.Hook(t, s.Dir("site.git"), "post-receive", "for i in 1 2 3; do echo thinking >&2; sleep 0.1; done\n")
	r := open(t, remote.Options{URL: s.RepositoryURL("site.git")})
	commit, w := change(t, entries(t, fetch(t, r, first), first), first, "ours", "1")
	if err := r.Push(within(t), update("main", first, commit, w)); err != nil {
		t.Error(err)
	}
}

// TestPushFullDisk hears of a fault of the server in words that are also those of rules.
func TestPushFullDisk(t *testing.T) {
	t.Parallel()
	s, first := serve(t, gittest.Options{}, oneFile)
	report := pkt("unpack insufficient permission for adding an object: Permission denied\n") + pkt("ng refs/heads/main unpacker error\n") + "0000"
	s.SetFault(gittest.When(gittest.IsPush, answerWith("application/x-git-receive-pack-result", pkt("\x01"+report)+"0000")))
	r := open(t, remote.Options{URL: s.RepositoryURL("site.git")})
	commit, w := change(t, nil, first, "ours", "1")
	err := r.Push(within(t), update("main", first, commit, w))
	if rejected, ok := errors.AsType[*remote.RejectedError](err); !ok || rejected.Protected {
		t.Errorf("got %v, want a *RejectedError that is not about the branch", err)
	}
}

// flushing passes on what it gets at once, as servers do that stream.
type flushing struct {
	http.ResponseWriter
}

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.ResponseWriter.Write(p)
	return n, errors.Join(err, http.NewResponseController(f.ResponseWriter).Flush())
}

// TestPushHearsOut has a hook that runs after the report, and ends early if nobody listens any more.
func TestPushHearsOut(t *testing.T) {
	t.Parallel()
	key := gittest.NewKey(t, gittest.Ed25519, "")
	overGo := gittest.NewSSH(t, gittest.SSHOptions{Authorized: [][]byte{key.Public}})
	gittest.NewRepository(t, overGo.Dir("team/site.git"), oneFile, "main")
	sshd, _ := overSSH(t, gittest.SSHOptions{Authorized: [][]byte{key.Public}})
	web, _ := serve(t, gittest.Options{}, oneFile)
	streaming := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { web.ServeHTTP(flushing{w}, r) }))
	t.Cleanup(streaming.Close)
	cases := map[string]struct {
		dir     string
		options remote.Options
	}{
		"HTTP":      {dir: web.Dir("site.git"), options: remote.Options{URL: streaming.URL + "/site.git"}},
		"SSH of Go": {dir: overGo.Dir("team/site.git"), options: remote.Options{URL: overGo.URL("team/site.git"), Auth: remote.Auth{Identity: key.Private, KnownHosts: overGo.KnownHosts}}},
		"OpenSSH":   {dir: sshd.Dir("team/site.git"), options: remote.Options{URL: sshd.URL("team/site.git"), Auth: remote.Auth{Identity: key.Private, KnownHosts: sshd.KnownHosts}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, mark := gittest.Tip(t, c.dir, "main"), filepath.Join(t.TempDir(), "done")
			// More than all buffers on the way can take.
			gittest.Hook(t, c.dir, "post-receive", "seq 1 200000 && touch '"+mark+"'\n")
			r := open(t, c.options)
			commit, w := change(t, entries(t, fetch(t, r, first), first), first, "ours", "1")
			if err := r.Push(within(t), update("main", first, commit, w)); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(mark); err != nil {
				t.Errorf("the hook after the push has not come to its end: %v", err)
			}
		})
	}
}

// TestPushBadPack sends what is no pack, and what is not complete.
func TestPushBadPack(t *testing.T) {
	t.Parallel()
	s, first := serve(t, gittest.Options{}, oneFile)
	r := open(t, remote.Options{URL: s.RepositoryURL("site.git")})
	commit, _ := change(t, nil, first, "ours", "1")
	broken := errors.New("the disk is gone")
	for name, c := range map[string]struct {
		pack func() (io.ReadCloser, int64, error)
		want func(error) bool
	}{
		"garbage": {pack: func() (io.ReadCloser, int64, error) { return io.NopCloser(strings.NewReader("garbage")), 7, nil }, want: isRejected},
		"no file": {pack: func() (io.ReadCloser, int64, error) { return nil, 0, broken }, want: func(err error) bool { return errors.Is(err, broken) && !errors.Is(err, remote.ErrInterrupted) }},
		"missing": {pack: func() (io.ReadCloser, int64, error) {
			return io.NopCloser(bytes.NewReader([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x00\x02\x9d\x08\x82\x3b\xd8\xa8\xea\xb5\x10\xad\x6a\xc7\x5c\x82\x3c\xfd\x3e\xd3\x1e"))), 32, nil
		}, want: isRejected},
		"shorter": {pack: func() (io.ReadCloser, int64, error) { return io.NopCloser(strings.NewReader("PACK")), 1 << 20, nil }, want: is(remote.ErrInterrupted)},
	} {
		u := remote.Update{Branch: "main", Old: plumbing.NewHash(first), New: commit, Pack: c.pack}
		if err := r.Push(within(t), u); !c.want(err) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if tip := gittest.Tip(t, s.Dir("site.git"), "main"); tip != first {
		t.Errorf("main is at %s, want %s", tip, first)
	}
}

func isRejected(err error) bool {
	rejected, ok := errors.AsType[*remote.RejectedError](err)
	return ok && !rejected.Protected
}

// TestPushNames refuses names before anything is sent.
func TestPushNames(t *testing.T) {
	t.Parallel()
	s, first := serve(t, gittest.Options{}, oneFile)
	r := open(t, remote.Options{URL: s.RepositoryURL("site.git")})
	commit, w := change(t, nil, first, "ours", "1")
	for _, name := range []string{"", "a b", "a..b", "-x", "/x", "x/", "x.lock", "a\x00b", "a\nb", "@{u}", "a^", strings.Repeat("a", 256), "x\u0085y"} {
		if err := r.Push(within(t), update(name, "", commit, w)); err == nil || strings.ContainsAny(err.Error(), "\x00\n") {
			t.Errorf("branch %q: got %v, want an error", name, err)
		}
	}
	if err := r.Push(within(t), update("main", first, plumbing.ZeroHash, w)); err == nil {
		t.Error("a branch was deleted")
	}
	if got := s.Requests(); len(got) > 0 {
		t.Errorf("%d requests were sent, want none", len(got))
	}
}

// TestGivenUp ends calls to servers that do not answer, and leaves nothing behind: neither goroutines nor files.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	gone := errors.New("given up by the test")
	cases := map[string]struct {
		match func(*http.Request) bool
		call  func(ctx context.Context, r *remote.Remote, u remote.Update) error
	}{
		"refs": {match: gittest.IsRefs, call: func(ctx context.Context, r *remote.Remote, _ remote.Update) error {
			_, err := r.Refs(ctx)
			return err
		}},
		"fetch": {match: gittest.IsFetch, call: func(ctx context.Context, r *remote.Remote, u remote.Update) error {
			_, err := r.Fetch(ctx, u.Old)
			return err
		}},
		"push": {match: gittest.IsPush, call: func(ctx context.Context, r *remote.Remote, u remote.Update) error {
			err := r.Push(ctx, u)
			if !errors.Is(err, remote.ErrInterrupted) {
				t.Errorf("a push gives %v, want %v", err, remote.ErrInterrupted)
			}
			return err
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, first := serve(t, gittest.Options{}, oneFile)
			o := remote.Options{URL: s.RepositoryURL("site.git")}
			commit, w := change(t, entries(t, fetch(t, open(t, o), first), first), first, "ours", "1")
			for _, hang := range []gittest.Fault{gittest.Hang(), dribble} {
				ctx, cancel := context.WithCancelCause(within(t))
				s.SetFault(gittest.When(c.match, func(w http.ResponseWriter, r *http.Request) bool {
					cancel(gone)
					return hang(w, r)
				}))
				if err := c.call(ctx, open(t, o), update("main", first, commit, w)); !errors.Is(err, gone) {
					t.Errorf("got %v, want %v", err, gone)
				}
				cancel(nil)
			}
		})
	}
}

// dribble answers with a little of the right thing, again and again.
func dribble(w http.ResponseWriter, r *http.Request) bool {
	service := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	if gittest.IsRefs(r) {
		return gittest.Hang()(w, r)
	}
	w.Header().Set("Content-Type", "application/x-"+service+"-result")
	_, _ = io.Copy(io.Discard, r.Body)
	ticks := time.NewTicker(10 * time.Millisecond)
	defer ticks.Stop()
	_, _ = io.WriteString(w, "00000008NAK\n")
	for {
		select {
		case <-r.Context().Done():
			return true
		case <-ticks.C:
			_, _ = io.WriteString(w, pkt("\x02."))
			_ = http.NewResponseController(w).Flush()
		}
	}
}
