package ocm_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

const (
	packedImage = "application/vnd.oci.image.manifest.v1+tar+gzip"
	packedIndex = "application/vnd.oci.image.index.v1+tar+gzip"
	layoutType  = "application/vnd.ocm.software.oci.layout.v1+tar+gzip"
)

// put publishes the resources and returns the component version as it is read
// back.
func put(t *testing.T, url string, blobs ocmtest.Blobs, resources ...ocmtest.Resource) *ocm.ComponentVersion {
	t.Helper()
	d, own, err := ocmtest.Component{Name: shop, Version: "1.0.0", Resources: resources}.Build()
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(own, blobs)
	repo := open(t, url, ocm.Options{})
	pinned, err := repo.Put(t.Context(), d, own, ocm.PutOptions{Overwrite: true})
	if err != nil {
		t.Fatal(err)
	}
	cv, err := repo.GetPinned(t.Context(), shop, "1.0.0", pinned)
	if err != nil {
		t.Fatal(err)
	}
	return cv
}

// outcome compares content or error with what is expected.
func outcome(t *testing.T, got string, err error, want string, is error) {
	t.Helper()
	var mismatch *ocm.DigestMismatchError
	switch {
	case is == nil && (err != nil || got != want):
		t.Errorf("content = %q, %v, want %q", got, err, want)
	case errors.Is(is, errMismatch) && !errors.As(err, &mismatch):
		t.Errorf("error = %v, want *DigestMismatchError", err)
	case errors.Is(is, errAny) && err == nil:
		t.Error("no error")
	case is != nil && !errors.Is(is, errMismatch) && !errors.Is(is, errAny) && !errors.Is(err, is):
		t.Errorf("error = %v, want %v", err, is)
	}
}

// errAny stands for an error without a sentinel in tables.
var errAny = errors.New("any error")

func pack(t *testing.T, a ocmtest.Artifact, o ocmtest.Archive) ([]byte, digest.Digest) {
	t.Helper()
	archive, main, err := a.Pack(o)
	if err != nil {
		t.Fatal(err)
	}
	return archive, main
}

// TestPackedArtifacts reads artifact sets and layouts: the content is that of
// the artifact, not the archive.
func TestPackedArtifacts(t *testing.T) {
	t.Parallel()
	chart := ocmtest.Chart("web", "1.0.0", []byte("chart"))
	image := ocmtest.Artifact{Layers: []ocmtest.Layer{{MediaType: "a", Content: []byte("a")}, {MediaType: "b", Content: []byte("b")}}}
	cases := map[string]struct {
		artifact  ocmtest.Artifact
		archive   ocmtest.Archive
		mediaType string
		digest    func(archive, main digest.Digest) *descriptor.Digest
		is        error
	}{
		"artifact set":        {artifact: chart},
		"older flavour":       {artifact: chart, archive: ocmtest.Archive{Descriptor: true}},
		"blobs in folders":    {artifact: chart, archive: ocmtest.Archive{Folders: true}},
		"plain tar":           {artifact: chart, archive: ocmtest.Archive{Plain: true}},
		"index at the end":    {artifact: chart, archive: ocmtest.Archive{Reverse: true}},
		"names with ./":       {artifact: chart, archive: ocmtest.Archive{Prefix: "./"}},
		"no main, one entry":  {artifact: chart, archive: ocmtest.Archive{NoMain: true}},
		"layout":              {artifact: chart, archive: ocmtest.Archive{Folders: true, NoMain: true}, mediaType: layoutType},
		"layout, plain":       {artifact: chart, archive: ocmtest.Archive{Folders: true, Plain: true}, mediaType: strings.TrimSuffix(layoutType, "+gzip")},
		"other media type":    {artifact: chart, mediaType: "application/vnd.docker.distribution.manifest.v2+tar+gzip"},
		"artifact digest":     {artifact: chart, digest: func(_, main digest.Digest) *descriptor.Digest { return descriptor.NewArtifactDigest(main) }},
		"other name for it":   {artifact: chart, digest: func(_, main digest.Digest) *descriptor.Digest { return descriptor.NewBlobDigest(main) }},
		"digest of the bytes": {artifact: chart, digest: func(archive, _ digest.Digest) *descriptor.Digest { return descriptor.NewBlobDigest(archive) }},
		"wrong digest": {artifact: chart, is: errMismatch, digest: func(digest.Digest, digest.Digest) *descriptor.Digest {
			return descriptor.NewArtifactDigest(digest.FromString("x"))
		}},
		"artifact digest of the bytes": {artifact: chart, is: errMismatch, digest: func(archive, _ digest.Digest) *descriptor.Digest {
			return descriptor.NewArtifactDigest(archive)
		}},
		"one layer":                  {artifact: ocmtest.Artifact{Layers: []ocmtest.Layer{{MediaType: "text/plain", Content: []byte("chart")}}}},
		"image of two layers":        {artifact: image, is: ocm.ErrUnsupported},
		"bytes that are no archive":  {is: errAny},
		"media type of an image set": {artifact: chart, mediaType: packedIndex},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content := []byte("no archive")
			var main digest.Digest
			if tc.artifact.Layers != nil {
				content, main = pack(t, tc.artifact, tc.archive)
			}
			mediaType := packedImage
			if tc.mediaType != "" {
				mediaType = tc.mediaType
			}
			res := ocmtest.Resource{Name: "chart", Content: content, MediaType: mediaType, NoDigest: true}
			if tc.digest != nil {
				res.Digest = tc.digest(digest.FromBytes(content), main)
			}
			server := ocmtest.Start(t)
			cv := put(t, server.URL, nil, res)
			got, err := contentOf(t, cv, &cv.Descriptor().Component.Resources[0])
			outcome(t, got, err, "chart", tc.is)
		})
	}
}

func contentOf(t *testing.T, cv *ocm.ComponentVersion, res *descriptor.Resource) (string, error) {
	t.Helper()
	blob, err := cv.Open(t.Context(), res, ocm.ReadOptions{MaxBytes: 1 << 20})
	if err != nil {
		return "", err
	}
	defer blob.Close()
	data, err := io.ReadAll(blob)
	if err == nil && blob.Digest != "" && blob.Digest != digest.FromBytes(data) {
		t.Errorf("Digest = %s, content has %s", blob.Digest, digest.FromBytes(data))
	}
	if err == nil && blob.Size >= 0 && blob.Size != int64(len(data)) {
		t.Errorf("Size = %d, content has %d", blob.Size, len(data))
	}
	return string(data), err
}

// TestPackedArtifactDamaged swaps bytes of the archive behind the blob that is
// read: its end is compared as well.
func TestPackedArtifactDamaged(t *testing.T) {
	t.Parallel()
	archive, _ := pack(t, ocmtest.Chart("web", "1.0.0", []byte("chart")), ocmtest.Archive{Plain: true})
	server := ocmtest.Start(t)
	cv := put(t, server.URL, nil, ocmtest.Resource{Name: "chart", Content: archive, MediaType: packedImage, NoDigest: true})
	damaged := bytes.Clone(archive)
	damaged[len(damaged)-1] = 1
	server.Inject(func(w http.ResponseWriter, req *http.Request) bool {
		if !strings.Contains(req.URL.Path, digest.FromBytes(archive).String()) {
			return false
		}
		w.Write(damaged)
		return true
	})
	_, err := contentOf(t, cv, &cv.Descriptor().Component.Resources[0])
	outcome(t, "", err, "", errMismatch)
}

func chunkedAccess(t *testing.T, mediaType, separator string, content []byte, size int) (*descriptor.Access, ocmtest.Blobs) {
	t.Helper()
	blobs := ocmtest.Blobs{}
	var references []string
	for start := 0; start < len(content); start += size {
		part := content[start:min(start+size, len(content))]
		blobs[digest.FromBytes(part)] = part
		references = append(references, digest.FromBytes(part).String())
	}
	return accessOf(t, access.LocalBlob{Type: "localBlob", LocalReference: strings.Join(references, separator), MediaType: mediaType}), blobs
}

// TestChunked reads local blobs that are split into several.
func TestChunked(t *testing.T) {
	t.Parallel()
	text := "a local blob that is split into many parts, and one more part of it"
	archive, main := pack(t, ocmtest.Chart("web", "1.0.0", []byte("chart")), ocmtest.Archive{})
	cases := map[string]struct {
		content   []byte
		mediaType string
		size      int
		separator string
		digest    *descriptor.Digest
		want      string
		is        error
	}{
		"no digest":       {content: []byte(text), size: 10, want: text},
		"digest":          {content: []byte(text), size: 10, digest: descriptor.NewBlobDigest(digest.FromString(text)), want: text},
		"wrong digest":    {content: []byte(text), size: 10, digest: descriptor.NewBlobDigest(digest.FromString("x")), is: errMismatch},
		"blanks":          {content: []byte(text), size: 10, separator: " , ", want: text},
		"equal chunks":    {content: []byte("aaaaaa"), size: 2, want: "aaaaaa"},
		"packed":          {content: archive, mediaType: packedImage, size: 50, digest: descriptor.NewArtifactDigest(main), want: "chart"},
		"packed, bytes":   {content: archive, mediaType: packedImage, size: 50, digest: descriptor.NewBlobDigest(digest.FromBytes(archive)), want: "chart"},
		"packed, SHA-512": {content: archive, mediaType: packedImage, size: len(archive), digest: descriptor.NewBlobDigest(digest.SHA512.FromBytes(archive)), want: "chart"},
		"packed, wrong":   {content: archive, mediaType: packedImage, size: 50, digest: descriptor.NewBlobDigest(digest.FromString("x")), is: errMismatch},
		"packed, other":   {content: archive, mediaType: packedImage, size: len(archive), digest: descriptor.NewBlobDigest(digest.SHA512.FromString("x")), is: errMismatch},
		"packed, not one": {content: archive, mediaType: packedImage, size: 50, digest: descriptor.NewArtifactDigest(digest.FromBytes(archive)), is: errMismatch},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			separator := ","
			if tc.separator != "" {
				separator = tc.separator
			}
			a, blobs := chunkedAccess(t, tc.mediaType, separator, tc.content, tc.size)
			server := ocmtest.Start(t)
			cv := put(t, server.URL, blobs, ocmtest.Resource{Name: "split", Access: a, Digest: tc.digest})
			res := &cv.Descriptor().Component.Resources[0]
			got, err := contentOf(t, cv, res)
			outcome(t, got, err, tc.want, tc.is)
			if tc.digest == nil {
				return
			}
			err = cv.Check(t.Context(), res)
			outcome(t, tc.want, err, tc.want, tc.is)
			if strings.HasPrefix(name, "packed, other") && !strings.Contains(err.Error(), "for the archive and sha512:") {
				t.Errorf("Check = %v, want both digests", err)
			}
		})
	}
}

// TestChunkMissing breaks in the middle of the content.
func TestChunkMissing(t *testing.T) {
	t.Parallel()
	a, blobs := chunkedAccess(t, "text/plain", ",", []byte("first second"), 6)
	server := ocmtest.Start(t)
	cv := put(t, server.URL, blobs, ocmtest.Resource{Name: "split", Access: a})
	server.Inject(func(w http.ResponseWriter, req *http.Request) bool {
		missing := strings.Contains(req.URL.Path, digest.FromString("second").String())
		if missing {
			http.NotFound(w, req)
		}
		return missing
	})
	got, err := contentOf(t, cv, &cv.Descriptor().Component.Resources[0])
	if got != "first " || !errors.Is(err, ocm.ErrNotFound) {
		t.Errorf("content = %q, %v, want the first chunk and ErrNotFound", got, err)
	}
}

// nestedChart returns the access of a chart beside the component version.
func nestedChart(t *testing.T) (*descriptor.Access, ocmtest.Blobs, digest.Digest) {
	t.Helper()
	manifest, blobs, err := ocmtest.Chart("web", "1.0.0", []byte("chart")).Manifest()
	if err != nil {
		t.Fatal(err)
	}
	main := digest.FromBytes(manifest)
	return accessOf(t, access.LocalBlob{
		Type: "LocalBlob/v1", LocalReference: main.String(), MediaType: ocispec.MediaTypeImageManifest, ReferenceName: "charts/web:1.0.0",
	}), blobs, main
}

// TestIndexForm writes a component version with OCI artifacts beside it, and
// reads it back.
func TestIndexForm(t *testing.T) {
	t.Parallel()
	a, blobs, main := nestedChart(t)
	index, err := json.Marshal(ocispec.Index{
		MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{{MediaType: ocispec.MediaTypeImageManifest, Digest: main, Size: int64(len(blobs[main]))}},
	})
	if err != nil {
		t.Fatal(err)
	}
	multi := digest.FromBytes(index)
	blobs[multi] = index
	server := ocmtest.Start(t)
	cv := put(t, server.URL+"/sub", blobs,
		ocmtest.Resource{Name: "chart", Access: a, Digest: descriptor.NewArtifactDigest(main)},
		ocmtest.Resource{Name: "again", Access: a, Digest: descriptor.NewBlobDigest(main)},
		ocmtest.Resource{Name: "wrong", Access: a, Digest: descriptor.NewArtifactDigest(multi)},
		ocmtest.Resource{Name: "plain", Content: []byte("plain")},
		ocmtest.Resource{Name: "multi", Access: accessOf(t, access.LocalBlob{
			Type: "localBlob", LocalReference: multi.String(), MediaType: ocispec.MediaTypeImageIndex,
		})},
	)
	m, err := componentRepository(t, server, "sub").Manifest(t.Context(), "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	if !m.IsIndex() || m.Digest != cv.ManifestDigest() {
		t.Errorf("the tag points to %s %s, want the index %s", m.MediaType, m.Digest, cv.ManifestDigest())
	}
	for name, want := range map[string]struct {
		content, reference string
		is                 error
	}{
		"chart": {content: "chart", reference: server.Host + "/sub/component-descriptors/" + shop + "@" + main.String()},
		"again": {content: "chart", reference: server.Host + "/sub/component-descriptors/" + shop + "@" + main.String()},
		"plain": {content: "plain"},
		"wrong": {is: errMismatch},
		"multi": {is: ocm.ErrUnsupported, reference: server.Host + "/sub/component-descriptors/" + shop + "@" + multi.String()},
	} {
		res, err := cv.Descriptor().FindResource(descriptor.Selector{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		got, err := contentOf(t, cv, res)
		outcome(t, got, err, want.content, want.is)
		if ref, err := cv.ImageReference(res); ref != want.reference || (err == nil) != (want.reference != "") {
			t.Errorf("%s: ImageReference = %q, %v, want %q", name, ref, err, want.reference)
		}
	}
}

// TestIndexFormBroken replaces the index by ones that lead nowhere.
func TestIndexFormBroken(t *testing.T) {
	t.Parallel()
	a, blobs, _ := nestedChart(t)
	server := ocmtest.Start(t)
	put(t, server.URL, blobs, ocmtest.Resource{Name: "chart", Access: a})
	repo := componentRepository(t, server, "")
	good, err := repo.Manifest(t.Context(), "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	list, err := good.Index()
	if err != nil {
		t.Fatal(err)
	}
	component, chart := list.Manifests[0], list.Manifests[1]
	marked := component
	marked.Annotations = map[string]string{"software.ocm.descriptor": "true"}
	cases := map[string]struct {
		manifests []ocispec.Descriptor
		is        error
		content   error
	}{
		"as written":           {manifests: []ocispec.Descriptor{component, chart}},
		"marked, not first":    {manifests: []ocispec.Descriptor{chart, marked}},
		"two marked":           {manifests: []ocispec.Descriptor{marked, marked}, is: ocm.ErrNotComponent},
		"empty":                {is: ocm.ErrNotComponent},
		"chart first":          {manifests: []ocispec.Descriptor{chart, component}, is: ocm.ErrNotComponent},
		"chart not listed":     {manifests: []ocispec.Descriptor{component}, content: ocm.ErrNotFound},
		"manifest that is not": {manifests: []ocispec.Descriptor{{Digest: digest.FromString("x")}}, is: ocm.ErrNotFound},
		"index in the index":   {manifests: []ocispec.Descriptor{{Digest: good.Digest}}, is: ocm.ErrNotComponent},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			body, err := json.Marshal(ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: tc.manifests})
			if err != nil {
				t.Fatal(err)
			}
			pinned, err := repo.PushManifest(t.Context(), ocispec.MediaTypeImageIndex, body, digest.FromBytes(body).String())
			if err != nil {
				t.Fatal(err)
			}
			cv, err := open(t, server.URL, ocm.Options{}).GetPinned(t.Context(), shop, "1.0.0", pinned)
			if !errors.Is(err, tc.is) {
				t.Fatalf("GetPinned = %v, want %v", err, tc.is)
			}
			if err != nil {
				return
			}
			got, err := contentOf(t, cv, &cv.Descriptor().Component.Resources[0])
			outcome(t, got, err, "chart", tc.content)
		})
	}
}

// TestPutArtifactErrors publishes artifacts whose parts are missing or wrong.
func TestPutArtifactErrors(t *testing.T) {
	t.Parallel()
	a, blobs, main := nestedChart(t)
	without := func(d digest.Digest) ocmtest.Blobs {
		out := maps.Clone(blobs)
		delete(out, d)
		return out
	}
	swapped := maps.Clone(blobs)
	swapped[main] = []byte(`{"mediaType":"` + ocispec.MediaTypeImageManifest + `"}`)
	for name, tc := range map[string]struct {
		source ocm.BlobSource
		is     error
	}{
		"no manifest":     {source: without(main), is: ocm.ErrNotFound},
		"no layer":        {source: without(digest.FromString("chart")), is: ocm.ErrNotFound},
		"no source":       {is: errAny},
		"wrong manifest":  {source: swapped, is: errMismatch},
		"manifest: bytes": {source: ocmtest.Blobs{main: []byte("bytes")}, is: errAny},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := ocmtest.Start(t)
			d, _, err := ocmtest.Component{Name: shop, Version: "1.0.0", Resources: []ocmtest.Resource{{Name: "chart", Access: a}}}.Build()
			if err != nil {
				t.Fatal(err)
			}
			_, err = open(t, server.URL, ocm.Options{}).Put(t.Context(), d, tc.source, ocm.PutOptions{})
			outcome(t, "", err, "", tc.is)
			if n := server.Requests()["PUT manifests"]; n != 0 {
				t.Errorf("%d manifests were pushed", n)
			}
		})
	}
}
