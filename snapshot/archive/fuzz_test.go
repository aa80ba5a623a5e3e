package archive_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"path"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/snapshot/archive"
	"github.com/ocm-operator/ocm-operator/snapshot/archive/archivetest"
)

// FuzzCopy checks, for anything at all, that Copy ends, agrees with Sniff, and that what it
// accepted is canonical and safe to unpack.
func FuzzCopy(f *testing.F) {
	plain := noisy(f, dir("a"), file("a/b", "content"), link("a/l", "b"), link("up", "a/b"))
	f.Add(plain)
	f.Add(zip(f, plain))
	f.Add(noisy(f, file("/abs", ""), file("../x", ""), link("l", "/"), link("m", "x/../../y")))
	f.Add(archivetest.Archive(archivetest.OldSparse("hole", 1<<18)))
	f.Add(archivetest.Archive(archivetest.PAXSparse("hole", 1<<18, "1.0")))
	f.Add([]byte("text"))
	f.Add(make([]byte, 1024))
	limits := archive.Limits{Entries: 100, TotalBytes: 1 << 20, FileBytes: 1 << 19, EditBytes: 1 << 10, PathBytes: 200, PathDepth: 8, Ratio: 50}
	f.Fuzz(func(t *testing.T, src []byte) {
		var once, twice bytes.Buffer
		stats, err := archive.Copy(&once, bytes.NewReader(src), nil, limits)
		if sniffed, _, sniffErr := archive.Sniff(bytes.NewReader(src)); sniffErr == nil && len(src) < 60_000 && sniffed && errors.Is(err, archive.ErrNotArchive) {
			t.Fatalf("Sniff sees an archive, Copy does not: %v", err)
		}
		if err != nil {
			return
		}
		if stats.Bytes > limits.TotalBytes {
			t.Fatalf("%d bytes were written, more than %d", stats.Bytes, limits.TotalBytes)
		}
		if _, err := archive.Copy(&twice, bytes.NewReader(once.Bytes()), nil, archive.Limits{}); err != nil {
			t.Fatalf("the copy can't be copied: %v", err)
		}
		if !bytes.Equal(once.Bytes(), twice.Bytes()) {
			t.Fatal("the copy of a copy differs")
		}
		for _, h := range headers(t, once.Bytes()) {
			checkSafe(t, h)
		}
	})
}

func checkSafe(t *testing.T, h tar.Header) {
	t.Helper()
	name := strings.TrimSuffix(h.Name, "/")
	if path.IsAbs(name) || path.Clean(name) != name || name == ".." || strings.HasPrefix(name, "../") {
		t.Fatalf("unsafe path %q", h.Name)
	}
	if h.Typeflag == tar.TypeSymlink {
		to := path.Join(path.Dir(name), h.Linkname)
		if path.IsAbs(h.Linkname) || to == ".." || strings.HasPrefix(to, "../") {
			t.Fatalf("unsafe link %q -> %q", name, h.Linkname)
		}
	}
	if h.Uid != 0 || h.Gid != 0 || h.ModTime.Unix() != 0 {
		t.Fatalf("%q keeps its owner or time", h.Name)
	}
}

// FuzzPath puts one name and one link target into an otherwise sound archive.
func FuzzPath(f *testing.F) {
	for _, seed := range [][2]string{{"a", "b"}, {"./a/", "../b"}, {"a//b", "./x"}, {"/a", "/b"}, {"a/../b", "x/.."}, {"", ""}, {"a\\b", "..\\c"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, name, target string) {
		var src, out bytes.Buffer
		w := tar.NewWriter(&src)
		for _, h := range []tar.Header{{Typeflag: tar.TypeReg, Name: name}, {Typeflag: tar.TypeSymlink, Name: "dir/sub/link", Linkname: target}} {
			if w.WriteHeader(&h) != nil {
				return
			}
		}
		if w.Close() != nil {
			return
		}
		if _, err := archive.Copy(&out, &src, nil, archive.Limits{}); err != nil {
			return
		}
		for _, h := range headers(t, out.Bytes()) {
			checkSafe(t, h)
		}
	})
}

func BenchmarkCopy(b *testing.B) {
	text := strings.Repeat("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: example-4711\n", 16)
	var all []tar.Header
	for i := range 1000 {
		all = append(all, file("manifests/"+strings.Repeat("x", i%50)+"/"+string(rune('a'+i%26))+strings.Repeat("y", i/50)+".yaml", text[i%100:]))
	}
	seen := map[string]bool{}
	kept := all[:0]
	for _, h := range all {
		if !seen[h.Name] {
			kept = append(kept, h)
		}
		seen[h.Name] = true
	}
	plain := noisy(b, kept...)
	packed := zip(b, plain)
	for name, src := range map[string][]byte{"tar": plain, "targz": packed} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(plain)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := archive.Copy(io.Discard, bytes.NewReader(src), nil, archive.Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCopySmall is the archive of most pipelines: a few manifests.
func BenchmarkCopySmall(b *testing.B) {
	src := noisy(b, file("deployment.yaml", strings.Repeat("apiVersion: apps/v1\nkind: Deployment\n", 30)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := archive.Copy(io.Discard, bytes.NewReader(src), nil, archive.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzFiles checks that Files sees what Copy writes, and refuses what Copy refuses, for the reason that Copy gives.
func FuzzFiles(f *testing.F) {
	plain := noisy(f, dir("a"), file("a/b", "content"), link("a/l", "b"), file("c", ""))
	f.Add(plain)
	f.Add(zip(f, plain))
	f.Add(plain[:1536+100])
	f.Add(archivetest.Archive(archivetest.PAX(tar.TypeXHeader, "path=caf\u00e9", "size=3"), archivetest.File("x", "abc")))
	f.Add(archivetest.Archive(archivetest.GNULong(tar.TypeGNULongName, "long"), archivetest.File("x", "abc"), archivetest.HardLink("y", "x")))
	limits := archive.Limits{Entries: 100, TotalBytes: 1 << 20, FileBytes: 1 << 19, PathBytes: 200, PathDepth: 8, Ratio: 50}
	f.Fuzz(func(t *testing.T, src []byte) {
		var out bytes.Buffer
		stats, want := archive.Copy(&out, bytes.NewReader(src), nil, limits)
		entries := 0
		for file, err := range archive.Files(bytes.NewReader(src), limits) {
			if err == nil {
				entries++
				_, err = io.Copy(io.Discard, file)
			}
			if err == nil {
				continue
			}
			if want == nil || err.Error() != want.Error() && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(want, io.ErrUnexpectedEOF) {
				t.Fatalf("Copy gives %v, Files %v", want, err)
			}
			return
		}
		if want != nil || entries != stats.Entries {
			t.Fatalf("Copy wrote %d entries and gives %v, Files has %d", stats.Entries, want, entries)
		}
	})
}
