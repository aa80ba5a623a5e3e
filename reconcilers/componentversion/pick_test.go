package componentversion

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/versions"
	"github.com/ocm-operator/ocm-operator/reconcilers/choice"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

func TestCandidates(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		all                       []string
		constraint, current, want string
		reason                    string
	}{
		"first":                      {[]string{"1.0.0", "1.2.0", "1.1.0"}, "*", "", "1.2.0", "the newest"},
		"upgrade":                    {[]string{"1.0.0", "1.1.0"}, "*", "1.0.0", "1.1.0", "the newest"},
		"unchanged":                  {[]string{"1.0.0", "1.1.0"}, "*", "1.1.0", "1.1.0", "the newest"},
		"current disappeared":        {[]string{"1.0.0"}, "*", "1.1.0", "1.1.0", "what is in use goes on to be used"},
		"only version disappeared":   {nil, "*", "1.1.0", "1.1.0", "what is in use goes on to be used"},
		"current disappeared, newer": {[]string{"1.0.0", "1.2.0"}, "*", "1.1.0", "1.2.0", "an upgrade is an upgrade"},
		"current is rejected":        {[]string{"1.0.0", "1.1.0"}, "<1.1.0", "1.1.0", "1.0.0", "the user wants to go back"},
		"rejected and disappeared":   {[]string{"1.0.0"}, "<1.1.0", "1.1.0", "1.0.0", "the user wants to go back"},
		"pre-release is skipped":     {[]string{"1.0.0", "1.1.0-rc.1"}, ">=1.0.0", "", "1.0.0", "nobody asked for one"},
		"leading v":                  {[]string{"v1.0.0", "v1.1.0"}, ">=1.0.0", "v1.0.0", "v1.1.0", "the spelling of the repository is kept"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			matching, err := versions.Select(choice.Candidates(tc.all, tc.current), tc.constraint)
			if err != nil {
				t.Fatal(err)
			}
			if len(matching) == 0 || matching[0] != tc.want {
				t.Errorf("picked from %q, want %q first: %s", matching, tc.want, tc.reason)
			}
		})
	}
}

func TestLabels(t *testing.T) {
	t.Parallel()
	label := func(name, value string) descriptor.Label {
		return descriptor.Label{Name: name, Value: json.RawMessage(value)}
	}
	for name, tc := range map[string]struct {
		labels []descriptor.Label
		want   map[string]string
		reason string
	}{
		"none":      {nil, nil, "an empty map would differ from none"},
		"simple":    {[]descriptor.Label{label("team", `"a"`), label("acme.org/tier", `2`), label("live", `true`), label("share", `0.5`)}, map[string]string{"team": "a", "acme.org/tier": "2", "live": "true", "share": "0.5"}, "text, numbers and booleans can be written"},
		"structure": {[]descriptor.Label{label("owner", `{"team":"a"}`), label("list", `["a"]`), label("nothing", `null`)}, nil, "a label has one value"},
		"bad name":  {[]descriptor.Label{label("a b", `"x"`), label("", `"x"`), label("a/b/c", `"x"`)}, nil, "the API server would refuse the object"},
		"bad value": {[]descriptor.Label{label("a", `"not allowed"`), label("b", `"`+strings.Repeat("x", 64)+`"`), label("c", `"-x"`)}, nil, "the API server would refuse the object"},
		"broken":    {[]descriptor.Label{label("a", `{`)}, nil, "it is left out"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, labels(tc.labels)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestContentDigestIgnoresTheOrderOfKeys(t *testing.T) {
	t.Parallel()
	spec := func(access string) v1alpha1.ComponentDescriptorSpec {
		parsed, err := v1alpha1.NewAccess([]byte(access))
		if err != nil {
			t.Fatal(err)
		}
		out := v1alpha1.ComponentDescriptorSpec{Version: "1.0.0", Resources: make([]v1alpha1.DescriptorResource, 1)}
		out.Resources[0].Access = parsed
		return out
	}
	one := contentDigest(spec(`{"type":"ociArtifact","imageReference":"a"}`))
	if same := contentDigest(spec(`{ "imageReference": "a", "type": "ociArtifact" }`)); same != one {
		t.Error("the same content written otherwise has another digest")
	}
	if other := contentDigest(spec(`{"type":"ociArtifact","imageReference":"b"}`)); other == one {
		t.Error("other content has the same digest")
	}
}

// TestEverySecretWakes lists what the watches look for.
func TestEverySecretWakes(t *testing.T) {
	t.Parallel()
	named := func(name string) *meta.LocalObjectReference { return &meta.LocalObjectReference{Name: name} }
	cv := &v1alpha1.ComponentVersion{ObjectMeta: metav1.ObjectMeta{Namespace: "shop"}}
	cv.Spec.Repository = v1alpha1.Repository{SecretRef: named("login"), CertSecretRef: named("certs"), ProxySecretRef: named("proxy")}
	cv.Spec.Destination = &v1alpha1.Repository{SecretRef: named("to-login"), CertSecretRef: named("to-certs"), ProxySecretRef: named("")}
	cv.Spec.Verify = []v1alpha1.Signature{{PublicKey: &v1alpha1.PublicKey{SecretRef: named("key")}}, {PublicKey: &v1alpha1.PublicKey{Value: "YQ=="}}, {Certificate: &v1alpha1.Certificate{RootsSecretRef: *named("roots")}}}
	var got []string
	for _, ref := range references(cv) {
		if ref.Kind != source.SecretKind || ref.Namespace != "shop" {
			t.Errorf("unexpected reference %+v", ref)
		}
		got = append(got, ref.Name)
	}
	if want := "login certs proxy to-login to-certs key roots"; strings.Join(got, " ") != want {
		t.Errorf("references to %v, want %s", got, want)
	}
}
