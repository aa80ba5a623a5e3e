package mutation

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

const (
	unstripped = `{
  "version": "1.0.0",
  "resources": [
    {"name": "web", "version": "1.0.0", "type": "ociImage", "extraIdentity": {"role": "main"}, "srcRefs": [{"labels": [{"name": "commit"}]}],
     "labels": [{"name": "port", "value": 1, "signing": true, "merge": {"algorithm": "default"}}, {"name": "note", "value": 2}, {"name": "off", "signing": false}],
     "access": {"type": "localBlob", "mediaType": "text/plain", "imageReference": "a@sha256:b",
                "globalAccess": {"type": "ociArtifact", "ref": "x", "globalAccess": {"url": "y", "imageReference": "c"}}}},
    {"name": "chart", "version": "2.0.0", "labels": [{"name": "note", "value": 3}], "access": {"type": "helm", "helmRepository": "https://example.com"}},
    {"name": "odd", "version": "3.0.0", "labels": ["no label"], "access": "no access"}
  ],
  "sources": [{"name": "code", "version": "1.0.0", "type": "git", "labels": [{"name": "note"}], "access": {"type": "gitHub", "commit": "abc"}}],
  "references": [{"name": "db", "version": "1.0.0", "labels": [{"name": "note"}, {"name": "size", "signing": true}]}]
}`
	strippedResources = `
    {"name": "web", "version": "1.0.0", "type": "ociImage", "extraIdentity": {"role": "main"},
     "labels": [{"name": "port", "value": 1, "signing": true}],
     "access": {"imageReference": "a@sha256:b", "globalAccess": {"globalAccess": {"imageReference": "c"}}}},
    {"name": "chart", "version": "2.0.0", "access": {}},
    {"name": "odd", "version": "3.0.0", "access": "no access"}`
	strippedReferences = `{"name": "db", "version": "1.0.0", "labels": [{"name": "size", "signing": true}]}`
	strippedSources    = `{"name": "code", "version": "1.0.0", "type": "git"}`
)

// TestStrip leaves what all forms of signing cover, and in the oldest one no sources.
func TestStrip(t *testing.T) {
	t.Parallel()
	for form, sources := range map[string]string{normalize.V1: "", normalize.V2: strippedSources, normalize.V3: strippedSources, normalize.V4Alpha1: strippedSources} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			var got, want map[string]any
			parts := `{"version": "1.0.0", "resources": [` + strippedResources + `], "references": [` + strippedReferences + `]`
			if sources != "" {
				parts += `, "sources": [` + sources + `]`
			}
			if err := errors.Join(json.Unmarshal([]byte(unstripped), &got), json.Unmarshal([]byte(parts+"}"), &want)); err != nil {
				t.Fatal(err)
			}
			v := &view{}
			v.strip(source.Node{Component: "acme.org/app", Version: "1.0.0"}, got, form)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("component (-want +got):\n%s", diff)
			}
			hidden := "sources of acme.org/app:1.0.0"
			if sources != "" {
				hidden = "access of sources"
			}
			message := v.explain(errors.New("it fails")).Error()
			for _, part := range []string{
				"it fails; it was not shown what no signature covers: ", hidden, "srcRefs of resources", "fields of access other than imageReference",
				`label "note" of resource web:1.0.0`, `label "off" of resource web:1.0.0`, `label "note" of resource chart:2.0.0`, `label "note" of reference db:1.0.0`,
			} {
				if strings.Count(message, part) != 1 {
					t.Errorf("message %q has %q not once", message, part)
				}
			}
		})
	}
}

// TestStripTellsALittle: a component can have any number of labels, and a message can't.
func TestStripTellsALittle(t *testing.T) {
	t.Parallel()
	v := &view{}
	var labels []any
	for i := range 50 {
		labels = append(labels, map[string]any{"name": strconv.Itoa(i)})
	}
	v.stripLabels("resource", map[string]any{"name": "web", "version": "1.0.0", "labels": labels})
	if got := v.explain(errors.New("it fails")).Error(); strings.Count(got, "label ") != maxUnsigned || !strings.HasSuffix(got, "; and 40 more") {
		t.Errorf("message is %q", got)
	}
}

// TestForm: what one signature covers is proven, whatever another one leaves out.
func TestForm(t *testing.T) {
	t.Parallel()
	signed := func(form string) v1alpha1.VerifiedSignature {
		return v1alpha1.VerifiedSignature{Digest: "SHA-256:ab[" + form + "]"}
	}
	for name, tc := range map[string]struct {
		signatures []v1alpha1.VerifiedSignature
		want       string
	}{
		"none":   {nil, normalize.V1},
		"oldest": {[]v1alpha1.VerifiedSignature{signed(normalize.V1)}, normalize.V1},
		"both":   {[]v1alpha1.VerifiedSignature{signed(normalize.V1), signed(normalize.V3)}, normalize.V3},
		"odd":    {[]v1alpha1.VerifiedSignature{{Digest: "ab"}}, normalize.V1},
	} {
		if got := formOf(tc.signatures); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
	if got := formBelow(&descriptor.Reference{}); got != normalize.V1 {
		t.Errorf("a reference without a digest: got %q", got)
	}
	if got := formBelow(&descriptor.Reference{Digest: &descriptor.Digest{NormalisationAlgorithm: normalize.V2}}); got != normalize.V2 {
		t.Errorf("a reference with a digest: got %q", got)
	}
}
