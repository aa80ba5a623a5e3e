package archive_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/snapshot/archive"
)

// noisy is a tar archive of headers with everything in them that Copy has to drop.
func noisy(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range headers {
		content := h.Uname
		h.Uname, h.Gname, h.Uid, h.Gid = "builder", "staff", 1234, 99
		h.ModTime = time.Date(2024, 2, 3, 4, 5, 6, 7, time.UTC)
		h.PAXRecords = map[string]string{"EXAMPLE.note": "noise"}
		h.Format = tar.FormatPAX
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(content))
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			h = tar.Header{Typeflag: h.Typeflag, Name: h.Name, PAXRecords: h.PAXRecords}
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, content); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func file(name, content string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Uname: content, Mode: 0o640}
}

func dir(name string) tar.Header {
	return tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o700}
}

func link(name, target string) tar.Header {
	return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target}
}

func zip(t testing.TB, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// headers reads an archive with the standard library alone.
func headers(t testing.TB, content []byte) []tar.Header {
	t.Helper()
	unzip, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	var all []tar.Header
	for r := tar.NewReader(unzip); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		h.Uname = string(body) + h.Uname
		all = append(all, *h)
	}
}

func TestCopyIsCanonical(t *testing.T) {
	t.Parallel()
	src := noisy(t,
		tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header"},
		dir("./"), dir("./a"), file("./a/one.yaml", "one: 1\n"), dir("a/"),
		tar.Header{Typeflag: tar.TypeReg, Name: "run.sh", Uname: "#!/bin/sh\n", Mode: 0o4711},
		link("a/link", "./../run.sh"), file("b//deep/./two", ""),
	)
	var out bytes.Buffer
	stats, err := archive.Copy(&out, bytes.NewReader(src), nil, archive.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	epoch := time.Unix(0, 0)
	want := []tar.Header{
		{Typeflag: tar.TypeDir, Name: "a/", Mode: 0o755, ModTime: epoch, Format: tar.FormatUSTAR},
		{Typeflag: tar.TypeReg, Name: "a/one.yaml", Mode: 0o644, Size: 7, Uname: "one: 1\n", ModTime: epoch, Format: tar.FormatUSTAR},
		{Typeflag: tar.TypeReg, Name: "run.sh", Mode: 0o755, Size: 10, Uname: "#!/bin/sh\n", ModTime: epoch, Format: tar.FormatUSTAR},
		{Typeflag: tar.TypeSymlink, Name: "a/link", Linkname: "../run.sh", Mode: 0o777, ModTime: epoch, Format: tar.FormatUSTAR},
		{Typeflag: tar.TypeReg, Name: "b/deep/two", Mode: 0o644, ModTime: epoch, Format: tar.FormatUSTAR},
	}
	if diff := cmp.Diff(want, headers(t, out.Bytes())); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(archive.Stats{Entries: 5, Files: 3, Bytes: 17}, stats); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
}

// TestCopyIsDeterministic copies one tree that arrives in different shapes and pieces.
func TestCopyIsDeterministic(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	big := make([]byte, 700_000)
	for i := range big {
		big[i] = "abcdefgh\n"[random.IntN(9)]
	}
	src := noisy(t, dir("d"), file("d/big", string(big)), file("small", "x"), file(strings.Repeat("long/", 30)+"name", "y"))
	shapes := map[string]io.Reader{
		"plain":       bytes.NewReader(src),
		"gzip":        bytes.NewReader(zip(t, src)),
		"one byte":    iotest.OneByteReader(bytes.NewReader(src)),
		"halves":      iotest.HalfReader(bytes.NewReader(zip(t, src))),
		"data at end": iotest.DataErrReader(bytes.NewReader(src)),
		"two members": io.MultiReader(bytes.NewReader(zip(t, src[:1000])), bytes.NewReader(zip(t, src[1000:]))),
	}
	digests := map[string]string{}
	var canonical []byte
	for name, r := range shapes {
		var out bytes.Buffer
		if _, err := archive.Copy(&out, r, nil, archive.Limits{}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		digests[name] = fmt.Sprintf("%x", sha256.Sum256(out.Bytes()))
		canonical = out.Bytes()
	}
	var again bytes.Buffer
	if _, err := archive.Copy(&again, bytes.NewReader(canonical), nil, archive.Limits{}); err != nil {
		t.Fatal(err)
	}
	digests["copy of the copy"] = fmt.Sprintf("%x", sha256.Sum256(again.Bytes()))
	if all := slices.Compact(slices.Sorted(maps.Values(digests))); len(all) != 1 {
		t.Errorf("digests differ: %v", digests)
	}
}

func TestCopyRefuses(t *testing.T) {
	t.Parallel()
	many := make([]tar.Header, 20)
	for i := range many {
		many[i] = file(fmt.Sprintf("f%d", i), "x")
	}
	limits := archive.Limits{Entries: 10, TotalBytes: 40_000, FileBytes: 1000, PathBytes: 200, PathDepth: 5}
	cases := map[string]struct {
		src    []byte
		want   error
		reason string
	}{
		"absolute":           {noisy(t, file("/etc/passwd", "")), archive.ErrUnsafePath, "would be written outside"},
		"climbing":           {noisy(t, file("a/../../b", "")), archive.ErrUnsafePath, "would be written outside"},
		"climbing inside":    {noisy(t, file("a/../b", "")), archive.ErrUnsafePath, "a may be a link"},
		"backslash":          {noisy(t, file(`a\..\b`, "")), archive.ErrUnsafePath, "a separator elsewhere"},
		"newline":            {noisy(t, file("a\nb", "")), archive.ErrUnsafePath, "forges log lines"},
		"file as root":       {noisy(t, file("./.", "x")), archive.ErrUnsafePath, "the root is a directory"},
		"absolute link":      {noisy(t, link("a", "/etc")), archive.ErrUnsafeLink, "leads outside"},
		"escaping link":      {noisy(t, link("d/a", "../../etc")), archive.ErrUnsafeLink, "leads outside"},
		"link back and up":   {noisy(t, link("l", "d/x/../../../etc")), archive.ErrUnsafeLink, "x may be a link to anywhere"},
		"link up after name": {noisy(t, link("l", "x/..")), archive.ErrUnsafeLink, "x may be a link to anywhere"},
		"empty link":         {noisy(t, link("l", "")), archive.ErrUnsafeLink, "points nowhere"},
		"through a link":     {noisy(t, link("l", "d"), file("l/x", "")), archive.ErrDuplicate, "is unpacked elsewhere"},
		"link over a parent": {noisy(t, file("d/x", ""), link("d", "e")), archive.ErrDuplicate, "replaces a directory"},
		"below a file":       {noisy(t, file("f", ""), file("f/x", "")), archive.ErrDuplicate, "a file is no directory"},
		"twice":              {noisy(t, file("f", "1"), file("./f", "2")), archive.ErrDuplicate, "which one counts is a matter of taste"},
		"hard link":          {noisy(t, file("f", ""), tar.Header{Typeflag: tar.TypeLink, Name: "g", Linkname: "f"}), archive.ErrHardLink, "its content is gone"},
		"device":             {noisy(t, tar.Header{Typeflag: tar.TypeChar, Name: "null"}), archive.ErrSpecialFile, "no content"},
		"pipe":               {noisy(t, tar.Header{Typeflag: tar.TypeFifo, Name: "p"}), archive.ErrSpecialFile, "no content"},
		"entries":            {noisy(t, many...), archive.ErrTooManyEntries, "limit"},
		"implied entries":    {noisy(t, file("a/b/c/d/e", ""), file("f/g/h/i/j", ""), file("k/l", "")), archive.ErrTooManyEntries, "directories cost memory too"},
		"total":              {noisy(t, many[:9]...), nil, "just below every limit"},
		"total passed":       {append(noisy(t, many[:9]...), make([]byte, 40_000)...), archive.ErrTooLarge, "what follows the end counts"},
		"file size":          {noisy(t, file("f", strings.Repeat("x", 1001))), archive.ErrFileTooLarge, "limit"},
		"path length":        {noisy(t, file(strings.Repeat("x", 201), "")), archive.ErrPathTooLong, "limit"},
		"path depth":         {noisy(t, file("1/2/3/4/5/6", "")), archive.ErrPathTooDeep, "limit"},
		"text":               {[]byte("kind: ConfigData\n"), archive.ErrNotArchive, "no tar at all"},
		"zipped text":        {zip(t, []byte("kind: ConfigData\n")), archive.ErrNotArchive, "no tar inside"},
		"nothing":            {nil, archive.ErrNotArchive, "an empty file is no archive"},
		"gzip magic only":    {[]byte{0x1f, 0x8b}, archive.ErrNotArchive, "no gzip"},
		"long text":          {[]byte(strings.Repeat("kind: ConfigData\n", 1000)), archive.ErrNotArchive, "no tar at all"},
		"cut off":            {noisy(t, file("f", strings.Repeat("x", 900)))[:2048+700], io.ErrUnexpectedEOF, "the file is incomplete"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			_, err := archive.Copy(&out, bytes.NewReader(c.src), nil, limits)
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Errorf("got %v, want %v: %s", err, c.want, c.reason)
			}
			if errors.Is(err, archive.ErrNotArchive) && out.Len() > 0 {
				t.Errorf("%d bytes were written for something that is no archive", out.Len())
			}
		})
	}
}

func TestCopyCompressionRatio(t *testing.T) {
	t.Parallel()
	bomb := zip(t, noisy(t, file("zeros", strings.Repeat("\x00", 40<<20))))
	_, err := archive.Copy(io.Discard, bytes.NewReader(bomb), nil, archive.Limits{})
	if !errors.Is(err, archive.ErrCompressionRatio) {
		t.Errorf("got %v, want %v", err, archive.ErrCompressionRatio)
	}
	if _, err := archive.Copy(io.Discard, bytes.NewReader(bomb), nil, archive.Limits{Ratio: 2000}); err != nil {
		t.Errorf("within the ratio: %v", err)
	}
}

// editor replaces the content of some files.
type editor map[string]func(content []byte) ([]byte, error)

func (e editor) Wants(path string) bool { return e[path] != nil }

func (e editor) Edit(path string, content []byte) ([]byte, error) { return e[path](content) }

func TestCopyEdits(t *testing.T) {
	t.Parallel()
	src := noisy(t, file("./a", "one"), file("b", "two"), link("c", "a"))
	upper := func(content []byte) ([]byte, error) { return append(bytes.ToUpper(content), "!!"...), nil }
	var out bytes.Buffer
	stats, err := archive.Copy(&out, bytes.NewReader(src), editor{"a": upper, "c": upper, "gone": upper}, archive.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(archive.Stats{Entries: 3, Files: 2, Edited: 1, Bytes: 8}, stats); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
	got := headers(t, out.Bytes())
	if got[0].Uname != "ONE!!" || got[1].Uname != "two" {
		t.Errorf("got %q and %q", got[0].Uname, got[1].Uname)
	}

	refused := errors.New("no such path in the document")
	_, err = archive.Copy(io.Discard, bytes.NewReader(src), editor{"b": func([]byte) ([]byte, error) { return nil, refused }}, archive.Limits{})
	if !errors.Is(err, refused) || !strings.Contains(err.Error(), `"b"`) {
		t.Errorf("the editor's error lost its cause or its file: %v", err)
	}
	for name, limit := range map[string]int64{"before": 2, "after": 4} {
		_, err = archive.Copy(io.Discard, bytes.NewReader(src), editor{"a": upper}, archive.Limits{EditBytes: limit})
		if !errors.Is(err, archive.ErrEditTooLarge) {
			t.Errorf("too large %s the edit: got %v", name, err)
		}
	}
}

// TestCopyReportsTheSource makes sure that a source that checks itself has the last word.
func TestCopyReportsTheSource(t *testing.T) {
	t.Parallel()
	damaged := errors.New("digest mismatch")
	src := noisy(t, file("a", "one"))
	for name, content := range map[string][]byte{
		"plain at the end": src, "gzip at the end": zip(t, src), "in a header": src[:100], "in the content": src[:2048+1],
		"in the gzip header": zip(t, src)[:5], "at once": nil, "in text": []byte("text"),
	} {
		_, err := archive.Copy(io.Discard, io.MultiReader(bytes.NewReader(content), iotest.ErrReader(damaged)), nil, archive.Limits{})
		if !errors.Is(err, damaged) || errors.Is(err, archive.ErrNotArchive) {
			t.Errorf("%s: got %v, want %v", name, err, damaged)
		}
	}
	// An error that wraps io.EOF is a broken connection, not the end of the archive.
	_, err := archive.Copy(io.Discard, io.MultiReader(bytes.NewReader(src[:1536]), iotest.ErrReader(fmt.Errorf("connection lost: %w", io.EOF))), nil, archive.Limits{})
	if err == nil {
		t.Error("an archive that broke off was taken for a whole one")
	}
	full := errors.New("disk full")
	_, err = archive.Copy(failingWriter{full}, bytes.NewReader(src), nil, archive.Limits{})
	if !errors.Is(err, full) {
		t.Errorf("destination: got %v, want %v", err, full)
	}
}

type failingWriter struct{ err error }

func (f failingWriter) Write([]byte) (int, error) { return 0, f.err }

func TestPackAndFiles(t *testing.T) {
	t.Parallel()
	fsys := fstest.MapFS{
		"z.yaml":     {Data: []byte("z"), Mode: 0o600},
		"bin/run":    {Data: []byte("run"), Mode: 0o700},
		"bin/latest": {Data: []byte("run"), Mode: fs.ModeSymlink | 0o777},
		"empty":      {Mode: fs.ModeDir},
	}
	var packed, copied bytes.Buffer
	if err := archive.Pack(&packed, fsys); err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Copy(&copied, bytes.NewReader(packed.Bytes()), nil, archive.Limits{}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(packed.Bytes(), copied.Bytes()) {
		t.Error("a packed tree and its copy differ")
	}
	var got []string
	for f, err := range archive.Files(&packed, archive.Limits{}) {
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%v %s %d %s%s", f.Mode, f.Path, f.Size, body, f.Target))
	}
	want := []string{"drwxr-xr-x bin 0 ", "Lrwxrwxrwx bin/latest 0 run", "-rwxr-xr-x bin/run 3 run", "drwxr-xr-x empty 0 ", "-rw-r--r-- z.yaml 1 z"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if err := archive.Pack(io.Discard, fstest.MapFS{"l": {Data: []byte("../up"), Mode: fs.ModeSymlink}}); !errors.Is(err, archive.ErrUnsafeLink) {
		t.Errorf("pack of an escaping link: %v", err)
	}
}

func TestFilesReportsErrors(t *testing.T) {
	t.Parallel()
	seen := 0
	for f, err := range archive.Files(bytes.NewReader(noisy(t, file("ok", ""), file("../bad", ""))), archive.Limits{}) {
		if seen++; seen == 2 && !errors.Is(err, archive.ErrUnsafePath) {
			t.Errorf("second: got %v, %v", f, err)
		}
	}
	if seen != 2 {
		t.Errorf("%d iterations, want 2", seen)
	}
}

func TestSniff(t *testing.T) {
	t.Parallel()
	src := noisy(t, file("a", "one"))
	for name, c := range map[string]struct {
		src  []byte
		want bool
	}{
		"tar": {src, true}, "tar.gz": {zip(t, src), true}, "empty tar": {make([]byte, 1024), true},
		"text": {[]byte("a: b"), false}, "zipped text": {zip(t, []byte("a: b")), false}, "nothing": {nil, false},
		"half a header": {src[:300], false}, "zeros": {make([]byte, 600), false}, "gzip magic": {[]byte{0x1f, 0x8b, 8}, false},
	} {
		got, rest, err := archive.Sniff(bytes.NewReader(c.src))
		if err != nil || got != c.want {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
		if all, err := io.ReadAll(rest); err != nil || !bytes.Equal(all, c.src) {
			t.Errorf("%s: the reader gave %d of %d bytes, %v", name, len(all), len(c.src), err)
		}
	}
	lost := errors.New("connection lost")
	if _, _, err := archive.Sniff(iotest.ErrReader(lost)); !errors.Is(err, lost) {
		t.Errorf("got %v, want %v", err, lost)
	}
}
