package remote_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/git/gittest"
	"github.com/ocm-operator/ocm-operator/git/pack"
	"github.com/ocm-operator/ocm-operator/git/remote"
)

// manifests are files that git sends as differences to each other.
func manifests(n int) map[string]string {
	out := make(map[string]string, n)
	for i := range n {
		var b strings.Builder
		for line := range 200 {
			fmt.Fprintf(&b, "key-%d: value of %d\n", line, (line*7919)%(i+3))
		}
		out[fmt.Sprintf("apps/group-%02d/file-%03d.yaml", i%7, i)] = b.String()
	}
	return out
}

// walk reads all files of a tree, as git knows them.
func walk(t *testing.T, store *remote.Store, root plumbing.Hash, prefix string, out map[string]gittest.File) {
	t.Helper()
	tree, err := store.Tree(within(t), root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range tree {
		if !store.Has(e.Hash) {
			t.Errorf("%s%s is not known to be on the server", prefix, e.Name)
		}
		if pack.IsFolder(e.Mode) {
			walk(t, store, e.Hash, prefix+e.Name+"/", out)
			continue
		}
		content, err := store.Blob(within(t), e.Hash, 1<<20)
		if err != nil {
			t.Fatalf("%s%s: %v", prefix, e.Name, err)
		}
		out[prefix+e.Name] = gittest.File{Mode: fmt.Sprintf("%06o", uint32(e.Mode)), Content: string(content), Hash: e.Hash.String()}
	}
}

// TestFetch compares everything that is fetched with what git says, for servers that can leave files out, that can and do
// not give them one by one, and that cannot.
func TestFetch(t *testing.T) {
	t.Parallel()
	servers := map[string]struct {
		config   map[string]string
		filtered bool
		requests int
	}{
		"no filter":           {config: map[string]string{}},
		"no offsets":          {config: map[string]string{"repack.useDeltaBaseOffset": "false"}},
		"filter, any object":  {config: map[string]string{"uploadpack.allowFilter": "true", "uploadpack.allowAnySHA1InWant": "true"}, filtered: true},
		"filter, only tips":   {config: map[string]string{"uploadpack.allowFilter": "true"}, filtered: true},
		"filter, reachable":   {config: map[string]string{"uploadpack.allowFilter": "true", "uploadpack.allowReachableSHA1InWant": "true"}, filtered: true},
		"smaller differences": {config: map[string]string{"pack.depth": "4095", "pack.window": "100"}},
	}
	for name, c := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := serve(t, gittest.Options{}, manifests(21))
			dir := s.Dir("site.git")
			for key, value := range c.config {
				gittest.Config(t, dir, key, value)
			}
			commit := gittest.Apply(t, dir, gittest.Change{
				Branch: "main", Message: "all kinds\n\nOcm-Sync: a/b",
				Files: map[string]string{"run.sh": "#!/bin/sh\n", "link": "run.sh", "empty": ""}, Modes: map[string]string{"run.sh": gittest.Executable, "link": gittest.Symlink},
			})
			gittest.Git(t, dir, "repack", "-adfq", "--depth=50", "--window=50")
			r := open(t, remote.Options{URL: s.RepositoryURL("site.git")})
			store := fetch(t, r, commit)
			size := store.Size()
			found, err := store.Commit(within(t), plumbing.NewHash(commit))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(found.Message, "all kinds\n\nOcm-Sync: a/b") || len(found.ParentHashes) != 1 || !store.Has(found.Hash) {
				t.Errorf("the commit is %v, want its message and one parent", found)
			}
			got := make(map[string]gittest.File)
			walk(t, store, found.TreeHash, "", got)
			if diff := cmp.Diff(gittest.Files(t, dir, "main"), got); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if c.filtered == (store.Size() == size) {
				t.Errorf("%d bytes were fetched at first, and %d in the end", size, store.Size())
			}
			if err := store.Close(); err != nil {
				t.Error(err)
			}
			if _, err := store.Tree(within(t), found.TreeHash); err == nil {
				t.Error("a closed store has a tree")
			}
		})
	}
}

// TestFetchOneRequest counts requests: what the server can do is known from the list of branches.
func TestFetchOneRequest(t *testing.T) {
	t.Parallel()
	s, commit := serve(t, gittest.Options{}, oneFile)
	gittest.LikeForge(t, s.Dir("site.git"))
	r := open(t, remote.Options{URL: s.RepositoryURL("site.git")})
	if _, err := r.Refs(within(t)); err != nil {
		t.Fatal(err)
	}
	store := fetch(t, r, commit)
	tree := entries(t, store, commit)
	for range 2 {
		if _, err := store.Blob(within(t), tree[0].Hash, 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, request := range s.Requests() {
		got = append(got, request.Method+" "+request.Path)
	}
	if diff := cmp.Diff([]string{"GET /site.git/info/refs", "POST /site.git/git-upload-pack", "POST /site.git/git-upload-pack"}, got); diff != "" {
		t.Errorf("requests for branches, commit and one file (-want +got):\n%s", diff)
	}
}

// TestFetchBounds fetches what is too large, and what there is not.
func TestFetchBounds(t *testing.T) {
	t.Parallel()
	s := gittest.NewServer(t, gittest.Options{})
	commit := gittest.NewLargeRepository(t, s.Dir("site.git"), "main", 8, 2<<20)
	for _, filter := range []string{"false", "true"} {
		gittest.Config(t, s.Dir("site.git"), "uploadpack.allowFilter", filter)
		gittest.Config(t, s.Dir("site.git"), "uploadpack.allowAnySHA1InWant", filter)
		r := open(t, remote.Options{URL: s.RepositoryURL("site.git"), MaxPackBytes: 1 << 20})
		store, err := r.Fetch(within(t), plumbing.NewHash(commit))
		if filter == "false" {
			if large, ok := errors.AsType[*remote.TooLargeError](err); !ok || large.Limit != 1<<20 {
				t.Errorf("got %v, want a *TooLargeError with the limit", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		blob := plumbing.NewHash(strings.TrimSpace(gittest.Git(t, s.Dir("site.git"), "rev-parse", "main:dir-00/file-0000.bin")))
		if _, err := store.Blob(within(t), blob, 1000); !isTooLarge(err) {
			t.Errorf("a large file gives %v, want a *TooLargeError", err)
		}
		if content, err := store.Blob(within(t), blob, 1<<18); err != nil || len(content) != 1<<18 {
			t.Errorf("a file of exactly that size gives %d bytes and %v", len(content), err)
		}
		if _, err := store.Blob(within(t), plumbing.NewHash(commit), 1000); !errors.Is(err, remote.ErrNoSuchObject) {
			t.Errorf("a commit in place of a file gives %v, want %v", err, remote.ErrNoSuchObject)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
	r := open(t, remote.Options{URL: s.RepositoryURL("site.git")})
	for _, missing := range []string{strings.Repeat("1", 40), plumbing.ZeroHash.String()} {
		if _, err := r.Fetch(within(t), plumbing.NewHash(missing)); !errors.Is(err, remote.ErrNoSuchCommit) {
			t.Errorf("commit %s gives %v, want %v", missing, err, remote.ErrNoSuchCommit)
		}
	}
	limited := open(t, remote.Options{URL: s.RepositoryURL("site.git"), MaxRefs: 1})
	gittest.Branch(t, s.Dir("site.git"), "second", "main")
	if _, err := limited.Refs(within(t)); !isTooLarge(err) {
		t.Errorf("more branches than allowed give %v, want a *TooLargeError", err)
	}
}

func isTooLarge(err error) bool {
	_, ok := errors.AsType[*remote.TooLargeError](err)
	return ok
}

// TestLargeDifference asks for files of which one is sent as the difference to another, which is too large for memory.
func TestLargeDifference(t *testing.T) {
	t.Parallel()
	s := gittest.NewServer(t, gittest.Options{})
	dir := s.Dir("site.git")
	noise := make([]byte, 9<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(noise)
	commit := gittest.NewRepository(t, dir, map[string]string{"one": string(noise), "two": string(noise) + "and more", "small": "1"}, "main")
	gittest.Git(t, dir, "repack", "-adfq")
	store := fetch(t, open(t, remote.Options{URL: s.RepositoryURL("site.git")}), commit)
	if store.Size() > 12<<20 {
		t.Fatalf("%d bytes were fetched, want one file and a difference", store.Size())
	}
	read := 0
	for _, e := range entries(t, store, commit) {
		content, err := store.Blob(within(t), e.Hash, 16<<20)
		switch {
		case err == nil && plumbing.ComputeHash(plumbing.BlobObject, content) == e.Hash:
			read++
		case !isTooLarge(err):
			t.Errorf("%s: got %d bytes and %v, want a *TooLargeError", e.Name, len(content), err)
		}
	}
	if read != 2 {
		t.Errorf("%d files were read, want the small one and the one that is sent whole", read)
	}
}

// TestManyFiles asks for more files than packs are kept.
func TestManyFiles(t *testing.T) {
	t.Parallel()
	files := make(map[string]string)
	for i := range 70 {
		files[fmt.Sprintf("file-%d", i)] = strconv.Itoa(i)
	}
	s, commit := serve(t, gittest.Options{}, files)
	gittest.LikeForge(t, s.Dir("site.git"))
	for _, several := range []bool{false, true} {
		s.ForgetRequests()
		store := fetch(t, open(t, remote.Options{URL: s.RepositoryURL("site.git")}), commit)
		var hashes []plumbing.Hash
		for _, e := range entries(t, store, commit) {
			hashes = append(hashes, e.Hash)
		}
		if several {
			for range 2 {
				if err := store.Load(within(t), append(hashes, plumbing.NewHash(commit)), 100); err != nil {
					t.Fatal(err)
				}
			}
		}
		readAll(t, store, commit, files)
		want := len(files) + 2
		if several {
			want = 3
		}
		if got := len(s.Requests()); got != want {
			t.Errorf("%d requests were sent for %d files, want %d", got, len(files), want)
		}
	}
}

func readAll(t *testing.T, store *remote.Store, commit string, files map[string]string) {
	t.Helper()
	for _, e := range entries(t, store, commit) {
		content, err := store.Blob(within(t), e.Hash, 100)
		if err != nil || string(content) != files[e.Name] {
			t.Fatalf("%s is %q (%v), want %q", e.Name, content, err, files[e.Name])
		}
	}
}

// TestFetchKeepsHistoryAway looks for what a shallow fetch must not have.
func TestFetchKeepsHistoryAway(t *testing.T) {
	t.Parallel()
	s, first := serve(t, gittest.Options{}, oneFile)
	second := gittest.Commit(t, s.Dir("site.git"), "main", map[string]string{"README.md": "hello again\n"})
	store := fetch(t, open(t, remote.Options{URL: s.RepositoryURL("site.git")}), second)
	if store.Has(plumbing.NewHash(first)) {
		t.Error("the commit before was fetched")
	}
	if _, err := store.Commit(within(t), plumbing.NewHash(first)); !errors.Is(err, remote.ErrNoSuchObject) {
		t.Errorf("the commit before gives %v, want %v", err, remote.ErrNoSuchObject)
	}
}

// TestFetchSubmodule knows that a commit of another repository is not on the server.
func TestFetchSubmodule(t *testing.T) {
	t.Parallel()
	s, first := serve(t, gittest.Options{}, oneFile)
	w, err := pack.New(t.TempDir(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	r := open(t, remote.Options{URL: s.RepositoryURL("site.git")})
	base := entries(t, fetch(t, r, first), first)
	other := plumbing.NewHash(strings.Repeat("2", 40))
	for i := range base {
		if base[i].Name == "README.md" {
			base[i].Mode, base[i].Hash, base[i].Name = filemode.Submodule, other, "module"
		}
	}
	commit, w := change(t, base, first, "file", "1")
	if err := r.Push(within(t), update("main", first, commit, w)); err != nil {
		t.Fatal(err)
	}
	if fetch(t, r, commit.String()).Has(other) {
		t.Error("a commit of a submodule counts as known to the server")
	}
}

// TestHostile lets servers send what they must not.
func TestHostile(t *testing.T) {
	t.Parallel()
	const advert, result = "application/x-git-upload-pack-advertisement", "application/x-git-upload-pack-result"
	progress := append([]byte("ffff\x02"), bytes.Repeat([]byte("working... \r"), 5461)[:65530]...)
	ref := []byte("003f" + strings.Repeat("a", 40) + " refs/heads/" + strings.Repeat("b", 6) + "\n")
	cases := map[string]struct {
		reason string
		match  func(*http.Request) bool
		fault  gittest.Fault
		want   func(error) bool
	}{
		"page":             {reason: "a page for people", match: gittest.IsRefs, fault: answerWith("text/html", "<html>log in</html>"), want: is(remote.ErrProtocol)},
		"garbage":          {reason: "not a message", match: gittest.IsRefs, fault: answerWith(advert, "garbage"), want: is(remote.ErrProtocol)},
		"empty":            {reason: "nothing", match: gittest.IsRefs, fault: answerWith(advert, ""), want: is(remote.ErrProtocol)},
		"cut off":          {reason: "the beginning", match: gittest.IsRefs, fault: answerWith(advert, "001e# service=git-upload-pack\n0000"), want: is(remote.ErrProtocol)},
		"endless refs":     {reason: "refs without end", match: gittest.IsRefs, fault: gittest.Endless(advert, []byte("001e# service=git-upload-pack\n0000"+pkt(strings.Repeat("a", 40)+" HEAD\x00shallow side-band-64k\n")), ref), want: isTooLarge},
		"endless answer":   {reason: "refs that are no lines", match: gittest.IsRefs, fault: gittest.Endless(advert, nil, []byte("zzzz")), want: is(remote.ErrProtocol)},
		"sha256":           {reason: "another format of objects", match: gittest.IsRefs, fault: answerWith(advert, pkt(strings.Repeat("0", 64)+" capabilities^{}\x00object-format=sha256\n")+"0000"), want: is(remote.ErrUnsupported)},
		"no shallow":       {reason: "a server that sends whole histories", match: gittest.IsRefs, fault: answerWith(advert, pkt(strings.Repeat("a", 40)+" HEAD\x00side-band-64k\n")+"0000"), want: is(remote.ErrUnsupported)},
		"long hash":        {reason: "a hash of another length", match: gittest.IsRefs, fault: answerWith(advert, pkt(strings.Repeat("a", 64)+" HEAD\x00shallow\n")+"0000"), want: is(remote.ErrProtocol)},
		"no capabilities":  {reason: "a server that can do nothing", match: gittest.IsRefs, fault: answerWith(advert, pkt(strings.Repeat("a", 40)+" HEAD\n")+"0000"), want: is(remote.ErrProtocol)},
		"error line":       {reason: "an error in place of refs", match: gittest.IsRefs, fault: answerWith(advert, pkt("ERR access denied or repository not exported: /site.git")), want: is(remote.ErrNotFound)},
		"server error":     {reason: "a failure", match: gittest.IsRefs, fault: gittest.Status(503, "try later\x1b[2J "+strings.Repeat("x", 1<<20)), want: bounded},
		"endless progress": {reason: "talk without end", match: gittest.IsFetch, fault: gittest.Endless(result, []byte("00000008NAK\n"), progress), want: is(remote.ErrProtocol)},
		"error band":       {reason: "an error in place of a pack", match: gittest.IsFetch, fault: answerWith(result, "00000008NAK\n"+pkt("\x03fatal: out of memory")), want: says("out of memory")},
		"no pack":          {reason: "no pack", match: gittest.IsFetch, fault: answerWith(result, "00000008NAK\n"+pkt("\x01PACKgarbage")+"0000"), want: is(remote.ErrProtocol)},
		"unknown band":     {reason: "a channel that there is not", match: gittest.IsFetch, fault: answerWith(result, "00000008NAK\n"+pkt("\x07x")), want: is(remote.ErrProtocol)},
		"a billion":        {reason: "a pack that says it has a great many objects", match: gittest.IsFetch, fault: answerWith(result, "00000008NAK\n"+pkt("\x01PACK\x00\x00\x00\x02\x7f\xff\xff\xff")+"0000"), want: isTooLarge},
		"empty pack":       {reason: "a pack without the commit", match: gittest.IsFetch, fault: answerWith(result, "00000008NAK\n"+pkt("\x01PACK\x00\x00\x00\x02\x00\x00\x00\x00\x02\x9d\x08\x82\x3b\xd8\xa8\xea\xb5\x10\xad\x6a\xc7\x5c\x82\x3c\xfd\x3e\xd3\x1e")+"0000"), want: is(remote.ErrProtocol)},
		"endless pack":     {reason: "a pack without end", match: gittest.IsFetch, fault: gittest.Endless(result, append([]byte("00000008NAK\n"), endlessBlob()...), []byte(pkt("\x01"+storedBlock()))), want: isTooLarge},
		"disconnect":       {reason: "a connection that is closed", match: gittest.IsFetch, fault: gittest.Disconnect(), want: func(err error) bool { return err != nil }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, commit := serve(t, gittest.Options{}, oneFile)
			s.SetFault(gittest.When(c.match, c.fault))
			r := open(t, remote.Options{URL: s.RepositoryURL("site.git"), MaxPackBytes: 4 << 20})
			if _, err := r.Fetch(within(t), plumbing.NewHash(commit)); !c.want(err) {
				t.Errorf("%s: got %v", c.reason, err)
			}
		})
	}
}

// TestOtherHashes meets repositories that git makes with another format of objects.
func TestOtherHashes(t *testing.T) {
	t.Parallel()
	s := gittest.NewServer(t, gittest.Options{})
	gittest.Git(t, filepath.Dir(s.Dir("site.git")), "init", "--quiet", "--bare", "--object-format=sha256", s.Dir("site.git"))
	r := open(t, remote.Options{URL: s.RepositoryURL("site.git")})
	gittest.Config(t, s.Dir("site.git"), "http.receivepack", "true")
	first, w := change(t, nil, "", "ours", "1")
	// An empty repository says what it can do only to those who push.
	if err := r.Push(within(t), update("main", "", first, w)); !errors.Is(err, remote.ErrUnsupported) || !says("sha256")(err) {
		t.Errorf("an empty repository gives %v, want %v because of sha256", err, remote.ErrUnsupported)
	}
	commit := strings.TrimSpace(gittest.Git(t, s.Dir("site.git"), "commit-tree", "-m", "first", strings.TrimSpace(gittest.Git(t, s.Dir("site.git"), "hash-object", "-t", "tree", "-w", os.DevNull))))
	gittest.Git(t, s.Dir("site.git"), "update-ref", "refs/heads/main", commit)
	if _, err := r.Refs(within(t)); !errors.Is(err, remote.ErrUnsupported) {
		t.Errorf("a repository with a branch gives %v, want %v", err, remote.ErrUnsupported)
	}
}

func pkt(line string) string {
	return fmt.Sprintf("%04x%s", len(line)+4, line)
}

// endlessBlob is a pack with one blob of 128 MiB, up to its content.
func endlessBlob() []byte {
	return []byte(pkt("\x01PACK\x00\x00\x00\x02\x00\x00\x00\x01" + "\xb0\x80\x80\x80\x04" + "\x78\x01"))
}

// storedBlock is a block of deflate that is stored as it is, with zeros.
func storedBlock() string {
	return "\x00\x00\x80\xff\x7f" + strings.Repeat("\x00", 0x8000)
}

func answerWith(kind, body string) gittest.Fault {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write([]byte(body))
		return true
	}
}

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func says(text string) func(error) bool {
	return func(err error) bool { return err != nil && strings.Contains(err.Error(), text) }
}

// bounded is an error of a server that says a lot.
func bounded(err error) bool {
	return err != nil && len(err.Error()) < 1024 && !strings.ContainsRune(err.Error(), '\x1b') && strings.Contains(err.Error(), "503")
}
