package ctf_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm/ctf"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// manifest is what the archives of these tests hold.
const manifest = `{"schemaVersion":2,"config":{},"layers":[]}`

func blobFile(content string) ocmtest.File {
	return ocmtest.File{Name: "blobs/" + strings.Replace(digest.FromString(content).String(), ":", ".", 1), Content: []byte(content)}
}

func indexFile(artifacts string) ocmtest.File {
	return ocmtest.File{Name: "artifact-index.json", Content: []byte(`{"schemaVersion":1,"artifacts":[` + artifacts + `]}`)}
}

func entry(repository, tag, content string) string {
	return fmt.Sprintf(`{"repository":%q,"tag":%q,"digest":%q}`, repository, tag, digest.FromString(content))
}

func write(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func archiveOf(t testing.TB, files ...ocmtest.File) []byte {
	t.Helper()
	data, err := ocmtest.Tar(files...)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	packed, err := ocmtest.Gzip(data)
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

// readTag opens an archive and reads the manifest of a tag.
func readTag(t *testing.T, path, tag string, o ctf.Options) (*oci.Manifest, error) {
	t.Helper()
	store, err := ctf.Open(path, o)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}()
	repo, err := store.Repository("a/b")
	if err != nil {
		t.Fatal(err)
	}
	return repo.Manifest(t.Context(), tag)
}

// TestForms reads archives that are laid out in different ways, whatever their
// name says.
func TestForms(t *testing.T) {
	t.Parallel()
	index, blob := indexFile(entry("a/b", "1", manifest)), blobFile(manifest)
	prefixed := func(f ocmtest.File) ocmtest.File { return ocmtest.File{Name: "./" + f.Name, Content: f.Content} }
	folders := ocmtest.File{Name: strings.Replace(blob.Name, "sha256.", "sha256/", 1), Content: blob.Content}
	for name, files := range map[string][]ocmtest.File{
		"index first":  {index, {Name: "blobs/"}, blob},
		"index last":   {blob, index},
		"with ./":      {{Name: "./"}, prefixed(index), {Name: "./blobs/"}, prefixed(blob)},
		"folders":      {index, folders},
		"other files":  {index, blob, {Name: "README"}, {Name: "blobs/notes.txt"}},
		"long padding": {index, blob, {Name: "blobs/" + strings.Repeat("x", 300)}},
	} {
		for form, data := range map[string][]byte{"tar": archiveOf(t, files...), "tgz": gzipped(t, archiveOf(t, files...))} {
			t.Run(name+" "+form, func(t *testing.T) {
				t.Parallel()
				m, err := readTag(t, write(t, "any-name", data), "1", ctf.Options{})
				if err != nil {
					t.Fatal(err)
				}
				if string(m.Bytes) != manifest || m.MediaType != ocispec.MediaTypeImageManifest || m.Digest != digest.FromString(manifest) {
					t.Errorf("Manifest = %s %s %s", m.MediaType, m.Digest, m.Bytes)
				}
			})
		}
	}
}

// TestMediaType prefers what the manifest says, then the shape of the manifest.
// The index of the archive, which no digest covers, only adds to that.
func TestMediaType(t *testing.T) {
	t.Parallel()
	own := `{"mediaType":"own","layers":[]}`
	list := `{"manifests":[]}`
	other := `{"artifact":true}`
	lie := `{"layers":[]}`
	const said = "application/vnd.docker.distribution.manifest.v2+json"
	path := write(t, "x.tar", archiveOf(t,
		indexFile(strings.Join([]string{
			entry("a/b", "own", own), entry("a/b", "list", list), entry("a/b", "other", other),
			fmt.Sprintf(`{"repository":"a/b","tag":"said","digest":%q,"mediaType":"application/vnd.docker.distribution.manifest.v2+json"}`, digest.FromString(manifest)),
			fmt.Sprintf(`{"repository":"a/b","tag":"lie","digest":%q,"mediaType":%q}`, digest.FromString(lie), ocispec.MediaTypeImageIndex),
			fmt.Sprintf(`{"repository":"a/b","digest":%q}`, digest.FromString(manifest)),
		}, ",")),
		blobFile(own), blobFile(list), blobFile(other), blobFile(lie), blobFile(manifest)))
	for tag, want := range map[string]string{
		"own": "own", "list": ocispec.MediaTypeImageIndex, "other": "", "said": said, digest.FromString(manifest).String(): said,
		"lie": ocispec.MediaTypeImageManifest,
	} {
		if m, err := readTag(t, path, tag, ctf.Options{}); err != nil || m.MediaType != want {
			t.Errorf("%s: %+v, %v, want media type %q", tag, m, err, want)
		}
	}
}

// rawTar writes headers that a careful writer would not.
func rawTar(t testing.TB, headers ...*tar.Header) []byte {
	t.Helper()
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	for _, h := range headers {
		if err := tw.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write(make([]byte, h.Size)); err != nil {
			t.Fatal(err)
		}
	}
	tw.Close()
	return buf.Bytes()
}

// refused is an archive that is broken or hostile, and what is said of it.
type refused struct {
	data []byte
	is   error
	want string
}

// badIndexes are archives with an index that nobody can use.
func badIndexes(t *testing.T) map[string]refused {
	t.Helper()
	good := indexFile(entry("a/b", "1", manifest))
	file := func(content string) ocmtest.File {
		return ocmtest.File{Name: "artifact-index.json", Content: []byte(content)}
	}
	return map[string]refused{
		"no index":          {data: archiveOf(t, blobFile(manifest)), want: "no artifact-index.json"},
		"index twice":       {data: archiveOf(t, good, ocmtest.File{Name: "./artifact-index.json"}), want: "twice"},
		"index no JSON":     {data: archiveOf(t, file("x")), want: "artifact-index.json"},
		"schema version":    {data: archiveOf(t, file(`{"schemaVersion":2}`)), want: "schemaVersion 2"},
		"index: digest":     {data: archiveOf(t, indexFile(`{"repository":"a","tag":"1","digest":"sha256:../../x"}`)), want: "digest"},
		"index: repository": {data: archiveOf(t, indexFile(`{"tag":"1","digest":"`+digest.FromString("x").String()+`"}`)), want: "no repository"},
		"index: tag twice":  {data: archiveOf(t, indexFile(entry("a", "1", "x")+","+entry("a", "1", "y"))), want: "stands for"},
		"index too large":   {data: archiveOf(t, file(strings.Repeat("x", 5000))), is: oci.ErrTooLarge, want: "4096"},
		"index of a dir":    {data: rawTar(t, &tar.Header{Name: "artifact-index.json/", Typeflag: tar.TypeDir}), want: "no artifact-index.json"},
	}
}

// badArchives are refused whatever their index says.
func badArchives(t *testing.T) map[string]refused {
	t.Helper()
	good := indexFile(entry("a/b", "1", manifest))
	many := []ocmtest.File{good}
	for i := range 30 {
		many = append(many, ocmtest.File{Name: fmt.Sprintf("f%d", i)})
	}
	whole := archiveOf(t, good, blobFile(manifest))
	named := func(name string) []byte { return archiveOf(t, good, ocmtest.File{Name: name}) }
	return map[string]refused{
		"no archive":         {data: []byte("this is no archive at all"), want: "no archive"},
		"cut":                {data: whole[:len(whole)-1024-490], want: "unexpected EOF"},
		"tail after archive": {data: append(bytes.Clone(whole[:len(whole)-1024]), bytes.Repeat([]byte("x"), 1024)...), want: "damaged"},
		"too many entries":   {data: archiveOf(t, many...), is: oci.ErrTooLarge, want: "20 entries"},
		"absolute name":      {data: named("/etc/x"), want: "leads out"},
		"name with ..":       {data: named("blobs/../../x"), want: "leads out"},
		"backslash":          {data: named(`blobs\..\x`), want: "leads out"},
		"long name":          {data: named(strings.Repeat("a/", 600)), want: "1024"},
		"symbolic link":      {data: rawTar(t, &tar.Header{Name: blobFile("x").Name, Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}), want: "neither a file nor a directory"},
		"hard link":          {data: rawTar(t, &tar.Header{Name: blobFile("x").Name, Typeflag: tar.TypeLink, Linkname: "artifact-index.json"}), want: "neither a file nor a directory"},
		"device":             {data: rawTar(t, &tar.Header{Name: "x", Typeflag: tar.TypeBlock}), want: "neither a file nor a directory"},
		"pipe":               {data: rawTar(t, &tar.Header{Name: "x", Typeflag: tar.TypeFifo}), want: "neither a file nor a directory"},
	}
}

// TestRefused opens archives that are broken or hostile. Each must be refused
// as a plain and as a compressed archive, and leave nothing behind.
func TestRefused(t *testing.T) {
	t.Parallel()
	cases := badIndexes(t)
	maps.Copy(cases, badArchives(t))
	for name, tc := range cases {
		for form, data := range map[string][]byte{"plain": tc.data, "compressed": gzipped(t, tc.data)} {
			t.Run(name+" "+form, func(t *testing.T) {
				t.Parallel()
				temp := t.TempDir()
				_, err := readTag(t, write(t, "x", data), "1", ctf.Options{Entries: 20, IndexBytes: 4096, TempDir: temp})
				if err == nil || tc.is != nil && !errors.Is(err, tc.is) || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("error = %v, want %v %q", err, tc.is, tc.want)
				}
				if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
					t.Errorf("temporary files are left: %v, %v", left, err)
				}
			})
		}
	}
}

// TestBomb unpacks a little archive that gets large.
func TestBomb(t *testing.T) {
	t.Parallel()
	bomb := gzipped(t, archiveOf(t, indexFile(""), ocmtest.File{Name: "blobs/sha256." + strings.Repeat("0", 64), Content: make([]byte, 4<<20)}))
	_, err := ctf.Open(write(t, "bomb.tgz", bomb), ctf.Options{ArchiveBytes: 1 << 20, TempDir: t.TempDir()})
	if !errors.Is(err, oci.ErrTooLarge) {
		t.Errorf("Open = %v, want ErrTooLarge", err)
	}
	tail := append(gzipped(t, archiveOf(t, indexFile(""))), gzipped(t, make([]byte, 4<<20))...)
	_, err = ctf.Open(write(t, "tail.tgz", tail), ctf.Options{ArchiveBytes: 1 << 20, TempDir: t.TempDir()})
	if !errors.Is(err, oci.ErrTooLarge) {
		t.Errorf("Open with a tail = %v, want ErrTooLarge", err)
	}
}

// TestWrongBytes reads blobs whose bytes were replaced.
func TestWrongBytes(t *testing.T) {
	t.Parallel()
	swapped := ocmtest.File{Name: blobFile(manifest).Name, Content: []byte(`{"layers":[]}`)}
	path := write(t, "x.tgz", gzipped(t, archiveOf(t, indexFile(entry("a/b", "1", manifest)), swapped)))
	if _, err := readTag(t, path, "1", ctf.Options{}); !errors.As(err, new(*oci.DigestMismatchError)) {
		t.Errorf("Manifest = %v, want *DigestMismatchError", err)
	}
	store, err := ctf.Open(path, ctf.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	repo, err := store.Repository("a/b")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := repo.Blob(t.Context(), digest.FromString(manifest), 1); !errors.As(err, new(*oci.DigestMismatchError)) {
		t.Errorf("Blob with another size = %v, want *DigestMismatchError", err)
	}
	if _, _, err := repo.Blob(t.Context(), "sha256:../x", 1); err == nil {
		t.Error("Blob accepts a digest that is none")
	}
}

func directory(t *testing.T, files ...ocmtest.File) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		path := filepath.Join(dir, f.Name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, f.Content, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestDirectoryLinks puts links where files should be.
func TestDirectoryLinks(t *testing.T) {
	t.Parallel()
	outside := write(t, "outside", []byte(manifest))
	link := func(dir, name, target string) {
		t.Helper()
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	blob := directory(t, indexFile(entry("a/b", "1", manifest)), ocmtest.File{Name: "blobs/x"})
	link(blob, blobFile(manifest).Name, outside)
	if m, err := readTag(t, blob, "1", ctf.Options{}); err == nil {
		t.Errorf("a blob that is a link was read: %s", m.Bytes)
	}
	within := directory(t, indexFile(entry("a/b", "1", manifest)), ocmtest.File{Name: "blobs/x", Content: []byte(manifest)})
	link(within, blobFile(manifest).Name, "x")
	if m, err := readTag(t, within, "1", ctf.Options{}); err == nil {
		t.Errorf("a blob that is a link was read: %s", m.Bytes)
	}
	folder := directory(t, indexFile(entry("a/b", "1", manifest)))
	link(folder, "blobs", filepath.Dir(outside))
	if err := os.WriteFile(filepath.Join(filepath.Dir(outside), filepath.Base(blobFile(manifest).Name)), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	if m, err := readTag(t, folder, "1", ctf.Options{}); err == nil {
		t.Errorf("a folder of blobs that is a link was read: %s", m.Bytes)
	}
	index := directory(t, blobFile(manifest))
	link(index, "artifact-index.json", write(t, "index", indexFile("").Content))
	if _, err := ctf.Open(index, ctf.Options{}); err == nil {
		t.Error("an index that is a link was read")
	}
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	if _, err := ctf.Open(filepath.Join(t.TempDir(), "none"), ctf.Options{}); !errors.Is(err, oci.ErrNotFound) {
		t.Errorf("Open of nothing = %v, want ErrNotFound", err)
	}
	if _, err := ctf.Open(t.TempDir(), ctf.Options{}); err == nil || !strings.Contains(err.Error(), "no artifact-index.json") {
		t.Errorf("Open of an empty directory = %v", err)
	}
	if _, err := ctf.Open(write(t, "empty", nil), ctf.Options{}); err == nil {
		t.Error("Open accepts an empty file")
	}
	if _, err := ctf.Open(os.DevNull, ctf.Options{}); err == nil {
		t.Error("Open accepts a device")
	}
	large := directory(t, indexFile(strings.Repeat(" ", 100)))
	if _, err := ctf.Open(large, ctf.Options{IndexBytes: 50}); !errors.Is(err, oci.ErrTooLarge) {
		t.Errorf("Open of a large index = %v, want ErrTooLarge", err)
	}
	path := write(t, "x.tar", archiveOf(t, indexFile(entry("a/b", "1", manifest)), blobFile(manifest)))
	if _, err := readTag(t, path, "1", ctf.Options{ManifestBytes: 10}); !errors.Is(err, oci.ErrTooLarge) {
		t.Errorf("Manifest = %v, want ErrTooLarge", err)
	}
}

// TestWriteIsAllOrNothing gives up in the middle: the archive stays as it was.
func TestWriteIsAllOrNothing(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{"plain": one(t, manifest), "compressed": gzipped(t, one(t, manifest))} {
		path := write(t, "x", data)
		store, err := ctf.Open(path, ctf.Options{ArchiveBytes: 8 << 10, TempDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		giveUp(t, repositoryOf(t, store))
		if err := store.Close(); err != nil {
			t.Error(err)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, data) {
			t.Errorf("%s: the archive changed: %v", name, err)
		}
	}
}

// giveUp pushes half of a blob, and one that is larger than 8 KiB.
func giveUp(t *testing.T, repo oci.Storage) {
	t.Helper()
	failure := errors.New("cable pulled")
	broken := func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader("half"), failing{failure})), nil
	}
	whole := ocispec.Descriptor{Digest: digest.FromString("half and half"), Size: 13}
	if err := repo.PushBlob(t.Context(), whole, broken); !errors.Is(err, failure) {
		t.Errorf("PushBlob = %v, want %v", err, failure)
	}
	big := make([]byte, 16<<10)
	err := repo.PushBlob(t.Context(), ocispec.Descriptor{Digest: digest.FromBytes(big), Size: int64(len(big))},
		func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(big)), nil })
	if !errors.Is(err, oci.ErrTooLarge) {
		t.Errorf("PushBlob of too much = %v, want ErrTooLarge", err)
	}
	if _, _, err := repo.Blob(t.Context(), whole.Digest, -1); !errors.Is(err, oci.ErrNotFound) {
		t.Errorf("Blob = %v, want ErrNotFound", err)
	}
}

type failing struct{ err error }

// Read implements io.Reader.
func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestPushErrors pushes what cannot be stored.
func TestPushErrors(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"folder", "x.tar"} {
		path := filepath.Join(t.TempDir(), name)
		store, err := ctf.Create(path, ctf.Options{TempDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		repo, err := store.Repository("a/b")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := repo.PushManifest(t.Context(), ocispec.MediaTypeImageManifest, []byte(manifest), "no tag"); err == nil {
			t.Error("PushManifest accepts a tag that is none")
		}
		if _, err := repo.PushManifest(t.Context(), ocispec.MediaTypeImageManifest, []byte(manifest), digest.FromString("x").String()); !errors.As(err, new(*oci.DigestMismatchError)) {
			t.Errorf("PushManifest with another digest = %v", err)
		}
		if err := repo.PushBlob(t.Context(), ocispec.Descriptor{Digest: "sha256:x"}, nil); err == nil {
			t.Error("PushBlob accepts a digest that is none")
		}
		if _, err := store.Repository("../x"); err == nil {
			t.Error("Repository accepts a name that is none")
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
		if _, _, err := repo.Blob(t.Context(), digest.FromString("x"), -1); err == nil {
			t.Error("Blob works after Close")
		}
	}
}

// TestEqualArchives writes the same content twice.
func TestEqualArchives(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"x.tar", "x.tgz"} {
		var all [][]byte
		for _, order := range [][]string{{"a", "b", "c"}, {"c", "b", "a"}} {
			path := filepath.Join(t.TempDir(), name)
			store, err := ctf.Create(path, ctf.Options{TempDir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			repo, err := store.Repository("a/b")
			if err != nil {
				t.Fatal(err)
			}
			for _, tag := range order {
				if _, err := repo.PushManifest(t.Context(), "", []byte(`{"tag":"`+tag+`"}`), tag); err != nil {
					t.Fatal(err)
				}
			}
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, data)
		}
		if !bytes.Equal(all[0], all[1]) {
			t.Errorf("%s: archives of equal content differ", name)
		}
	}
}

func FuzzOpen(f *testing.F) {
	whole := archiveOf(f, indexFile(entry("a/b", "1", manifest)), blobFile(manifest))
	f.Add(whole)
	f.Add(gzipped(f, whole))
	f.Add(archiveOf(f, ocmtest.File{Name: "./"}, blobFile(manifest), indexFile("")))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		store, err := ctf.Open(path, ctf.Options{Entries: 50, ArchiveBytes: 1 << 20, TempDir: dir})
		if err != nil {
			return
		}
		defer store.Close()
		repo, err := store.Repository("a/b")
		if err != nil {
			t.Fatal(err)
		}
		tags, err := repo.Tags(t.Context())
		if err != nil {
			return
		}
		for _, tag := range tags {
			m, err := repo.Manifest(t.Context(), tag)
			if err == nil && m.Digest.Algorithm().FromBytes(m.Bytes) != m.Digest {
				t.Errorf("%s: bytes that are not what their digest says", tag)
			}
		}
	})
}

// BenchmarkOpen opens an archive of 1,000 blobs and 16 MiB.
func BenchmarkOpen(b *testing.B) {
	files := []ocmtest.File{indexFile("")}
	for i := range 1000 {
		files = append(files, blobFile(strings.Repeat(fmt.Sprintf("%08d", i), 2048)))
	}
	plain := archiveOf(b, files...)
	for name, data := range map[string][]byte{"tar": plain, "tgz": gzipped(b, plain)} {
		b.Run(name, func(b *testing.B) {
			path, dir := write(b, "x", data), b.TempDir()
			b.SetBytes(int64(len(plain)))
			b.ReportAllocs()
			for b.Loop() {
				store, err := ctf.Open(path, ctf.Options{TempDir: dir})
				if err != nil {
					b.Fatal(err)
				}
				store.Close()
			}
		})
	}
}
