package transfer_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
)

// manners are options that put contents elsewhere.
func manners() map[string]transfer.Options {
	return map[string]transfer.Options{
		"all":                {},
		"with sources":       {Sources: true},
		"by reference":       {Resources: transfer.NoResources},
		"no images":          {OmitAccessTypes: []string{"ociArtifact", "helm", "ociBlob"}},
		"within":             {Artifacts: transfer.LocalArtifacts},
		"within, as archive": {Artifacts: transfer.PackedArtifacts},
	}
}

// TestSettles has two write one component version to one target, each with options of
// their own. After each of them has written once nothing changes any more, and
// contents that the target had do not lead out of it again.
func TestSettles(t *testing.T) {
	t.Parallel()
	for one, first := range manners() {
		for other, second := range manners() {
			if one == other {
				continue
			}
			t.Run(one+" and "+other, func(t *testing.T) {
				t.Parallel()
				p := newPair(t)
				p.publish(t, signed(t, p.everything(t), "dev"))
				run(t, p.source, p.target, shop, "1.0.0", first)
				had := p.copied(t)
				run(t, p.source, p.target, shop, "1.0.0", second)
				last := run(t, p.source, p.target, shop, "1.0.0", first)
				for _, o := range []transfer.Options{second, first} {
					again := run(t, p.source, p.target, shop, "1.0.0", o)
					if got := outcomes(again)[shop+":1.0.0"]; got != transfer.Unchanged {
						t.Errorf("%+v is %s, although all have written", o, got)
					}
					if drift, err := transfer.Check(t.Context(), p.target, shop, "1.0.0", last.Versions[0].Target, o); drift != nil || err != nil {
						t.Errorf("%+v: Check = %v, %v", o, drift, err)
					}
				}
				now := " " + strings.Join(p.copied(t), " ") + " "
				for _, name := range had {
					if !strings.Contains(now, " "+name+" ") {
						t.Errorf("%s was at the target, and it leads elsewhere now", name)
					}
				}
				verifyTexts(t, p)
			})
		}
	}
}

// TestStaysNot goes back to the reference of what the target had by value, and has
// lost, and of what it has of another content.
func TestStaysNot(t *testing.T) {
	t.Parallel()
	byReference := transfer.Options{Resources: transfer.NoResources, Overwrite: true}
	for name, tt := range map[string]struct {
		options transfer.Options
		lose    func(t *testing.T, p *pair)
	}{
		"image":   {transfer.Options{}, func(_ *testing.T, p *pair) { gone(p.to, "/manifests/"+manifestOf(t, small("layer")).String()) }},
		"inside":  {transfer.Options{Artifacts: transfer.LocalArtifacts}, func(_ *testing.T, p *pair) { gone(p.to, "/manifests/"+manifestOf(t, small("layer")).String()) }},
		"layer":   {transfer.Options{Artifacts: transfer.LocalArtifacts}, func(_ *testing.T, p *pair) { gone(p.to, "/blobs/"+digestOf("layer").String()) }},
		"damaged": {transfer.Options{Artifacts: transfer.LocalArtifacts}, func(_ *testing.T, p *pair) { damaged(p.to, "/manifests/"+manifestOf(t, small("layer")).String()) }},
		"another image": {transfer.Options{}, func(t *testing.T, p *pair) {
			t.Helper()
			p.publish(t, one(p.image(t, "image", "a/web:1.0", "another")))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			p.publish(t, one(p.image(t, "image", "a/web:1.0", "layer")))
			run(t, p.source, p.target, shop, "1.0.0", tt.options)
			run(t, p.source, p.target, shop, "1.0.0", byReference)
			if got := p.copied(t); len(got) != 1 {
				t.Fatalf("at the target are %q, want the image", got)
			}
			tt.lose(t, p)
			run(t, p.source, p.target, shop, "1.0.0", byReference)
			v := get(t, p.target, shop, "1.0.0")
			if got := accessOf(t, v, "image"); !strings.Contains(got, p.from.Host+"/a/web:1.0") {
				t.Errorf("access is %s, want that of the source", got)
			}
		})
	}
}

// damaged has a registry answer with what is not asked for.
func damaged(server *ocmtest.Server, end string) {
	server.Inject(func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodGet || !strings.HasSuffix(req.URL.Path, end) {
			return false
		}
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		_, _ = w.Write([]byte(`{"schemaVersion":2}`))
		return true
	})
}

// TestUncoveredStaysNot has a resource that no digest covers, of which the target has another content by value, in another form.
func TestUncoveredStaysNot(t *testing.T) {
	t.Parallel()
	for name, reference := range map[string]func(image string, content digest.Digest) string{
		"pinned":      func(image string, content digest.Digest) string { return image + "@" + content.String() },
		"by its name": func(image string, _ digest.Digest) string { return image },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			before := p.image(t, "image", "a/web:1.0", "layer")
			before.Digest = nil
			p.publish(t, one(before))
			run(t, p.source, p.target, shop, "1.0.0", transfer.Options{Artifacts: transfer.LocalArtifacts})
			after := p.image(t, "image", "a/web:1.0", "another")
			after.Image, after.Digest = reference(after.Image, manifestOf(t, small("another"))), nil
			p.publish(t, one(after))
			run(t, p.source, p.target, shop, "1.0.0", transfer.Options{Resources: transfer.NoResources, Overwrite: true})
			v := get(t, p.target, shop, "1.0.0")
			if got := accessOf(t, v, "image"); !strings.Contains(got, p.from.Host+"/a/web:1.0") {
				t.Errorf("access is %s, want that of the source", got)
			}
		})
	}
}
