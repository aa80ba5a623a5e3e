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

// TestConflicts says what is different.
func TestConflicts(t *testing.T) {
	t.Parallel()
	plain := func(name, content string) ocmtest.Resource {
		return ocmtest.Resource{Name: name, Content: []byte(content)}
	}
	none := func(content string) ocmtest.Resource {
		r := plain("open", content)
		r.NoDigest = true
		return r
	}
	excluded := func(content string) ocmtest.Resource {
		r := plain("open", content)
		r.Excluded = true
		return r
	}
	label := func(value string, signing bool) []descriptor.Label {
		return []descriptor.Label{{Name: "l", Value: json.RawMessage(value), Signing: signing}}
	}
	for name, tt := range map[string]struct {
		before, after ocmtest.Component
		why           string
	}{
		"another resource": {
			ocmtest.Component{Resources: []ocmtest.Resource{plain("a", "a")}}, ocmtest.Component{Resources: []ocmtest.Resource{plain("b", "a")}}, "it has no resource b:1.0.0",
		},
		"a resource less": {
			ocmtest.Component{Resources: []ocmtest.Resource{plain("a", "a"), plain("b", "b")}}, ocmtest.Component{Resources: []ocmtest.Resource{plain("a", "a")}}, "says something else",
		},
		"a signed label": {ocmtest.Component{Labels: label(`1`, true)}, ocmtest.Component{Labels: label(`2`, true)}, "says something else"},
		"no digest":      {ocmtest.Component{Resources: []ocmtest.Resource{none("a")}}, ocmtest.Component{Resources: []ocmtest.Resource{none("b")}}, "whose content no digest covers"},
		"excluded":       {ocmtest.Component{Resources: []ocmtest.Resource{excluded("a")}}, ocmtest.Component{Resources: []ocmtest.Resource{excluded("b")}}, "whose content no digest covers"},
		"digest added":   {ocmtest.Component{Resources: []ocmtest.Resource{none("a")}}, ocmtest.Component{Resources: []ocmtest.Resource{plain("open", "a")}}, "has digest none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			tt.before.Name, tt.before.Version, tt.after.Name, tt.after.Version = shop, "1.0.0", shop, "1.0.0"
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
