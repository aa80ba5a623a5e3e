package access_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// app is the component with some content.
func app(version, content string) ocmtest.Component {
	return ocmtest.Component{Name: component, Version: version, Resources: []ocmtest.Resource{{Name: "data", Content: []byte(content)}}}
}

// put adds a component to a repository.
func put(ctx context.Context, repository *ocm.Repository, c ocmtest.Component) error {
	d, blobs, err := c.Build()
	if err != nil {
		return err
	}
	_, err = repository.Put(ctx, d, blobs, ocm.PutOptions{})
	return err
}

// archived writes an archive with the component.
func archived(t *testing.T, path string, components ...ocmtest.Component) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	repository, err := ocm.CreateCTF(path, ocm.Options{TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range components {
		if err := put(t.Context(), repository, c); err != nil {
			t.Fatal(err)
		}
	}
	if err := repository.Close(); err != nil {
		t.Fatal(err)
	}
}

// dataOf reads the content of the component.
func dataOf(t *testing.T, repository *access.Repository, version string) (string, error) {
	t.Helper()
	found, _, err := repository.Current(t.Context(), component, version)
	if err != nil {
		return "", err
	}
	res, err := found.Descriptor().FindResource(descriptor.Selector{Name: "data"})
	if err != nil {
		return "", err
	}
	blob, err := found.Open(t.Context(), res, ocm.ReadOptions{})
	if err != nil {
		return "", err
	}
	defer blob.Close()
	data, err := io.ReadAll(blob)
	return string(data), err
}

func in(namespace string) access.User {
	return access.User{Kind: v1alpha1.ComponentVersionKind, Namespace: namespace, Name: "app"}
}

// reach opens a repository and reads the content of the component in it.
func reach(t *testing.T, p *access.Provider, user access.User, url string) (string, error) {
	t.Helper()
	repository, err := p.Open(t.Context(), user, v1alpha1.Repository{URL: url}, "spec.source")
	if err != nil {
		return "", err
	}
	return dataOf(t, repository, "1.0.0")
}

func archiveProvider(t *testing.T, dir string) *access.Provider {
	t.Helper()
	return provider(t, access.Options{Live: reconcilertest.New(t).Client, Archives: access.ArchiveOptions{Dir: dir, TempDir: t.TempDir()}})
}

// TestArchivesOfNamespaces reads archives of one name in two namespaces, and tries to get from one to the other.
func TestArchivesOfNamespaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, namespace := range []string{"a", "b"} {
		for _, name := range []string{"app.tgz", "app.tar", "folder", "deep/er/app.tgz"} {
			archived(t, filepath.Join(dir, namespace, name), app("1.0.0", "of "+namespace))
		}
	}
	archived(t, filepath.Join(dir, "b", "only.tgz"), app("1.0.0", "of b"))
	archived(t, filepath.Join(dir, "b", "other"), app("1.0.0", "of b"))
	archived(t, filepath.Join(dir, "outside.tgz"), app("1.0.0", "outside"))
	if err := errors.Join(
		os.Symlink("../b/only.tgz", filepath.Join(dir, "a", "link.tgz")),
		os.Symlink(filepath.Join(dir, "b"), filepath.Join(dir, "a", "absolute")),
		os.Symlink("app.tgz", filepath.Join(dir, "a", "inner.tgz")),
		os.Link(filepath.Join(dir, "b", "only.tgz"), filepath.Join(dir, "a", "hard.tgz")),
		os.Symlink("b", filepath.Join(dir, "c")),
		os.Mkdir(filepath.Join(dir, "a", "linked"), 0o700),
		os.Link(filepath.Join(dir, "b", "other", "artifact-index.json"), filepath.Join(dir, "a", "linked", "artifact-index.json"))); err != nil {
		t.Fatal(err)
	}
	p := archiveProvider(t, dir)
	for _, namespace := range []string{"a", "b"} {
		for _, name := range []string{"app.tgz", "app.tar", "folder", "deep/er/app.tgz"} {
			if got, err := reach(t, p, in(namespace), "ctf::"+name); err != nil || got != "of "+namespace {
				t.Errorf("%s of namespace %s = %q, %v", name, namespace, got, err)
			}
		}
	}
	for _, name := range []string{
		"../b/only.tgz", "../outside.tgz", "x/../../b/only.tgz", "/b/only.tgz", dir + "/b/only.tgz", "file://" + dir + "/b/only.tgz", "link.tgz", "absolute/only.tgz",
		"inner.tgz", "hard.tgz", "linked", "only.tgz", "APP.TGZ", "./app.tgz", "app.tgz/", "deep//er/app.tgz", "", ".", "..", ".hidden.tgz", `..\b\only.tgz`, "%2e%2e/b/only.tgz",
		"app.tgz\x00", "deep",
	} {
		if got, err := reach(t, p, in("a"), "ctf::"+name); err == nil {
			t.Errorf("ctf::%s gives namespace a %q", name, got)
		}
	}
	if got, err := reach(t, p, in("c"), "ctf::only.tgz"); err == nil {
		t.Errorf("the folder of namespace c is a link, which gives %q", got)
	}
	if _, err := reach(t, p, in("a"), "ctf::only.tgz"); !errors.Is(err, ocm.ErrNotFound) || strings.Contains(err.Error(), dir) {
		t.Errorf("error = %v, want ErrNotFound without the folders of the operator", err)
	}
}

// TestArchivesAreRefused shows what to do when the operator has no folder for archives, and what is no address.
func TestArchivesAreRefused(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	for name, tc := range map[string]struct {
		dir, field string
		repository v1alpha1.Repository
		says       string
	}{
		"no flag":      {repository: v1alpha1.Repository{URL: "ctf::app.tgz"}, says: "spec.source.url: the operator was started without --archives-dir"},
		"way out":      {dir: "/archives", repository: v1alpha1.Repository{URL: "ctf::../x.tgz"}, says: "is no path of an archive"},
		"hidden":       {dir: "/archives", repository: v1alpha1.Repository{URL: "ctf::x/.y.tgz"}, says: ".y.tgz begins with a dot"},
		"plain http":   {repository: v1alpha1.Repository{URL: "ctf::http://example.com/x.tgz"}, says: "over https only"},
		"password":     {repository: v1alpha1.Repository{URL: "ctf::https://a:b@example.com/x.tgz"}, says: "a log-in goes into a Secret"},
		"no archive":   {repository: v1alpha1.Repository{URL: "ctf::https://example.com/x.zip"}, says: "ends in .tar, .tgz or .tar.gz"},
		"no host":      {repository: v1alpha1.Repository{URL: "ctf::https:///x.tgz"}, says: "has no host"},
		"to a URL":     {field: "spec.destination", repository: v1alpha1.Repository{URL: "ctf::https://example.com/x.tgz"}, says: "can't be written to"},
		"no such form": {dir: "/archives", repository: v1alpha1.Repository{URL: "ctf::x.tgz", ComponentNameMapping: "sha256-digest"}, says: "spec.source.componentNameMapping"},
	} {
		p := provider(t, access.Options{Live: w.Client, Archives: access.ArchiveOptions{Dir: tc.dir}})
		field := tc.field
		if field == "" {
			field = "spec.source"
		}
		_, err := p.Open(t.Context(), in("a"), tc.repository, field)
		if outcome, reason := reconcilertest.Judge(t, err); reason != v1alpha1.InvalidSpecReason || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %s %s: %v, want that it says %q", name, outcome, reason, err, tc.says)
		}
	}
}

// TestArchivesChange reads an archive that is replaced.
func TestArchivesChange(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a", "app.tgz")
	archived(t, path, app("1.0.0", "one"))
	p := archiveProvider(t, dir)
	repository, err := p.Open(t.Context(), in("a"), v1alpha1.Repository{URL: "ctf::app.tgz"}, "spec.source")
	if err != nil {
		t.Fatal(err)
	}
	if versions, err := repository.ListVersions(t.Context(), component); err != nil || len(versions) != 1 {
		t.Fatalf("ListVersions = %v, %v", versions, err)
	}
	archived(t, path, app("2.0.0", "two"))
	if versions, err := repository.ListVersions(t.Context(), component); err != nil || len(versions) != 2 {
		t.Errorf("ListVersions after the archive was replaced = %v, %v", versions, err)
	}
	for version, want := range map[string]string{"1.0.0": "one", "2.0.0": "two"} {
		if got, err := dataOf(t, repository, version); err != nil || got != want {
			t.Errorf("%s = %q, %v", version, got, err)
		}
	}
	// Half a file, as when it is copied there.
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if versions, err := repository.ListVersions(t.Context(), component); err == nil {
		t.Errorf("ListVersions of half an archive = %v", versions)
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if versions, err := repository.ListVersions(t.Context(), component); err != nil || len(versions) != 2 {
		t.Errorf("ListVersions after the rest has come = %v, %v", versions, err)
	}
}

// TestWriteArchives writes to archives of every form that don't exist yet, while they are read.
func TestWriteArchives(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"app.tgz", "app.tar", "folder", "new/app.tar.gz"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			p := archiveProvider(t, dir)
			target, err := p.Open(t.Context(), in("a"), v1alpha1.Repository{URL: "ctf::" + name}, "spec.destination")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := target.ListVersions(t.Context(), component); !errors.Is(err, ocm.ErrNotFound) {
				t.Errorf("ListVersions before = %v, want ErrNotFound", err)
			}
			for i := range 3 {
				if err := target.Write(t.Context(), func(ctx context.Context, to *ocm.Repository) error {
					return put(ctx, to, app(fmt.Sprintf("%d.0.0", i), strconv.Itoa(i)))
				}); err != nil {
					t.Fatal(err)
				}
				if versions, err := target.ListVersions(t.Context(), component); err != nil || len(versions) != i+1 {
					t.Errorf("ListVersions after %d = %v, %v", i+1, versions, err)
				}
				if got, err := dataOf(t, target, fmt.Sprintf("%d.0.0", i)); err != nil || got != strconv.Itoa(i) {
					t.Errorf("content %d = %q, %v", i, got, err)
				}
			}
			if target.URL() != "ctf::"+name {
				t.Errorf("URL = %s", target.URL())
			}
			info, err := os.Stat(filepath.Join(dir, "a", name))
			if err != nil || info.Mode().Perm()&0o007 != 0 {
				t.Errorf("mode of what was made = %v, %v, want nothing for others", info.Mode(), err)
			}
			if left, err := filepath.Glob(filepath.Join(dir, "a", ".*")); err != nil || len(left) > 0 {
				t.Errorf("files are left: %v, %v", left, err)
			}
		})
	}
}

// TestWriteFails gives up in the middle, by an error and by a panic: readers see what was there, and others can write.
func TestWriteFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a", "app.tgz")
	archived(t, path, app("1.0.0", "one"))
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	target, err := archiveProvider(t, dir).Open(t.Context(), in("a"), v1alpha1.Repository{URL: "ctf::app.tgz"}, "spec.destination")
	if err != nil {
		t.Fatal(err)
	}
	failure := errors.New("cable pulled")
	err = target.Write(t.Context(), func(ctx context.Context, to *ocm.Repository) error {
		if err := put(ctx, to, app("2.0.0", "two")); err != nil {
			return err
		}
		if versions, err := target.ListVersions(ctx, component); err != nil || len(versions) != 1 {
			t.Errorf("ListVersions while it is written = %v, %v, want what was there", versions, err)
		}
		return failure
	})
	if !errors.Is(err, failure) {
		t.Errorf("Write = %v, want %v", err, failure)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is lost")
			}
		}()
		target.Write(t.Context(), func(ctx context.Context, to *ocm.Repository) error {
			put(ctx, to, app("2.0.0", "two"))
			panic(failure)
		})
	}()
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the archive changed: %v", err)
	}
	if err := target.Write(t.Context(), func(ctx context.Context, to *ocm.Repository) error { return put(ctx, to, app("3.0.0", "three")) }); err != nil {
		t.Errorf("Write after that: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "a", ".*")); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
}

// TestWritersTakeTurns writes to one archive from many at once.
func TestWritersTakeTurns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := archiveProvider(t, dir)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			target, err := p.Open(t.Context(), in("a"), v1alpha1.Repository{URL: "ctf::app.tar"}, "spec.destination")
			if err != nil {
				t.Error(err)
				return
			}
			err = target.Write(t.Context(), func(ctx context.Context, to *ocm.Repository) error {
				return put(ctx, to, app(fmt.Sprintf("%d.0.0", i), "x"))
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	repository, err := p.Open(t.Context(), in("a"), v1alpha1.Repository{URL: "ctf::app.tar"}, "spec.source")
	if err != nil {
		t.Fatal(err)
	}
	if versions, err := repository.ListVersions(t.Context(), component); err != nil || len(versions) != 8 {
		t.Errorf("ListVersions = %v, %v, want all 8", versions, err)
	}
	if err := repository.Write(canceled(t), func(context.Context, *ocm.Repository) error { return nil }); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Write with a context that has ended = %v", err)
	}
}

func canceled(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// TestWriteToReadOnly writes to where nothing can be written.
func TestWriteToReadOnly(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		// Whoever may everything is stopped by nothing but a folder that is none.
		dir := filepath.Join(t.TempDir(), "none")
		target, err := archiveProvider(t, dir).Open(t.Context(), in("a"), v1alpha1.Repository{URL: "ctf::app.tar"}, "spec.destination")
		if err != nil {
			t.Fatal(err)
		}
		err = target.Write(t.Context(), func(context.Context, *ocm.Repository) error { return nil })
		if err == nil || !strings.Contains(err.Error(), "--archives-dir") {
			t.Errorf("Write below a folder that does not exist = %v, want the flag", err)
		}
		return
	}
	dir := t.TempDir()
	target, err := archiveProvider(t, dir).Open(t.Context(), in("a"), v1alpha1.Repository{URL: "ctf::app.tar"}, "spec.destination")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	err = target.Write(t.Context(), func(ctx context.Context, to *ocm.Repository) error { return put(ctx, to, app("1.0.0", "x")) })
	if !errors.Is(err, oci.ErrReadOnly) {
		t.Errorf("Write = %v, want ErrReadOnly", err)
	}
}
