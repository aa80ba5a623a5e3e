package gitsync

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/git/gittest"
)

// TestAttacks has everybody lie whom the operator listens to: components, whoever writes a GitSync, and git servers. Nothing of it is
// pushed, and nobody gets what he is not meant to have.
func TestAttacks(t *testing.T) {
	w := newWorld(t)
	h := plainHost(t)
	t.Run("all", func(t *testing.T) {
		t.Run("content", func(t *testing.T) { hostileContent(t, w, h) })
		t.Run("spec", func(t *testing.T) { hostileSpec(t, w, h) })
		t.Run("component", func(t *testing.T) {
			t.Parallel()
			hostileComponent(t, w.forTest(t), h)
		})
		t.Run("redirect", func(t *testing.T) {
			t.Parallel()
			hostileRedirect(t, w.forTest(t))
		})
	})
}

// hostile are archives that have no place in a repository, and what a message about them has to name. They are as nobody of ours would
// have written them, so that the last gate is tried and not those before it.
var hostile = map[string]struct {
	reason  string
	entries []entry
	names   string
}{
	"git config":       {"programs that git runs are named there", []entry{file(".git/config", "[core]\n\tfsmonitor = touch /tmp/owned\n")}, ".git"},
	"nested hook":      {"a clone of the folder runs it", []entry{file("sub/.git/hooks/post-checkout", "#!/bin/sh\n")}, ".git"},
	"upper case":       {"the same on file systems that ignore case", []entry{file(".GIT/config", "x")}, ".GIT"},
	"short name":       {"the same on Windows", []entry{file("git~1/config", "x")}, "git~1"},
	"trailing dot":     {"the same on Windows", []entry{file(".git./config", "x")}, ".git."},
	"stream":           {"the same on NTFS", []entry{file(".git::$INDEX_ALLOCATION/config", "x")}, ".git"},
	"ignored rune":     {"the same on HFS+", []entry{file(".g\u200cit/config", "x")}, ""},
	"parent":           {"out of the folder", []entry{file("../escape.yaml", "x")}, ".."},
	"parent in middle": {"out of the folder, later", []entry{file("a/../../escape.yaml", "x")}, ".."},
	"absolute":         {"out of the repository", []entry{file("/etc/passwd", "x")}, "/etc/passwd"},
	"backslash":        {"a separator on Windows", []entry{file(`a\..\..\escape.yaml`, "x")}, ""},
	"absolute link":    {"reads files of who checks out", []entry{link("passwd", "/etc/passwd")}, "passwd"},
	"leaving link":     {"reads files of other folders", []entry{link("a/other", "../../other/secret.yaml")}, "a/other"},
	"link to modules":  {"git reads it as configuration", []entry{file("x", "x"), link(".gitmodules", "x")}, ".gitmodules"},
	"through a link":   {"a file below a link", []entry{link("a", "b"), file("a/c", "x")}, "a"},
	"file and folder":  {"which one is there?", []entry{file("a", "x"), file("a/b", "x")}, "a"},
	"twice":            {"which one is there?", []entry{file("a", "x"), file("a", "y")}, "a"},
	"control":          {"what a terminal shows is another path", []entry{file("a\x1b[2Jb", "x")}, ""},
}

// hostileContent is smuggled past the checks of a Resource.
func hostileContent(t *testing.T, w *world, h *host) {
	for name, c := range hostile {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := w.forTest(t)
			w.smuggle(compressed(func(out io.Writer) error {
				_, err := out.Write(pack(t, c.entries))
				return err
			}))
			refused(t, w, h, c.names)
		})
	}
	for name, write := range map[string]func(out io.Writer) error{
		"hard link": hardLink, "device": device, "huge entry": hugeEntry, "million entries": millionEntries,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := w.forTest(t)
			w.smuggle(compressed(write))
			refused(t, w, h, "")
		})
	}
}

// refused wants the content of the world to be refused, with a message that names something, and the repository to stay as it was.
func refused(t *testing.T, w *world, h *host, names string) {
	t.Helper()
	r := h.repository(w, own)
	before := gittest.Branches(t, r.dir)
	w.sync(app, spec(r))
	w.fails(app, v1alpha1.InvalidContentReason, names)
	unchanged(t, r, before)
	if seen := h.pushes(r); seen > 0 {
		t.Errorf("%d pushes of what was refused", seen)
	}
}

// unchanged wants a repository to have the branches that it had.
func unchanged(t *testing.T, r *repository, before map[string]string) {
	t.Helper()
	if now := gittest.Branches(t, r.dir); fmt.Sprint(now) != fmt.Sprint(before) {
		t.Errorf("the branches are %v, were %v", now, before)
	}
}

// compressed writes an archive as snapshots are.
func compressed(write func(out io.Writer) error) func(out io.Writer) error {
	return func(out io.Writer) error {
		zip, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
		if err != nil {
			return err
		}
		buffer := bufio.NewWriterSize(zip, 1<<20)
		return errors.Join(write(buffer), buffer.Flush(), zip.Close())
	}
}

func hardLink(out io.Writer) error {
	w := tar.NewWriter(out)
	return errors.Join(w.WriteHeader(&tar.Header{Typeflag: tar.TypeLink, Name: "passwd", Linkname: "/etc/passwd", Mode: 0o644}), w.Close())
}

func device(out io.Writer) error {
	w := tar.NewWriter(out)
	return errors.Join(w.WriteHeader(&tar.Header{Typeflag: tar.TypeChar, Name: "mem", Devmajor: 1, Devminor: 1, Mode: 0o644}), w.Close())
}

// hugeEntry says that it has more bytes than anybody takes, and does not have them.
func hugeEntry(out io.Writer) error {
	w := tar.NewWriter(out)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "huge", Size: 1 << 42, Mode: 0o644}); err != nil {
		return err
	}
	_, err := w.Write(make([]byte, 1<<20))
	return err
}

func millionEntries(out io.Writer) error {
	w := tar.NewWriter(out)
	for i := range 1_000_000 {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprintf("%03d/%03d", i/1000, i%1000), Mode: 0o644}); err != nil {
			return err
		}
	}
	return w.Close()
}

// hostileSpec is written by somebody who may write GitSyncs, and no more than that.
func hostileSpec(t *testing.T, w *world, h *host) {
	for name, c := range map[string]struct {
		reason string
		change func(s *v1alpha1.GitSyncSpec)
		names  string
	}{
		"parent":        {"out of the repository", func(s *v1alpha1.GitSyncSpec) { s.SubPath = "../.." }, "subPath"},
		"hidden parent": {"out of the repository", func(s *v1alpha1.GitSyncSpec) { s.SubPath = "a/../../b" }, "subPath"},
		"absolute":      {"out of the repository", func(s *v1alpha1.GitSyncSpec) { s.SubPath = "/etc" }, "subPath"},
		"git folder":    {"hooks of whoever checks out", func(s *v1alpha1.GitSyncSpec) { s.SubPath = "a/.Git/hooks" }, "subPath"},
		"branch":        {"git would not take it", func(s *v1alpha1.GitSyncSpec) { s.CommitTemplate.TargetBranch = "../../tags/v1" }, "targetBranch"},
		"other ref":     {"colons separate refs", func(s *v1alpha1.GitSyncSpec) { s.CommitTemplate.TargetBranch = "x:refs/heads/main" }, "targetBranch"},
		"base branch":   {"no branch", func(s *v1alpha1.GitSyncSpec) { s.CommitTemplate.BaseBranch = "main.lock" }, "baseBranch"},
		"template":      {"nothing has that name", func(s *v1alpha1.GitSyncSpec) { s.CommitTemplate.Message = "{{ .Secrets }}" }, "message"},
		"endless message": {"it would never end", func(s *v1alpha1.GitSyncSpec) {
			s.CommitTemplate.Message = `{{ define "x" }}{{ template "x" . }}{{ end }}{{ template "x" . }}`
		}, "message"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := w.forTest(t)
			r := h.repository(w, own)
			before := gittest.Branches(t, r.dir)
			w.deliver("1.0.0", v1...)
			s := spec(r)
			c.change(&s)
			// What can be told without looking further, the API server refuses at once.
			if err := w.syncError(app, s); err == nil {
				w.fails(app, v1alpha1.InvalidSpecReason, c.names)
			} else if !strings.Contains(err.Error(), c.names) {
				t.Errorf("it is refused by %q, which does not name %q", err, c.names)
			}
			unchanged(t, r, before)
		})
	}
}

// hostileComponent comes all the way from a registry.
func hostileComponent(t *testing.T, w *world, h *host) {
	r := h.repository(w, own)
	before := gittest.Branches(t, r.dir)
	w.deliver("1.0.0", file("app.yaml", "fine\n"), file(".git/config", "[core]\n\tfsmonitor = touch /tmp/owned\n"))
	w.sync(app, spec(r))
	w.fails(app, v1alpha1.InvalidContentReason, ".git/config")
	unchanged(t, r, before)
	w.publish("1.0.1", v1...)
	w.synced(app, "1.0.1")
	r.expect("main", merged(without(plain(own), subPath+"/by-hand.yaml"), below(subPath, v1)))
}

// hostileRedirect sends whom it asks for credentials to another host, which would take them.
func hostileRedirect(t *testing.T, w *world) {
	_, other, url := redirecting(t)
	w.deliver("1.0.0", v1...)
	w.secret(goodSecret, map[string]string{"username": user, "password": password})
	w.sync(app, spec(&repository{t: t, url: url, secret: goodSecret}))
	w.fails(app, v1alpha1.GitRepositoryFetchFailedReason, "redirect")
	for _, request := range other.Requests() {
		t.Errorf("the other host was asked %s %s, with the credentials %q", request.Method, request.Path, request.Header.Get("Authorization"))
	}
}
