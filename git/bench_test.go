package git_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/ocm-operator/ocm-operator/git/gittest"
	"github.com/ocm-operator/ocm-operator/git/pack"
	"github.com/ocm-operator/ocm-operator/git/remote"
	"github.com/ocm-operator/ocm-operator/git/sign"
	"github.com/ocm-operator/ocm-operator/git/tree"
	"github.com/ocm-operator/ocm-operator/hack/benchtest"
)

const (
	manyFiles = 10_000
	subPath   = "clusters/production"
	maxPack   = 1 << 30
)

// BenchmarkFiles makes a pack of 10,000 files that arrive as an archive. x/fast-import and x/add-commit tell how fast it is beside the git
// command: 1 is as fast. "git fast-import" gets the same as one stream, and "git add" with "git commit" finds the files unpacked.
func BenchmarkFiles(b *testing.B) {
	files := manifests(manyFiles)
	archive := archived(b, files)
	work := b.TempDir()
	unpack(b, work, files)
	stream := fastImport(files)
	b.SetBytes(int64(len(archive)))
	b.ReportAllocs()
	var ours, imported, added time.Duration
	for b.Loop() {
		ours += clock(b, func() error { return build(b.Context(), b.TempDir(), archive) })
		b.StopTimer()
		bare, repository := filepath.Join(b.TempDir(), "bare.git"), filepath.Join(b.TempDir(), "repository.git")
		gittest.NewRepository(b, bare, nil, "main")
		gittest.NewRepository(b, repository, nil, "main")
		imported += clock(b, func() error { return run(b.Context(), bare, stream, "fast-import", "--quiet") })
		added += clock(b, func() error {
			where := []string{"--git-dir=" + repository, "--work-tree=" + work}
			return errors.Join(
				run(b.Context(), work, nil, append(where, "add", "--all")...),
				run(b.Context(), work, nil, append(where, "commit", "--quiet", "--message=many")...))
		})
		b.StartTimer()
	}
	b.ReportMetric(imported.Seconds()/ours.Seconds(), "x/fast-import")
	b.ReportMetric(added.Seconds()/ours.Seconds(), "x/add-commit")
}

// BenchmarkSmallChange pushes one file that has changed among 10,000 to git's own HTTP server: look, fetch, build, push. x/git tells how
// fast that is beside the git command, which clones without history, adds, commits and pushes.
func BenchmarkSmallChange(b *testing.B) {
	for name, like := range map[string]func(testing.TB, string){"filter": gittest.LikeForge, "whole": func(testing.TB, string) {}} {
		b.Run(name, func(b *testing.B) {
			server := gittest.NewServer(b, gittest.Options{})
			dir := server.Dir("fleet.git")
			gittest.NewRepository(b, dir, manifests(manyFiles), "main")
			like(b, dir)
			url := server.RepositoryURL("fleet.git")
			var ours, theirs time.Duration
			count := 0
			for b.Loop() {
				count++
				archive := archived(b, map[string]string{"podinfo/values.yaml": fmt.Sprintf("count: %d\n", count)})
				ours += clock(b, func() error { return push(b.Context(), url, b.TempDir(), archive) })
				b.StopTimer()
				clone := filepath.Join(b.TempDir(), "clone")
				theirs += clock(b, func() error { return pushByCommand(b.Context(), url, clone, count) })
				b.StartTimer()
			}
			b.ReportMetric(theirs.Seconds()/ours.Seconds(), "x/git")
			gittest.Fsck(b, dir)
		})
	}
}

// BenchmarkLargeRepository pushes one file to a repository of 200 MiB. MiB-live is what was alive on the heap at most.
func BenchmarkLargeRepository(b *testing.B) {
	for name, like := range map[string]func(testing.TB, string){"filter": gittest.LikeForge, "whole": func(testing.TB, string) {}} {
		b.Run(name, func(b *testing.B) {
			server := gittest.NewServer(b, gittest.Options{})
			dir := server.Dir("large.git")
			gittest.NewLargeRepository(b, dir, "main", 400, 200<<20)
			like(b, dir)
			count, most := 0, uint64(0)
			for b.Loop() {
				count++
				archive := archived(b, map[string]string{"podinfo/values.yaml": fmt.Sprintf("count: %d\n", count)})
				var err error
				most = max(most, benchtest.Live(func() { err = push(b.Context(), server.RepositoryURL("large.git"), b.TempDir(), archive) }))
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(most)/(1<<20), "MiB-live")
		})
	}
}

// build makes a commit of an archive in a pack, and reads the pack as a push does.
func build(ctx context.Context, dir string, archive []byte) error {
	w, err := pack.New(dir, maxPack)
	if err != nil {
		return err
	}
	defer func() { _ = w.Close() }()
	_, err = commit(ctx, w, nil, plumbing.ZeroHash, plumbing.ZeroHash, archive)
	if err != nil {
		return err
	}
	reader, _, err := w.Reader()
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, reader)
	return errors.Join(err, reader.Close())
}

// commit puts an archive into a folder of the tree that the parent has.
func commit(ctx context.Context, w *pack.Writer, have tree.Source, parent, root plumbing.Hash, archive []byte) (plumbing.Hash, error) {
	built, err := tree.Build(ctx, w, bytes.NewReader(archive), tree.Limits{})
	if err != nil {
		return plumbing.ZeroHash, err
	}
	grafted, err := tree.Graft(ctx, w, tree.Combine(w, have), root, subPath, built.Tree, false)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	who := object.Signature{Name: "ocm-operator", Email: "ocm@example.com", When: time.Now()}
	c := &object.Commit{Author: who, Committer: who, Message: "deploy\n", TreeHash: grafted}
	if !parent.IsZero() {
		c.ParentHashes = []plumbing.Hash{parent}
	}
	content, err := sign.Commit(c, nil)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	return w.Object(plumbing.CommitObject, content)
}

// push does what a reconciliation does with a repository.
func push(ctx context.Context, url, dir string, archive []byte) error {
	r, err := remote.Open(remote.Options{URL: url, TempDir: dir, MaxPackBytes: maxPack})
	if err != nil {
		return err
	}
	defer r.Close()
	refs, err := r.Refs(ctx)
	if err != nil {
		return err
	}
	tip := refs.Branches["main"]
	store, err := r.Fetch(ctx, tip)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	base, err := store.Commit(ctx, tip)
	if err != nil {
		return err
	}
	w, err := pack.New(dir, maxPack)
	if err != nil {
		return err
	}
	defer func() { _ = w.Close() }()
	w.SetKnown(store.Has)
	made, err := commit(ctx, w, store, tip, base.TreeHash, archive)
	if err != nil {
		return err
	}
	return r.Push(ctx, remote.Update{Branch: "main", Old: tip, New: made, Pack: func() (io.ReadCloser, int64, error) { return w.Reader(made) }})
}

// pushByCommand does the same with the git command.
func pushByCommand(ctx context.Context, url, clone string, count int) error {
	if err := run(ctx, filepath.Dir(clone), nil, "clone", "--quiet", "--depth=1", url, clone); err != nil {
		return err
	}
	file := filepath.Join(clone, subPath, "podinfo", "values.yaml")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(file, fmt.Appendf(nil, "count: %d of git\n", count), 0o600); err != nil {
		return err
	}
	return errors.Join(run(ctx, clone, nil, "add", "--all"), run(ctx, clone, nil, "commit", "--quiet", "--message=change"), run(ctx, clone, nil, "push", "--quiet"))
}

func run(ctx context.Context, dir string, input []byte, args ...string) error {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Env, cmd.Stdin = dir, gittest.Environment(), bytes.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

func clock(b *testing.B, work func() error) time.Duration {
	b.Helper()
	start := time.Now()
	if err := work(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

// manifests are as large as manifests are, and as different.
func manifests(count int) map[string]string {
	files := map[string]string{}
	for i := range count {
		var text strings.Builder
		fmt.Fprintf(&text, "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings-%d\ndata:\n", i)
		for line := range 40 {
			fmt.Fprintf(&text, "  key-%d: value %d of %d, %x\n", line, line, i, uint64(i*line)*0x9e3779b97f4a7c15)
		}
		files[fmt.Sprintf("apps/app-%02d/file-%05d.yaml", i%50, i)] = text.String()
	}
	return files
}

func archived(b *testing.B, files map[string]string) []byte {
	b.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for name, content := range files {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
			b.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	return archive.Bytes()
}

func unpack(b *testing.B, dir string, files map[string]string) {
	b.Helper()
	for name, content := range files {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(content), 0o600)); err != nil {
			b.Fatal(err)
		}
	}
}

// fastImport is the stream that makes a commit of files.
func fastImport(files map[string]string) []byte {
	var stream bytes.Buffer
	stream.WriteString("commit refs/heads/main\ncommitter a <a@example.com> 1700000000 +0000\ndata 4\nmany\n")
	for name, content := range files {
		fmt.Fprintf(&stream, "M 100644 inline %s\ndata %d\n%s\n", name, len(content), content)
	}
	return stream.Bytes()
}
