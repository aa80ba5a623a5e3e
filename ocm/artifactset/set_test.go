package artifactset_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm/artifactset"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// opener counts how often an archive is read, and that it is closed each time.
type opener struct {
	data  []byte
	opens int
	open  int
}

func (o *opener) get(context.Context) (io.ReadCloser, error) {
	o.opens++
	o.open++
	rc := &counted{Reader: bytes.NewReader(o.data), o: o}
	return oci.Verify(rc, "archive", int64(len(o.data)), digest.FromBytes(o.data))
}

type counted struct {
	io.Reader

	o *opener
}

func (c *counted) Close() error {
	c.o.open--
	return nil
}

func chart(t testing.TB, o ocmtest.Archive) []byte {
	t.Helper()
	data, _, err := ocmtest.Chart("web", "1.0.0", []byte("chart")).Pack(o)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// readLayer reads the first layer of the main artifact.
func readLayer(ctx context.Context, o *opener, l artifactset.Limits) (string, error) {
	set, err := artifactset.Read(ctx, o.get, l)
	if err != nil {
		return "", err
	}
	defer set.Close()
	m, err := set.Main.Image()
	if err != nil || len(m.Layers) == 0 {
		return "", errors.Join(err, errors.New("no layers"))
	}
	rc, err := set.Open(ctx, m.Layers[0])
	if err != nil {
		return "", err
	}
	defer rc.Close()
	content, err := io.ReadAll(rc)
	return string(content), err
}

// TestPasses states how often an archive is read.
func TestPasses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		archive ocmtest.Archive
		max     int
	}{
		"index first": {ocmtest.Archive{}, 3},
		"index last":  {ocmtest.Archive{Reverse: true}, 3},
	} {
		o := &opener{data: chart(t, tc.archive)}
		got, err := readLayer(t.Context(), o, artifactset.Limits{})
		if err != nil || got != "chart" {
			t.Errorf("%s: content = %q, %v", name, got, err)
		}
		if o.opens > tc.max || o.open != 0 {
			t.Errorf("%s: opened %d times, %d still open, want at most %d and none", name, o.opens, o.open, tc.max)
		}
	}
}

func archiveOf(t testing.TB, files ...ocmtest.File) []byte {
	t.Helper()
	data, err := ocmtest.Tar(files...)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func index(main string, manifests ...string) []byte {
	i := ocispec.Index{Annotations: map[string]string{}}
	if main != "" {
		i.Annotations["software.ocm/main"] = main
	}
	for _, m := range manifests {
		i.Manifests = append(i.Manifests, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.Digest(m)})
	}
	raw, err := json.Marshal(i)
	if err != nil {
		panic(err)
	}
	return raw
}

// refused is an archive that is broken or hostile, and what is said of it.
type refused struct {
	data []byte
	is   error
	want string
}

// link returns an archive with something that is no file in place of its index.
func link(t *testing.T, typ byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	if err := errors.Join(tw.WriteHeader(&tar.Header{Name: "index.json", Typeflag: typ, Linkname: "/etc/passwd"}), tw.Close()); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// many returns an archive of many files.
func many(t *testing.T) []byte {
	t.Helper()
	var files []ocmtest.File
	for i := range 40 {
		files = append(files, ocmtest.File{Name: fmt.Sprintf("f%d", i)})
	}
	return archiveOf(t, files...)
}

// badArchives are refused whatever is in them.
func badArchives(t *testing.T) map[string]refused {
	t.Helper()
	bomb := archiveOf(t, ocmtest.File{Name: "index.json", Content: index("", digest.FromString("x").String())}, ocmtest.File{Name: "big", Content: make([]byte, 1<<20)})
	packed, err := ocmtest.Gzip(bomb)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]refused{
		"empty":              {want: "holds no OCI artifact"},
		"no archive":         {data: []byte("no archive"), want: "archive"},
		"broken gzip":        {data: []byte{0x1f, 0x8b, 0}, want: "archive"},
		"cut gzip":           {data: packed[:len(packed)/2], want: "archive"},
		"absolute name":      {data: archiveOf(t, ocmtest.File{Name: "/index.json"}), want: "leads out"},
		"name with ..":       {data: archiveOf(t, ocmtest.File{Name: "a/../../index.json"}), want: "leads out"},
		"backslash":          {data: archiveOf(t, ocmtest.File{Name: `..\index.json`}), want: "leads out"},
		"long name":          {data: archiveOf(t, ocmtest.File{Name: strings.Repeat("a/", 1000) + "b"}), want: "at most 1024"},
		"symbolic link":      {data: link(t, tar.TypeSymlink), want: "neither a file nor a directory"},
		"hard link":          {data: link(t, tar.TypeLink), want: "neither a file nor a directory"},
		"device":             {data: link(t, tar.TypeChar), want: "neither a file nor a directory"},
		"too many entries":   {data: many(t), is: oci.ErrTooLarge, want: "more than 20 entries"},
		"too large":          {data: bomb, is: oci.ErrTooLarge, want: "more than 65536 bytes"},
		"too large unpacked": {data: packed, is: oci.ErrTooLarge, want: "more than 65536 bytes"},
	}
}

// badSets hold no artifact, or not the one that they promise.
func badSets(t *testing.T) map[string]refused {
	t.Helper()
	some := digest.FromString("x").String()
	blob := "blobs/" + strings.Replace(some, ":", ".", 1)
	set := func(content []byte, more ...ocmtest.File) []byte {
		return archiveOf(t, append([]ocmtest.File{{Name: "index.json", Content: content}}, more...)...)
	}
	return map[string]refused{
		"no index":          {data: archiveOf(t, ocmtest.File{Name: "oci-layout"}), want: "neither index.json nor artifact-descriptor.json"},
		"index is no JSON":  {data: set([]byte("{")), want: "index.json"},
		"two indexes":       {data: archiveOf(t, ocmtest.File{Name: "artifact-descriptor.json", Content: index("", some)}, ocmtest.File{Name: "index.json"}), want: "more than one index"},
		"index twice":       {data: set(index("", some), ocmtest.File{Name: "./index.json"}), want: "more than one index"},
		"nothing listed":    {data: set(index("")), want: "lists 0 artifacts"},
		"which of two":      {data: set(index("", some, some)), want: "lists 2 artifacts"},
		"main not listed":   {data: set(index("sha256:other", some)), want: "does not list"},
		"main is no digest": {data: set(index("", "x")), want: `digest "x"`},
		"manifest missing":  {data: set(index("", some)), is: oci.ErrNotFound},
		"manifest replaced": {data: set(index("", some), ocmtest.File{Name: blob, Content: []byte("{}")}), want: "not what its digest promises"},
		"manifest no JSON":  {data: set(index("", some), ocmtest.File{Name: blob, Content: []byte("x")}), want: "no JSON object"},
		"index too large":   {data: set(make([]byte, 5000)), is: oci.ErrTooLarge, want: "at most 4096"},
	}
}

// TestRefused reads archives that are broken or hostile.
func TestRefused(t *testing.T) {
	t.Parallel()
	cases := badArchives(t)
	maps.Copy(cases, badSets(t))
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := &opener{data: tc.data}
			got, err := readLayer(t.Context(), o, artifactset.Limits{Entries: 20, Bytes: 64 << 10, ManifestBytes: 4096})
			if err == nil || !errors.Is(err, tc.is) && tc.is != nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("content = %q, error = %v, want %v %q", got, err, tc.is, tc.want)
			}
			if o.open != 0 {
				t.Errorf("%d readers were left open", o.open)
			}
		})
	}
}

func TestReadAfterClose(t *testing.T) {
	t.Parallel()
	o := &opener{data: chart(t, ocmtest.Archive{})}
	set, err := artifactset.Read(t.Context(), o.get, artifactset.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := set.Main.Image()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := set.Open(t.Context(), ocispec.Descriptor{Digest: digest.FromString("none")}); !errors.Is(err, oci.ErrNotFound) {
		t.Errorf("Open of a missing blob = %v", err)
	}
	if _, err := set.Open(t.Context(), ocispec.Descriptor{Digest: "x"}); err == nil {
		t.Error("Open accepts a digest that is none")
	}
	wrong := m.Layers[0]
	wrong.Size++
	if _, err := set.Open(t.Context(), wrong); !errors.As(err, new(*oci.DigestMismatchError)) {
		t.Errorf("Open with a wrong size = %v", err)
	}
	rc, err := set.Open(t.Context(), m.Layers[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := rc.Close(); err != nil || o.open != 0 {
		t.Errorf("Close = %v, %d readers open", err, o.open)
	}
	if _, err := rc.Read(make([]byte, 1)); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Read after Close = %v", err)
	}
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	failure := errors.New("no connection")
	if _, err := artifactset.Read(t.Context(), func(context.Context) (io.ReadCloser, error) { return nil, failure }, artifactset.Limits{}); !errors.Is(err, failure) {
		t.Errorf("Read = %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(chart(f, ocmtest.Archive{}))
	f.Add(chart(f, ocmtest.Archive{Plain: true, Reverse: true, Folders: true}))
	f.Add(chart(f, ocmtest.Archive{Plain: true, Descriptor: true, Prefix: "./", NoMain: true}))
	f.Fuzz(func(t *testing.T, data []byte) {
		o := &opener{data: data}
		_, _ = readLayer(t.Context(), o, artifactset.Limits{Entries: 100, Bytes: 1 << 20, ManifestBytes: 64 << 10})
		if o.open != 0 || o.opens > 4 {
			t.Errorf("opened %d times, %d still open", o.opens, o.open)
		}
	})
}

// BenchmarkRead reads an artifact of one layer of 16 MiB.
func BenchmarkRead(b *testing.B) {
	layer := make([]byte, 16<<20)
	data, _, err := ocmtest.Artifact{Layers: []ocmtest.Layer{{MediaType: "x", Content: layer}}}.Pack(ocmtest.Archive{Plain: true})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(layer)))
	b.ReportAllocs()
	for b.Loop() {
		set, err := artifactset.Read(b.Context(), (&opener{data: data}).get, artifactset.Limits{})
		if err != nil {
			b.Fatal(err)
		}
		m, err := set.Main.Image()
		if err != nil {
			b.Fatal(err)
		}
		rc, err := set.Open(b.Context(), m.Layers[0])
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, rc); err != nil {
			b.Fatal(err)
		}
		rc.Close()
	}
}
