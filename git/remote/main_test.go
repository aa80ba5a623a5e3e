package remote_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"go.uber.org/goleak"

	"github.com/ocm-operator/ocm-operator/git/gittest"
	"github.com/ocm-operator/ocm-operator/git/pack"
	"github.com/ocm-operator/ocm-operator/git/remote"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// context returns one that ends long after a test that goes well.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// open opens a repository with a folder that must be empty at the end.
func open(t testing.TB, o remote.Options) *remote.Remote {
	t.Helper()
	o.TempDir = t.TempDir()
	r, err := remote.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Close()
		left, err := os.ReadDir(o.TempDir)
		if err != nil || len(left) > 0 {
			t.Errorf("the folder for private files has %v at the end (%v), want nothing", left, err)
		}
	})
	return r
}

// fetch fetches a commit into a store that is closed at the end.
func fetch(t testing.TB, r *remote.Remote, commit string) *remote.Store {
	t.Helper()
	store, err := r.Fetch(within(t), plumbing.NewHash(commit))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// entries returns the root of a commit.
func entries(t testing.TB, store *remote.Store, commit string) []object.TreeEntry {
	t.Helper()
	found, err := store.Commit(within(t), plumbing.NewHash(commit))
	if err != nil {
		t.Fatal(err)
	}
	tree, err := store.Tree(within(t), found.TreeHash)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// change is a commit with one more file in the root.
func change(t testing.TB, base []object.TreeEntry, parent, name, content string) (plumbing.Hash, *pack.Writer) {
	t.Helper()
	w, err := pack.New(t.TempDir(), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	blob, err := w.Blob(int64(len(content)), bytes.NewReader([]byte(content)))
	if err != nil {
		t.Fatal(err)
	}
	tree := slices.DeleteFunc(slices.Clone(base), func(e object.TreeEntry) bool { return e.Name == name })
	encoded, err := pack.EncodeTree(append(tree, object.TreeEntry{Name: name, Mode: filemode.Regular, Hash: blob}))
	if err != nil {
		t.Fatal(err)
	}
	root, err := w.Object(plumbing.TreeObject, encoded)
	if err != nil {
		t.Fatal(err)
	}
	raw := fmt.Sprintf("tree %s\n", root)
	if parent != "" {
		raw += fmt.Sprintf("parent %s\n", parent)
	}
	raw += "author ocm <ocm@acme.org> 1767225600 +0000\ncommitter ocm <ocm@acme.org> 1767225600 +0000\n\ndeploy " + name + "\n"
	commit, err := w.Object(plumbing.CommitObject, []byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return commit, w
}

// update is the push of a change to a branch.
func update(branch, old string, commit plumbing.Hash, w *pack.Writer) remote.Update {
	return remote.Update{Branch: branch, Old: plumbing.NewHash(old), New: commit, Pack: func() (io.ReadCloser, int64, error) { return w.Reader() }}
}

// loopback is a dialer that remembers whom it was asked for.
type loopback struct {
	asked chan string
}

func (l loopback) dial(ctx context.Context, network, address string) (net.Conn, error) {
	select {
	case l.asked <- address:
	default:
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}

// serve makes a server with one repository, and returns the commit in it.
func serve(t testing.TB, o gittest.Options, files map[string]string) (s *gittest.Server, commit string) {
	t.Helper()
	s = gittest.NewServer(t, o)
	return s, gittest.NewRepository(t, s.Dir("site.git"), files, "main")
}

type (
	httpWriter  = http.ResponseWriter
	httpRequest = http.Request
)
