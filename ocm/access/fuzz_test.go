package access

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
)

// FuzzAccess reads what descriptors say about where contents are. Whatever is accepted
// names nothing but digests that are valid, charts that have a name and a version, and
// web servers without credentials.
func FuzzAccess(f *testing.F) {
	one := digest.FromString("one").String()
	for _, raw := range []string{
		`{"type":"localBlob/v1","localReference":"` + one + `","mediaType":"text/plain"}`,
		`{"type":"localBlob","localReference":"` + one + `, ` + one + `","globalAccess":{"type":"ociArtifact","imageReference":"a/b:1"}}`,
		`{"type":"localOciBlob","digest":"` + one + `"}`,
		`{"type":"OCIImage","imageReference":"http://a:1/b@` + one + `"}`,
		`{"type":"helm","helmRepository":"oci://a/b","helmChart":"web:1.0.0"}`,
		`{"type":"wget","url":"https://user@host/x"}`,
		`{"type":"wget","url":"https://host/x","header":{"a":["b"]}}`,
		`{"type":"none"}`, `{}`, `[]`,
	} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var a descriptor.Access
		if json.Unmarshal(raw, &a) != nil {
			return
		}
		if _, err := Kind(a); err == nil && IsNone(a) {
			t.Errorf("%s has content and none", raw)
		}
		if local, ok, err := DecodeLocal(a); ok && err == nil {
			checkChunks(t, local)
		}
		checkWeb(t, a)
	})
}

// checkChunks wants a local blob to be made of blobs that can be asked for.
func checkChunks(t *testing.T, local *LocalBlob) {
	t.Helper()
	all, err := local.Chunks()
	if err != nil {
		return
	}
	if len(all) == 0 {
		t.Errorf("%q is made of nothing", local.LocalReference)
	}
	for _, d := range all {
		if err := d.Validate(); err != nil {
			t.Errorf("%q has the chunk %q: %v", local.LocalReference, d, err)
		}
	}
}

// checkWeb wants what is read from the web to be named as it must be.
func checkWeb(t *testing.T, a descriptor.Access) {
	t.Helper()
	var web Wget
	if a.Decode(&web) == nil {
		if u, err := parseAddress(web.URL); err == nil && (u.Hostname() == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https") {
			t.Errorf("%q is accepted", web.URL)
		}
	}
	var helm Helm
	if a.Decode(&helm) != nil {
		return
	}
	if name, version, err := helm.NameAndVersion(); err == nil && (name == "" || version == "" || strings.Contains(name, "..") && strings.Contains(name, "/../")) {
		t.Errorf("chart %q is named %q in version %q", helm.Chart, name, version)
	}
}
