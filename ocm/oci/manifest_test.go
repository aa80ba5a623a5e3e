package oci

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// TestManifestKind reads the same bytes the same way, whatever a registry or an
// index of an archive says about them.
func TestManifestKind(t *testing.T) {
	t.Parallel()
	const schema1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
	hints := []string{"", MediaTypeManifest, MediaTypeIndex, dockerManifest, dockerManifestList, "text/html; charset=utf-8", schema1}
	said := func(mediaType, rest string) string { return fmt.Sprintf(`{"mediaType":%q%s}`, mediaType, rest) }
	for name, tc := range map[string]struct {
		body         string
		index, image bool
		is           error
	}{
		"image":                       {body: said(MediaTypeManifest, `,"config":{},"layers":[]`), image: true},
		"index":                       {body: said(MediaTypeIndex, `,"manifests":[]`), index: true},
		"image of Docker":             {body: said(dockerManifest, `,"config":{},"layers":[]`), image: true},
		"list of Docker":              {body: said(dockerManifestList, `,"manifests":[]`), index: true},
		"empty index":                 {body: said(MediaTypeIndex, ""), index: true},
		"something else":              {body: said("application/vnd.oci.artifact.manifest.v1+json", `,"blobs":[]`)},
		"image that doesn't say it":   {body: `{"config":{},"layers":[]}`, image: true},
		"config only":                 {body: `{"config":{}}`, image: true},
		"layers only":                 {body: `{"layers":[]}`, image: true},
		"index that doesn't say it":   {body: `{"manifests":[]}`, index: true},
		"manifest of Docker's oldest": {body: `{"schemaVersion":1,"fsLayers":[]}`},
		"nothing":                     {body: `{}`},
		"both":                        {body: `{"config":{},"manifests":[]}`, is: ErrMalformed},
		"both in other case":          {body: `{"Layers":[],"MANIFESTS":[]}`, is: ErrMalformed},
		"image with manifests":        {body: said(MediaTypeManifest, `,"config":{},"layers":[],"manifests":null`), is: ErrMalformed},
		"index with layers":           {body: said(MediaTypeIndex, `,"layers":[],"manifests":[]`), is: ErrMalformed},
		"index that is an image":      {body: said(MediaTypeIndex, `,"config":{},"layers":[]`), is: ErrMalformed},
		"image that is an index":      {body: said(dockerManifest, `,"manifests":[]`), is: ErrMalformed},
	} {
		for _, hint := range hints {
			m, err := NewManifest([]byte(tc.body), hint)
			if tc.is != nil || err != nil {
				if !errors.Is(err, tc.is) || tc.is == nil {
					t.Errorf("%s as %q: NewManifest = %v, want %v", name, hint, err, tc.is)
				}
				continue
			}
			if m.IsIndex() != tc.index || m.IsImage() != tc.image {
				t.Errorf("%s as %q is read as %q", name, hint, m.MediaType)
			}
		}
	}
	for body, tc := range map[string]struct{ hint, want string }{
		`{"config":{}}`:    {dockerManifest, dockerManifest},
		`{"manifests":[]}`: {" " + dockerManifestList + "; x=y", dockerManifestList},
		`{"layers":[]}`:    {"", ocispec.MediaTypeImageManifest},
		`{"fsLayers":[]}`:  {schema1, schema1},
	} {
		if m, err := NewManifest([]byte(body), tc.hint); err != nil || m.MediaType != tc.want {
			t.Errorf("%s as %q = %+v, %v, want %q", body, tc.hint, m, err, tc.want)
		}
	}
	if _, err := NewManifest([]byte("<html>"), "text/html"); err == nil || errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "no JSON object") {
		t.Errorf("a page = %v, want an error that may pass", err)
	}
}

// FuzzManifestKind reads bytes the same way whatever their media type is said to
// be.
func FuzzManifestKind(f *testing.F) {
	f.Add([]byte(`{"config":{},"layers":[]}`))
	f.Add([]byte(`{"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`))
	f.Add([]byte(`{"layers":null,"manifests":[]}`))
	f.Add([]byte(`{"mediaType":1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		as := func(hint string) string {
			m, err := NewManifest(body, hint)
			if err != nil {
				return "refused"
			}
			return fmt.Sprint(m.IsIndex(), m.IsImage())
		}
		if image, index := as(MediaTypeManifest), as(dockerManifestList); image != index {
			t.Errorf("%q is %s and %s", body, image, index)
		}
	})
}
