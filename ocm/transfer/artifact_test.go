package transfer_test

import (
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
)

// one returns a component version with one resource.
func one(res ocmtest.Resource) ocmtest.Component {
	return ocmtest.Component{Name: shop, Version: "1.0.0", Resources: []ocmtest.Resource{res}}
}

// withAccess gives a resource an access, and the digest of an artifact.
func withAccess(t testing.TB, name string, spec any, d digest.Digest) ocmtest.Resource {
	t.Helper()
	a, err := descriptor.NewAccess(spec)
	if err != nil {
		t.Fatal(err)
	}
	res := ocmtest.Resource{Name: name, Type: "ociImage", Access: &a}
	if d != "" {
		res.Digest = descriptor.NewArtifactDigest(d)
	}
	return res
}

// small is an artifact with one layer.
func small(layer string) ocmtest.Artifact {
	return ocmtest.Artifact{Layers: []ocmtest.Layer{{MediaType: "application/vnd.oci.image.layer.v1.tar", Content: []byte(layer)}}}
}

// manifestOf returns the digest of the manifest of an artifact.
func manifestOf(t testing.TB, a ocmtest.Artifact) digest.Digest {
	t.Helper()
	body, _, err := a.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.FromBytes(body)
}

// withBlobs adds blobs that an access names.
func withBlobs(c ocmtest.Component, blobs ocmtest.Blobs) ocmtest.Component {
	c.Tamper = func(_ *descriptor.Descriptor, all ocmtest.Blobs) error {
		maps.Copy(all, blobs)
		return nil
	}
	return c
}

// nested returns a component version whose image is beside its manifest.
func nested(t testing.TB, hint string) ocmtest.Component {
	t.Helper()
	a := small("nested")
	_, blobs, err := a.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	d := manifestOf(t, a)
	spec := access.LocalBlob{Type: access.KindLocalBlob, LocalReference: d.String(), MediaType: oci.MediaTypeManifest, ReferenceName: hint}
	return withBlobs(one(withAccess(t, "image", spec, d)), blobs)
}

const setType = "application/vnd.oci.image.manifest.v1+tar+gzip"

// packed returns a component version whose image is an archive among its blobs. The
// digest of the resource is that of the archive if bytes is set.
func packed(t testing.TB, hint string, bytes bool) ocmtest.Component {
	t.Helper()
	set, d, err := small("packed").Pack(ocmtest.Archive{})
	if err != nil {
		t.Fatal(err)
	}
	blob := digest.FromBytes(set)
	spec := access.LocalBlob{Type: access.KindLocalBlob, LocalReference: blob.String(), MediaType: setType, ReferenceName: hint}
	res := withAccess(t, "image", spec, d)
	if bytes {
		res.Digest = descriptor.NewBlobDigest(blob)
	}
	return withBlobs(one(res), ocmtest.Blobs{blob: set})
}

// placing is an image at the source, and where it is at the target.
type placing struct {
	from    func(testing.TB, *pair) ocmtest.Component
	options transfer.Options
	// want is what the access is at the target; HOST is that of the target.
	want string
}

// placingsElsewhere are of images that have a repository of their own.
func placingsElsewhere(t testing.TB) map[string]placing {
	t.Helper()
	elsewhere := func(path string) func(testing.TB, *pair) ocmtest.Component {
		return func(t testing.TB, p *pair) ocmtest.Component { return one(p.image(t, "image", path, "layer")) }
	}
	d := manifestOf(t, small("layer"))
	return map[string]placing{
		"elsewhere":   {elsewhere("a/web:1.0"), transfer.Options{}, `"http://HOST/there/a/web:1.0@` + d.String() + `"`},
		"by digest":   {elsewhere("a/web@" + d.String()), transfer.Options{}, `"http://HOST/there/a/web:` + d.Encoded()[:12] + "@" + d.String() + `"`},
		"kept inside": {elsewhere("a/web:1.0"), transfer.Options{Artifacts: transfer.LocalArtifacts}, `"localReference":"` + d.String() + `"`},
		"with a hint": {elsewhere("a/web:1.0"), transfer.Options{Artifacts: transfer.LocalArtifacts}, `"referenceName":"a/web:1.0"`},
		"packed":      {elsewhere("a/web:1.0"), transfer.Options{Artifacts: transfer.PackedArtifacts}, `"mediaType":"` + setType + `"`},
		"packed hint": {elsewhere("a/web:1.0"), transfer.Options{Artifacts: transfer.PackedArtifacts}, `"referenceName":"a/web:1.0"`},
	}
}

// placingsInside are of images that are stored with the component version.
func placingsInside(t testing.TB) map[string]placing {
	t.Helper()
	made := func(c func(testing.TB) ocmtest.Component) func(testing.TB, *pair) ocmtest.Component {
		return func(t testing.TB, _ *pair) ocmtest.Component { return c(t) }
	}
	inside, set := manifestOf(t, small("nested")), manifestOf(t, small("packed"))
	return map[string]placing{
		"nested":          {made(func(t testing.TB) ocmtest.Component { return nested(t, "x/web:2") }), transfer.Options{}, `"http://HOST/there/x/web:2@` + inside.String()},
		"nested no hint":  {made(func(t testing.TB) ocmtest.Component { return nested(t, "") }), transfer.Options{}, `"localReference":"` + inside.String()},
		"nested bad hint": {made(func(t testing.TB) ocmtest.Component { return nested(t, "Ä b") }), transfer.Options{}, `"localReference":"` + inside.String()},
		"nested to packed": {
			made(func(t testing.TB) ocmtest.Component { return nested(t, "x/web:2") }), transfer.Options{Artifacts: transfer.PackedArtifacts}, `"mediaType":"` + setType + `"`,
		},
		"a component's place": {
			made(func(t testing.TB) ocmtest.Component { return nested(t, "component-descriptors/acme.org/evil:1.0.0") }), transfer.Options{}, `"localReference":"` + inside.String(),
		},
		"a component's place below": {
			made(func(t testing.TB) ocmtest.Component { return nested(t, "x/component-descriptors/acme.org/evil:1.0.0") }), transfer.Options{}, `"localReference":"` + inside.String(),
		},
		"set":         {made(func(t testing.TB) ocmtest.Component { return packed(t, "x/web:3", false) }), transfer.Options{}, `"http://HOST/there/x/web:3@` + set.String()},
		"set no tag":  {made(func(t testing.TB) ocmtest.Component { return packed(t, "x/web", false) }), transfer.Options{}, `"http://HOST/there/x/web:` + set.Encoded()[:12] + "@" + set.String()},
		"set no hint": {made(func(t testing.TB) ocmtest.Component { return packed(t, "", false) }), transfer.Options{}, `"mediaType":"` + setType + `"`},
		"set by its bytes": {
			made(func(t testing.TB) ocmtest.Component { return packed(t, "x/web:3", true) }), transfer.Options{}, `"mediaType":"` + setType + `"`,
		},
		"set kept inside": {
			made(func(t testing.TB) ocmtest.Component { return packed(t, "x/web:3", false) }), transfer.Options{Artifacts: transfer.LocalArtifacts}, `"mediaType":"` + setType + `"`,
		},
	}
}

// TestPlaces looks at where images are at the target, in all the ways that they can
// be at the source.
func TestPlaces(t *testing.T) {
	t.Parallel()
	all := placingsElsewhere(t)
	maps.Copy(all, placingsInside(t))
	for name, tt := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			p.publish(t, tt.from(t, p))
			run(t, p.source, p.target, shop, "1.0.0", tt.options)
			v := get(t, p.target, shop, "1.0.0")
			if got, want := accessOf(t, v, "image"), strings.ReplaceAll(tt.want, "HOST", p.to.Host); !strings.Contains(got, want) {
				t.Errorf("access is %s, want %s", got, want)
			}
			if err := v.Check(t.Context(), resource(t, v, "image")); err != nil {
				t.Error(err)
			}
			verifyTexts(t, p)
			if again := run(t, p.source, p.target, shop, "1.0.0", tt.options); outcomes(again)[shop+":1.0.0"] != transfer.Unchanged {
				t.Errorf("the second time %+v", again.Versions)
			}
		})
	}
}

// TestTags never moves a tag at the target that leads to something else, even if
// component versions may be overwritten.
func TestTags(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	taken, err := small("taken").Publish(t.Context(), p.to.URL+"/there/a/web:1.0", p.options)
	if err != nil {
		t.Fatal(err)
	}
	p.publish(t, one(p.image(t, "image", "a/web:1.0", "layer")))
	d := manifestOf(t, small("layer"))
	for _, overwrite := range []bool{false, true} {
		run(t, p.source, p.target, shop, "1.0.0", transfer.Options{Overwrite: overwrite})
		if got := accessOf(t, get(t, p.target, shop, "1.0.0"), "image"); !strings.Contains(got, "/there/a/web:1.0-"+d.Encoded()[:12]+"@"+d.String()) {
			t.Errorf("access is %s", got)
		}
		checkTag(t, p.target, "a/web", "1.0", taken)
	}
}

// TestSameName has two images of one name, of two registries.
func TestSameName(t *testing.T) {
	t.Parallel()
	p, other := newPair(t), ocmtest.Start(t)
	d, err := small("other").Publish(t.Context(), other.URL+"/a/web:1.0", p.options)
	if err != nil {
		t.Fatal(err)
	}
	c := one(p.image(t, "image", "a/web:1.0", "layer"))
	c.Resources = append(c.Resources, ocmtest.Resource{Name: "other", Image: other.URL + "/a/web:1.0", Digest: descriptor.NewArtifactDigest(d)})
	p.publish(t, c)
	for range 2 {
		run(t, p.source, p.target, shop, "1.0.0", transfer.Options{})
		v := get(t, p.target, shop, "1.0.0")
		if got := accessOf(t, v, "other"); !strings.Contains(got, "/a/web:1.0-"+d.Encoded()[:12]+"@"+d.String()) {
			t.Errorf("access is %s", got)
		}
		for _, name := range []string{"image", "other"} {
			if err := v.Check(t.Context(), resource(t, v, name)); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestRelative makes references without a host mean the same at the target.
func TestRelative(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	d, err := small("layer").Publish(t.Context(), p.from.URL+"/here/a/web:1.0", p.options)
	if err != nil {
		t.Fatal(err)
	}
	spec := access.RelativeOCIReference{Type: access.KindRelativeOCIReference, Reference: "here/a/web:1.0"}
	p.publish(t, one(withAccess(t, "image", spec, d)))
	run(t, p.source, p.target, shop, "1.0.0", transfer.Options{Resources: transfer.NoResources})
	v := get(t, p.target, shop, "1.0.0")
	if got := accessOf(t, v, "image"); !strings.Contains(got, `"http://`+p.from.Host+"/here/a/web:1.0") {
		t.Errorf("access is %s", got)
	}
	// In an archive such a reference leads to another of its repositories, which is copied along.
	path := filepath.Join(t.TempDir(), "archive")
	written := archive(t, path, p.options)
	defer closed(t, written)
	run(t, p.source, written, shop, "1.0.0", transfer.Options{Artifacts: transfer.SeparateArtifacts})
	inside := get(t, written, shop, "1.0.0")
	if got := accessOf(t, inside, "image"); !strings.Contains(got, `"reference":"here/a/web:1.0@`+d.String()+`"`) {
		t.Errorf("access is %s", got)
	}
	if err := inside.Check(t.Context(), resource(t, inside, "image")); err != nil {
		t.Error(err)
	}
	third := open(t, p.to.URL+"/third", p.options)
	run(t, written, third, shop, "1.0.0", transfer.Options{Resources: transfer.NoResources})
	if got := accessOf(t, get(t, third, shop, "1.0.0"), "image"); !strings.Contains(got, "/third/here/a/web:1.0@"+d.String()) {
		t.Errorf("access is %s", got)
	}
}

// TestGlobalAccess drops what an access says about another place.
func TestGlobalAccess(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	content := []byte("content")
	global, err := descriptor.NewAccess(access.OCIArtifact{Type: access.KindOCIArtifact, ImageReference: "ghcr.io/acme/web:1"})
	if err != nil {
		t.Fatal(err)
	}
	res := withAccess(t, "image", access.LocalBlob{Type: "localBlob/v1", LocalReference: digest.FromBytes(content).String(), MediaType: "text/plain", GlobalAccess: &global}, "")
	p.publish(t, withBlobs(one(res), ocmtest.Blobs{digest.FromBytes(content): content}))
	run(t, p.source, p.target, shop, "1.0.0", transfer.Options{})
	want := fmt.Sprintf(`{"localReference":%q,"mediaType":"text/plain","type":"localBlob/v1"}`, digest.FromBytes(content))
	if got := accessOf(t, get(t, p.target, shop, "1.0.0"), "image"); got != want {
		t.Errorf("access is %s, want %s", got, want)
	}
}

// shelves make a registry keep blobs by repository, as real ones do.
type shelves struct {
	mu  sync.Mutex
	all map[string]bool
	// sent and mounted count by repository and digest.
	sent, mounted map[string]int
}

func newShelves(server *ocmtest.Server) *shelves {
	s := &shelves{all: map[string]bool{}, sent: map[string]int{}, mounted: map[string]int{}}
	server.Inject(s.fault)
	return s
}

func (s *shelves) fault(w http.ResponseWriter, req *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	repository, rest, ok := strings.Cut(strings.TrimPrefix(req.URL.Path, "/v2/"), "/blobs/")
	query := req.URL.Query()
	switch {
	case !ok:
	case req.Method == http.MethodPost && query.Get("mount") != "" && s.all[query.Get("from")+"@"+query.Get("mount")]:
		s.all[repository+"@"+query.Get("mount")] = true
		s.mounted[repository+"@"+query.Get("mount")]++
		w.Header().Set("Location", "/v2/"+repository+"/blobs/"+query.Get("mount"))
		w.WriteHeader(http.StatusCreated)
		return true
	case req.Method == http.MethodPost && query.Get("mount") != "":
		req.URL.RawQuery = ""
	case req.Method == http.MethodPut:
		s.all[repository+"@"+query.Get("digest")] = true
		s.sent[repository+"@"+query.Get("digest")]++
	case (req.Method == http.MethodGet || req.Method == http.MethodHead) && !s.all[repository+"@"+rest]:
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown"}]}`))
		return true
	}
	return false
}

// TestMounts sends each blob once to a registry, which takes it from its own
// repositories for all others.
func TestMounts(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	s := newShelves(p.to)
	c := one(p.image(t, "image", "a/web:1.0", "layer"))
	c.Resources = append(c.Resources, p.image(t, "other", "b/web:1.0", "layer"), ocmtest.Resource{Name: "config", Content: []byte("layer")})
	p.publish(t, c)
	result := run(t, p.source, p.target, shop, "1.0.0", transfer.Options{Concurrency: 1})
	// A layer and a config, in three and in two repositories.
	if result.Blobs != 5 || result.Copied != 2 || result.Mounted != 3 || result.CopiedBytes != int64(len("layer")+len("{}")) {
		t.Errorf("result is %+v", result)
	}
	third := open(t, p.to.URL+"/third", p.options)
	result = run(t, p.target, third, shop, "1.0.0", transfer.Options{})
	if result.Copied != 0 || result.Mounted != 5 {
		t.Errorf("within a registry the result is %+v", result)
	}
	for blob, n := range s.sent {
		if n > 1 {
			t.Errorf("%s was sent %d times", blob, n)
		}
	}
}
