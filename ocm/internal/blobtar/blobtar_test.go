package blobtar_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"path"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/internal/blobtar"
)

var one = digest.FromString("one")

// TestEntryOf tells files from what is none, and refuses the rest.
func TestEntryOf(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		header tar.Header
		want   string // the name of a file; nothing for what is none
		says   string // of an error
	}{
		"file":          {header: tar.Header{Name: "a/b", Typeflag: tar.TypeReg}, want: "a/b"},
		"in front":      {header: tar.Header{Name: "./a//b", Typeflag: tar.TypeReg}, want: "a/b"},
		"folder":        {header: tar.Header{Name: "a/", Typeflag: tar.TypeDir}},
		"global":        {header: tar.Header{Name: "pax_global_header", Typeflag: tar.TypeXGlobalHeader}},
		"absolute":      {header: tar.Header{Name: "/a", Typeflag: tar.TypeReg}, says: "leads out"},
		"above":         {header: tar.Header{Name: "a/../../b", Typeflag: tar.TypeReg}, says: "leads out"},
		"parent":        {header: tar.Header{Name: "..", Typeflag: tar.TypeDir}, says: "leads out"},
		"backslash":     {header: tar.Header{Name: `..\a`, Typeflag: tar.TypeReg}, says: "leads out"},
		"zero":          {header: tar.Header{Name: "a\x00b", Typeflag: tar.TypeReg}, says: "leads out"},
		"long":          {header: tar.Header{Name: strings.Repeat("a", 1025), Typeflag: tar.TypeReg}, says: "1025 bytes, at most 1024"},
		"symbolic link": {header: tar.Header{Name: "a", Typeflag: tar.TypeSymlink}, says: "neither a file nor a directory"},
		"hard link":     {header: tar.Header{Name: "a", Typeflag: tar.TypeLink}, says: "neither a file nor a directory"},
		"device":        {header: tar.Header{Name: "a", Typeflag: tar.TypeBlock}, says: "neither a file nor a directory"},
		"old sparse":    {header: tar.Header{Name: "a", Typeflag: tar.TypeGNUSparse}, says: "neither a file nor a directory"},
		"sparse":        {header: tar.Header{Name: "a", Typeflag: tar.TypeReg, PAXRecords: map[string]string{"GNU.sparse.map": "0,1"}}, says: "sparse"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, isFile, err := blobtar.EntryOf(&tc.header)
			if tc.says != "" {
				if err == nil || !strings.Contains(err.Error(), tc.says) {
					t.Errorf("EntryOf = %+v, %v, want %q", e, err, tc.says)
				}
				return
			}
			if err != nil || isFile != (tc.want != "") || isFile && e.Name != tc.want {
				t.Errorf("EntryOf = %+v, %t, %v, want %q", e, isFile, err, tc.want)
			}
		})
	}
}

// TestWriteFile writes what EntryOf reads, equal for equal content, and nothing that
// has another size than its header says.
func TestWriteFile(t *testing.T) {
	t.Parallel()
	var all [2]bytes.Buffer
	for i := range all {
		tw := tar.NewWriter(&all[i])
		if err := errors.Join(blobtar.WriteFile(tw, blobtar.NameOf(one), 3, strings.NewReader("one")), tw.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(all[0].Bytes(), all[1].Bytes()) {
		t.Error("equal content gives different archives")
	}
	tr := tar.NewReader(&all[0])
	h, err := tr.Next()
	if err != nil {
		t.Fatal(err)
	}
	e, isFile, err := blobtar.EntryOf(h)
	if d, isBlob := e.Digest(); err != nil || !isFile || !isBlob || d != one || e.Size != 3 {
		t.Errorf("entry %+v, %t, %v", e, isFile, err)
	}
	if content, err := io.ReadAll(tr); string(content) != "one" || err != nil {
		t.Errorf("content %q, %v", content, err)
	}
	if err := blobtar.WriteFile(tar.NewWriter(io.Discard), "a", 1, strings.NewReader("aa")); !errors.Is(err, tar.ErrWriteTooLong) {
		t.Errorf("more than was promised: %v", err)
	}
}

// FuzzEntry looks for names of entries that lead out of an archive, or stand for a
// blob that they don't name.
func FuzzEntry(f *testing.F) {
	for _, name := range []string{
		blobtar.NameOf(one), "./" + blobtar.NameOf(one), "blobs/sha256/" + one.Encoded(), "../x", "/x", "blobs/../../x", `a\b`, "blobs/sha256.x", "blobs/", "",
	} {
		f.Add(name, byte(tar.TypeReg))
		f.Add(name, byte(tar.TypeDir))
	}
	f.Fuzz(func(t *testing.T, name string, kind byte) {
		e, isFile, err := blobtar.EntryOf(&tar.Header{Name: name, Typeflag: kind})
		if err != nil || !isFile {
			return
		}
		if e.Name != path.Clean(e.Name) || strings.HasPrefix(e.Name, "/") || strings.HasPrefix(e.Name+"/", "../") {
			t.Errorf("%q is %q", name, e.Name)
		}
		d, isBlob := e.Digest()
		if !isBlob {
			return
		}
		if err := d.Validate(); err != nil {
			t.Errorf("%q stands for %q: %v", name, d, err)
		}
		if spelled := strings.Replace(blobtar.NameOf(d), ".", "/", 1); e.Name != blobtar.NameOf(d) && e.Name != spelled {
			t.Errorf("%q stands for %s", name, d)
		}
	})
}
