package transfer_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
)

// TestConflict publishes other content under the version that was transferred:
// nothing is sent, of the whole closure, unless overwriting is allowed.
func TestConflict(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	root, leaf := shopOf("a: 1")
	p.publish(t, leaf, root)
	run(t, p.source, p.target, shop, "1.0.0", transfer.Options{})
	before := get(t, p.target, shop, "1.0.0").ManifestDigest()
	other, _ := shopOf("a: 2")
	other.References = append(other.References, ocmtest.Reference{Name: "new", To: &ocmtest.Component{Name: "acme.org/new", Version: "1.0.0"}})
	p.publish(t, ocmtest.Component{Name: "acme.org/new", Version: "1.0.0"}, other)
	p.to.ResetRequests()
	_, err := transfer.Run(t.Context(), p.source, p.target, shop, "1.0.0", transfer.Options{})
	conflict, ok := errors.AsType[*transfer.ConflictError](err)
	if !ok || !errors.Is(err, ocm.ErrExists) || conflict.Component != shop || conflict.Version != "1.0.0" || conflict.Found != before || oci.SideOf(err) != oci.Target {
		t.Fatalf("Run = %v", err)
	}
	for _, part := range []string{"resource config:1.0.0 has digest SHA-256:", "nothing was overwritten", p.targetURL} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v doesn't say %q", err, part)
		}
	}
	if n := written(p.to); n != 0 {
		t.Errorf("there were %d requests that write", n)
	}
	result := run(t, p.source, p.target, shop, "1.0.0", transfer.Options{Overwrite: true})
	want := map[string]transfer.Outcome{base + ":0.1.0": transfer.Unchanged, "acme.org/new:1.0.0": transfer.Created, shop + ":1.0.0": transfer.Replaced}
	if diff := cmp.Diff(want, outcomes(result)); diff != "" {
		t.Errorf("outcomes differ (-want +got):\n%s", diff)
	}
	verifyTexts(t, p)
}

// version returns the shop with some resources.
func version(resources ...ocmtest.Resource) ocmtest.Component {
	return ocmtest.Component{Name: shop, Version: "1.0.0", Resources: resources}
}

// labelled returns the shop with a label that is signed.
func labelled(value string) ocmtest.Component {
	c := version()
	c.Labels = []descriptor.Label{{Name: "l", Value: json.RawMessage(value), Signing: true}}
	return c
}

// plain returns a resource with a digest.
func plain(name, content string) ocmtest.Resource {
	return ocmtest.Resource{Name: name, Content: []byte(content)}
}

// undigested returns one without a digest.
func undigested(content string) ocmtest.Resource {
	return ocmtest.Resource{Name: "open", Content: []byte(content), NoDigest: true}
}

// excluded returns one whose digest is left out of signatures.
func excluded(content string) ocmtest.Resource {
	return ocmtest.Resource{Name: "open", Content: []byte(content), Excluded: true}
}

// TestConflicts says what is different.
func TestConflicts(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		before, after ocmtest.Component
		why           string
	}{
		"another resource": {version(plain("a", "a")), version(plain("b", "a")), "it has no resource b:1.0.0"},
		"a resource less":  {version(plain("a", "a"), plain("b", "b")), version(plain("a", "a")), "says something else"},
		"a signed label":   {labelled(`1`), labelled(`2`), "says something else"},
		"no digest":        {version(undigested("a")), version(undigested("b")), "whose content no digest covers"},
		"excluded":         {version(excluded("a")), version(excluded("b")), "whose content no digest covers"},
		"digest added":     {version(undigested("a")), version(plain("open", "a")), "has digest none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			p.publish(t, tt.before)
			run(t, p.source, p.target, shop, "1.0.0", transfer.Options{})
			p.publish(t, tt.after)
			_, err := transfer.Run(t.Context(), p.source, p.target, shop, "1.0.0", transfer.Options{})
			if !errors.Is(err, ocm.ErrExists) || !strings.Contains(err.Error(), tt.why) {
				t.Errorf("Run = %v, want a conflict that says %q", err, tt.why)
			}
		})
	}
}
