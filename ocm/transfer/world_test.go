package transfer_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest/vectors"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
)

// withImages returns options that lead to the images of the vectors, and to
// registries of this test.
func withImages(t testing.TB) ocm.Options {
	t.Helper()
	o := local(t)
	o.Transport = vectors.Redirect(vectors.Images(t).Host)
	return o
}

// local returns options that lead to registries of this test.
func local(t testing.TB) ocm.Options {
	t.Helper()
	hosts, err := oci.ParseHosts([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	return ocm.Options{Hosts: hosts}
}

// open returns the repository at a URL.
func open(t testing.TB, url string, o ocm.Options) *ocm.Repository {
	t.Helper()
	repo, err := ocm.Open(url, o)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

// archive returns a new archive, or the one that is there.
func archive(t testing.TB, path string, o ocm.Options) *ocm.Repository {
	t.Helper()
	repo, err := ocm.CreateCTF(path, o)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

func closed(t testing.TB, repo *ocm.Repository) {
	t.Helper()
	if err := repo.Close(); err != nil {
		t.Fatal(err)
	}
}

// source makes component versions verifiable.
type source struct{ *ocm.Repository }

// Version implements verify.Source.
func (s source) Version(ctx context.Context, component, version string) (verify.Version, error) {
	return s.Get(ctx, component, version)
}

// run transfers, and fails the test if that fails.
func run(t testing.TB, from, to *ocm.Repository, component, version string, o transfer.Options) *transfer.Result {
	t.Helper()
	result, err := transfer.Run(t.Context(), from, to, component, version, o)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// get reads a component version.
func get(t testing.TB, repo *ocm.Repository, component, version string) *ocm.ComponentVersion {
	t.Helper()
	v, err := repo.Get(t.Context(), component, version)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// texts returns the canonical texts of a component version and of what it refers to.
func texts(t testing.TB, repo *ocm.Repository, component, version string) map[string]string {
	t.Helper()
	out := map[string]string{}
	d := get(t, repo, component, version).Descriptor()
	for _, algorithm := range []string{normalize.V1, normalize.V2, normalize.V3, normalize.V4Alpha1} {
		text, err := normalize.Normalise(d, algorithm)
		if err != nil {
			t.Fatal(err)
		}
		out[component+":"+version+" "+algorithm] = string(text)
	}
	for _, ref := range d.Component.References {
		maps.Copy(out, texts(t, repo, ref.ComponentName, ref.Version))
	}
	return out
}

// resource returns a resource of a component version by its name.
func resource(t testing.TB, v *ocm.ComponentVersion, name string) *descriptor.Resource {
	t.Helper()
	res, err := v.Descriptor().FindResource(descriptor.Selector{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// accessOf returns the access of a resource as text.
func accessOf(t testing.TB, v *ocm.ComponentVersion, name string) string {
	t.Helper()
	return string(resource(t, v, name).Access.Raw)
}

const (
	shop = "acme.org/shop"
	base = "acme.org/base"
)

// pair is two registries, with repositories in them.
type pair struct {
	from, to             *ocmtest.Server
	source, target       *ocm.Repository
	sourceURL, targetURL string
	options              ocm.Options
}

func newPair(t testing.TB) *pair {
	t.Helper()
	p := &pair{from: ocmtest.Start(t), to: ocmtest.Start(t), options: local(t)}
	p.sourceURL, p.targetURL = p.from.URL+"/here", p.to.URL+"/there"
	p.source, p.target = open(t, p.sourceURL, p.options), open(t, p.targetURL, p.options)
	return p
}

// publish publishes component versions at the source.
func (p *pair) publish(t testing.TB, all ...ocmtest.Component) {
	t.Helper()
	for _, c := range all {
		if _, err := c.Publish(t.Context(), p.sourceURL, p.options); err != nil {
			t.Fatal(err)
		}
	}
}

// image publishes an image at the source and returns a resource with it.
func (p *pair) image(t testing.TB, name, path string, layers ...string) ocmtest.Resource {
	t.Helper()
	a := ocmtest.Artifact{}
	for _, l := range layers {
		a.Layers = append(a.Layers, ocmtest.Layer{MediaType: "application/vnd.oci.image.layer.v1.tar", Content: []byte(l)})
	}
	d, err := a.Publish(t.Context(), p.from.URL+"/"+path, p.options)
	if err != nil {
		t.Fatal(err)
	}
	return ocmtest.Resource{Name: name, Image: p.from.URL + "/" + path, Digest: descriptor.NewArtifactDigest(d)}
}

// signed signs a component version with the key of a name.
func signed(t testing.TB, c ocmtest.Component, names ...string) ocmtest.Component {
	t.Helper()
	for _, name := range names {
		signer, _ := ocmtest.SignerOf(t, name)
		c.Signatures = append(c.Signatures, ocmtest.Signature{Name: name, Signer: signer})
	}
	return c
}

func requestOf(t testing.TB, name string, pem []byte) []signing.Request {
	t.Helper()
	keys, err := signing.ParsePublicKeys(pem)
	if err != nil {
		t.Fatal(err)
	}
	return []signing.Request{{Name: name, Keys: keys}}
}

// requests returns what verifies signatures of names.
func requests(t testing.TB, names ...string) []signing.Request {
	t.Helper()
	var out []signing.Request
	for _, name := range names {
		_, public := ocmtest.SignerOf(t, name)
		out = append(out, requestOf(t, name, public)...)
	}
	return out
}

// written counts requests that write, of the classes of ocmtest.
func written(s *ocmtest.Server) int {
	n := 0
	for what, count := range s.Requests() {
		if slices.ContainsFunc([]string{"POST ", "PUT ", "PATCH ", "DELETE "}, func(method string) bool { return strings.HasPrefix(what, method) }) {
			n += count
		}
	}
	return n
}

// outcomes returns what became of the component versions.
func outcomes(r *transfer.Result) map[string]transfer.Outcome {
	out := map[string]transfer.Outcome{}
	for _, v := range r.Versions {
		out[v.Component+":"+v.Version] = v.Outcome
	}
	return out
}

func digestOf(text string) digest.Digest { return digest.FromString(text) }

// verifyTexts compares the canonical texts of both sides.
func verifyTexts(t *testing.T, p *pair) {
	t.Helper()
	if diff := cmp.Diff(texts(t, p.source, shop, "1.0.0"), texts(t, p.target, shop, "1.0.0")); diff != "" {
		t.Errorf("canonical texts differ (-source +target):\n%s", diff)
	}
}
