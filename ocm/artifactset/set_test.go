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

// TestRefused reads archives that are broken or hostile.
func TestRefused(t *testing.T) {
	t.Parallel()
	some := digest.FromString("x").String()
	blob := "blobs/" + strings.Replace(some, ":", ".", 1)
	bomb := archiveOf(t, ocmtest.File{Name: "index.json", Content: index("", some)}, ocmtest.File{Name: "big", Content: make([]byte, 1<<20)})
	packed, err := ocmtest.Gzip(bomb)
	if err != nil {
		t.Fatal(err)
	}
	many := []ocmtest.File{{Name: "index.json", Content: index("", some)}}
	for i := range 40 {
		many = append(many, ocmtest.File{Name: fmt.Sprintf("f%d", i)})
	}
	link := func(typ byte) []byte {
		var buf bytes.Buffer
		tw := tar.NewWriter(&buf)
		if err := tw.WriteHeader(&tar.Header{Name: "index.json", Typeflag: typ, Linkname: "/etc/passwd"}); err != nil {
			t.Fatal(err)
		}
		tw.Close()
		return buf.Bytes()
	}
	cases := map[string]struct {
		data []byte
		is   error
		want string
	}{
		"empty":              {want: "holds no OCI artifact"},
		"no archive":         {data: []byte("no archive"), want: "archive"},
		"broken gzip":        {data: []byte{0x1f, 0x8b, 0}, want: "archive"},
		"cut gzip":           {data: packed[:len(packed)/2], want: "archive"},
		"no index":           {data: archiveOf(t, ocmtest.File{Name: "oci-layout"}), want: "neither index.json nor artifact-descriptor.json"},
		"index is no JSON":   {data: archiveOf(t, ocmtest.File{Name: "index.json", Content: []byte("{")}), want: "index.json"},
		"two indexes":        {data: archiveOf(t, ocmtest.File{Name: "artifact-descriptor.json", Content: index("", some)}, ocmtest.File{Name: "index.json"}), want: "more than one index"},
		"index twice":        {data: archiveOf(t, ocmtest.File{Name: "index.json", Content: index("", some)}, ocmtest.File{Name: "./index.json"}), want: "more than one index"},
		"nothing listed":     {data: archiveOf(t, ocmtest.File{Name: "index.json", Content: index("")}), want: "lists 0 artifacts"},
		"which of two":       {data: archiveOf(t, ocmtest.File{Name: "index.json", Content: index("", some, some)}), want: "lists 2 artifacts"},
		"main not listed":    {data: archiveOf(t, ocmtest.File{Name: "index.json", Content: index("sha256:other", some)}), want: "does not list"},
		"main is no digest":  {data: archiveOf(t, ocmtest.File{Name: "index.json", Content: index("", "x")}), want: `digest "x"`},
		"manifest missing":   {data: archiveOf(t, ocmtest.File{Name: "index.json", Content: index("", some)}), is: oci.ErrNotFound},
		"manifest replaced":  {data: archiveOf(t, ocmtest.File{Name: "index.json", Content: index("", some)}, ocmtest.File{Name: blob, Content: []byte("{}")}), want: "not what its digest promises"},
		"manifest no JSON":   {data: archiveOf(t, ocmtest.File{Name: "index.json", Content: index("", some)}, ocmtest.File{Name: blob, Content: []byte("x")}), want: "no JSON object"},
		"absolute name":      {data: archiveOf(t, ocmtest.File{Name: "/index.json"}), want: "leads out"},
		"name with ..":       {data: archiveOf(t, ocmtest.File{Name: "a/../../index.json"}), want: "leads out"},
		"backslash":          {data: archiveOf(t, ocmtest.File{Name: `..\index.json`}), want: "leads out"},
		"long name":          {data: archiveOf(t, ocmtest.File{Name: strings.Repeat("a/", 1000) + "b"}), want: "at most 1024"},
		"symbolic link":      {data: link(tar.TypeSymlink), want: "neither a file nor a directory"},
		"hard link":          {data: link(tar.TypeLink), want: "neither a file nor a directory"},
		"device":             {data: link(tar.TypeChar), want: "neither a file nor a directory"},
		"too many entries":   {data: archiveOf(t, many...), is: oci.ErrTooLarge, want: "more than 20 entries"},
		"too large":          {data: bomb, is: oci.ErrTooLarge, want: "more than 65536 bytes unpacked"},
		"too large unpacked": {data: packed, is: oci.ErrTooLarge, want: "more than 65536 bytes unpacked"},
		"index too large":    {data: archiveOf(t, ocmtest.File{Name: "index.json", Content: make([]byte, 5000)}), is: oci.ErrTooLarge, want: "at most 4096"},
	}
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
