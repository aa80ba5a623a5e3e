package oci

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// entry returns how an index lists something.
func (s shelf) entry(mediaType string, d digest.Digest) string {
	return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, mediaType, d, len(s[d]))
}

// image adds a manifest whose spelling is its own.
func (s shelf) image(mediaType string, layers ...string) digest.Digest {
	config := s.entry("application/vnd.oci.image.config.v1+json", s.add("{}"))
	return s.add("{ \"schemaVersion\":2,\n\"mediaType\":%q, \"config\":%s,\"layers\":[%s] }\n", mediaType, config, strings.Join(layers, ","))
}

func (s shelf) index(mediaType string, entries ...string) digest.Digest {
	return s.add(`{"schemaVersion":2,"mediaType":%q,"manifests":[%s]}`, mediaType, strings.Join(entries, ","))
}

func names[T any](all []T, name func(T) digest.Digest) []string {
	var out []string
	for _, one := range all {
		out = append(out, name(one).String())
	}
	return out
}

// TestTree reads an image for several platforms and stores it elsewhere, byte by byte.
func TestTree(t *testing.T) {
	t.Parallel()
	s := shelf{}
	layer := s.entry("application/vnd.oci.image.layer.v1.tar+gzip", s.add("layer"))
	more := s.entry("application/vnd.oci.image.layer.v1.tar+gzip", s.add("more"))
	foreign := `{"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip","digest":"` + digest.FromString("theirs").String() + `","size":6,"urls":["https://example.org/x"]}`
	linked := fmt.Sprintf(`{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":%q,"size":6,"urls":["https://example.org/x"]}`, s.add("linked"))
	one, two := s.image(MediaTypeManifest, layer, more), s.image(dockerManifest, layer, foreign, linked)
	old := s.add(`{"mediaType":%q,"blobs":[%s]}`, artifactManifest, more)
	inner := s.index(dockerManifestList, s.entry(dockerManifest, two), s.entry(MediaTypeManifest, one))
	root := s.index(MediaTypeIndex, s.entry(MediaTypeManifest, one), s.entry(dockerManifestList, inner), s.entry(artifactManifest, old), s.entry("application/vnd.example+json", s.add(`{"other":true}`)))

	tree, err := ReadTree(t.Context(), s, root.String(), TreeLimits{})
	if err != nil {
		t.Fatal(err)
	}
	order := names(tree.Manifests, func(m *Manifest) digest.Digest { return m.Digest })
	want := []string{one.String(), two.String(), inner.String(), old.String(), digest.FromString(`{"other":true}`).String(), root.String()}
	if diff := cmp.Diff(want, order); diff != "" {
		t.Errorf("manifests (-want +got):\n%s", diff)
	}
	blobs := names(tree.Blobs, func(d ocispec.Descriptor) digest.Digest { return d.Digest })
	wantBlobs := []string{digest.FromString("{}").String(), digest.FromString("layer").String(), digest.FromString("more").String(), digest.FromString("linked").String()}
	if diff := cmp.Diff(wantBlobs, blobs); diff != "" {
		t.Errorf("blobs (-want +got):\n%s", diff)
	}
	if len(tree.Foreign) != 1 || tree.Bytes() != 2+5+4+6 || tree.Root().Digest != root {
		t.Errorf("foreign: %v, bytes: %d, root: %s", tree.Foreign, tree.Bytes(), tree.Root().Digest)
	}

	v := newVault(t)
	to := v.repository(t, "c")
	if err := PushTree(t.Context(), to, tree, "1.0.0"); err != nil {
		t.Fatal(err)
	}
	for _, m := range tree.Manifests {
		if got := v.manifests["c@"+m.Digest.String()]; !bytes.Equal(got, s[m.Digest]) {
			t.Errorf("manifest %s is %q, want %q", m.Digest, got, s[m.Digest])
		}
	}
	v.asked()
	if err := PushTree(t.Context(), to, tree, ""); err != nil {
		t.Fatal(err)
	}
	v.want(t, slices.Repeat([]string{"HEAD manifest"}, 6)...)
}

// TestPushTreeOrder stores nothing that leads to what is not there, and the tag last.
func TestPushTreeOrder(t *testing.T) {
	t.Parallel()
	s := shelf{}
	part := s.image(MediaTypeManifest)
	tree, err := ReadTree(t.Context(), s, s.index(MediaTypeIndex, s.entry(MediaTypeManifest, part)).String(), TreeLimits{})
	if err != nil {
		t.Fatal(err)
	}
	v := newVault(t)
	v.instead = times(1, http.MethodPut, status(http.StatusBadRequest, "MANIFEST_INVALID", "no"))
	err = PushTree(t.Context(), v.repository(t, "c"), tree, "1.0.0")
	if err == nil || SideOf(err) != Target || len(v.manifests) != 0 {
		t.Errorf("PushTree = %v of side %q, %d manifests", err, SideOf(err), len(v.manifests))
	}
	v.want(t, "HEAD manifest", "PUT manifest")
}

// TestBrokenTrees refuses what cannot be copied, or never ends.
func TestBrokenTrees(t *testing.T) {
	t.Parallel()
	s := shelf{}
	good := s.entry(MediaTypeManifest, s.image(MediaTypeManifest))
	nested := good
	for range 6 {
		nested = s.entry(MediaTypeIndex, s.index(MediaTypeIndex, nested))
	}
	deep, err := digestIn(nested)
	if err != nil {
		t.Fatal(err)
	}
	var many []string
	for i := range 9 {
		many = append(many, s.entry(MediaTypeManifest, s.image(MediaTypeManifest, s.entry("x/y", s.add("layer %d", i)))))
	}
	layer := s.add("a layer")
	for name, tc := range map[string]struct {
		root   digest.Digest
		limits TreeLimits
		is     error
		says   string
	}{
		"missing":          {root: digest.FromString("none"), is: ErrNotFound},
		"part missing":     {root: s.index(MediaTypeIndex, s.entry(MediaTypeManifest, digest.FromString("none"))), is: ErrNotFound},
		"no manifest":      {root: s.index(MediaTypeIndex, s.entry("application/vnd.oci.image.layer.v1.tar", digest.FromString("none"))), is: ErrMalformed, says: "image.layer.v1.tar\", which is no manifest"},
		"not JSON":         {root: s.index(MediaTypeIndex, s.entry(MediaTypeManifest, s.add("x"))), says: "no JSON"},
		"odd digest":       {root: s.index(MediaTypeIndex, `{"digest":"x"}`), is: ErrMalformed},
		"odd layer":        {root: s.image(MediaTypeManifest, `{"digest":"sha256:x"}`), is: ErrMalformed},
		"negative size":    {root: s.image(MediaTypeManifest, fmt.Sprintf(`{"digest":%q,"size":-1}`, layer)), is: ErrMalformed},
		"two sizes":        {root: s.image(MediaTypeManifest, fmt.Sprintf(`{"digest":%q,"size":7}`, layer), fmt.Sprintf(`{"digest":%q,"size":8}`, layer)), is: ErrMalformed, says: "8"},
		"first of Docker":  {root: s.add(`{"schemaVersion":1,"fsLayers":[{"blobSum":"x"}]}`), is: ErrMalformed, says: "first format of Docker"},
		"layers as text":   {root: s.add(`{"mediaType":%q,"layers":"x"}`, MediaTypeManifest), is: ErrMalformed},
		"deep":             {root: deep, is: ErrTooLarge, says: "nested"},
		"many":             {root: s.index(MediaTypeIndex, many...), limits: TreeLimits{Manifests: 5}, is: ErrTooLarge, says: "more than 5 manifests"},
		"many blobs":       {root: s.index(MediaTypeIndex, many...), limits: TreeLimits{Blobs: 5}, is: ErrTooLarge, says: "more than 5 blobs"},
		"large":            {root: s.index(MediaTypeIndex, many...), limits: TreeLimits{ManifestBytes: 500}, is: ErrTooLarge, says: "more than 500 bytes"},
		"beyond counting":  {root: s.image(MediaTypeManifest, fmt.Sprintf(`{"digest":%q,"size":9223372036854775807}`, layer)), is: ErrTooLarge, says: "counted"},
		"both at once":     {root: s.add(`{"manifests":[],"layers":[]}`), is: ErrMalformed},
		"other than said":  {root: s.add(`{"mediaType":%q,"manifests":[]}`, MediaTypeManifest), is: ErrMalformed},
		"digest not there": {root: "sha256:x", is: ErrNotFound},
	} {
		_, err := ReadTree(t.Context(), s, tc.root.String(), tc.limits)
		if err == nil || tc.is != nil && !errors.Is(err, tc.is) || !strings.Contains(err.Error(), tc.says) || SideOf(err) != Source {
			t.Errorf("%s: %v of side %q, want %v with %q of the source", name, err, SideOf(err), tc.is, tc.says)
		}
	}
}

func digestIn(entry string) (digest.Digest, error) {
	var desc ocispec.Descriptor
	err := json.Unmarshal([]byte(entry), &desc)
	return desc.Digest, err
}

// FuzzTree reads anything as an artifact whose parts are any of a few things.
func FuzzTree(f *testing.F) {
	s := shelf{}
	layer := s.entry("application/vnd.oci.image.layer.v1.tar+gzip", s.add("layer"))
	one := s.image(MediaTypeManifest, layer)
	two := s.index(MediaTypeIndex, s.entry(MediaTypeManifest, one))
	f.Add(s[one])
	f.Add(s[two])
	f.Add([]byte(fmt.Sprintf(`{"mediaType":%q,"manifests":[%s,%s]}`, dockerManifestList, s.entry(MediaTypeIndex, two), layer)))
	f.Add([]byte(`{"fsLayers":[{}]}`))
	f.Add([]byte(`{"config":{"digest":"sha256:x","size":-1},"blobs":[{}]}`))
	limits := TreeLimits{Manifests: 8, Depth: 3, ManifestBytes: 1 << 20, Blobs: 8}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := NewManifest(data, MediaTypeManifest)
		if err != nil {
			return
		}
		tree, err := TreeOf(t.Context(), s, m, limits)
		if err != nil {
			if SideOf(err) != Source {
				t.Errorf("%v is not the source's", err)
			}
			return
		}
		if tree.Root().Digest != m.Digest || len(tree.Manifests) > limits.Manifests || len(tree.Blobs)+len(tree.Foreign) > limits.Blobs || tree.Bytes() < 0 {
			t.Errorf("%d manifests, %d and %d blobs of %d bytes", len(tree.Manifests), len(tree.Blobs), len(tree.Foreign), tree.Bytes())
		}
	})
}
