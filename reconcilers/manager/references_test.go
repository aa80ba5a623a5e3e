package manager_test

import (
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/credentials"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// TestResourcesOfNestedComponents selects resources two references below a ComponentVersion: one that is there, and some
// that can't be told apart.
func TestResourcesOfNestedComponents(t *testing.T) {
	o := startOperator(t)
	variant := func(zone string) descriptor.Identity { return descriptor.Identity{"zone": zone} }
	for _, component := range []ocmtest.Component{
		{Name: "acme.org/store", Version: "3.0.0", Resources: []ocmtest.Resource{
			{Name: "schema", Version: "3.0.0", Content: []byte("three")},
			{Name: "dump", Version: "3.0.0", ExtraIdentity: variant("a"), Content: []byte("a")},
			{Name: "dump", Version: "3.0.0", ExtraIdentity: variant("b"), Content: []byte("b")},
		}},
		{
			Name: "acme.org/backend", Version: "2.0.0", References: []ocmtest.Reference{{Name: "store", Component: "acme.org/store", Version: "3.0.0"}},
			Resources: []ocmtest.Resource{{Name: "schema", Version: "2.0.0", Content: []byte("two")}},
		},
		{
			Name: "acme.org/app", Version: "1.0.0", References: []ocmtest.Reference{{Name: "backend", Component: "acme.org/backend", Version: "2.0.0"}},
			Resources: []ocmtest.Resource{{Name: "schema", Version: "1.0.0", Content: []byte("one")}},
		},
	} {
		options := ocm.Options{Credentials: credentials.FromBasic(o.source.URL, user, password)}
		if _, err := component.Publish(t.Context(), o.source.URL+"/ocm", options); err != nil {
			t.Fatal(err)
		}
	}
	cv := reconcilertest.ComponentVersion("app", o.source.URL+"/ocm", "acme.org/app", "1.0.0")
	cv.Spec.Repository.SecretRef = &meta.LocalObjectReference{Name: "login"}
	o.create(secret("login"), cv)

	twoHops := []map[string]string{{"name": "backend"}, {"name": "store"}}
	for name, tc := range map[string]struct {
		ref     v1alpha1.ResourceReference
		version string
		says    string
	}{
		"two-hops":  {v1alpha1.ResourceReference{Name: "schema", ReferencePath: twoHops}, "3.0.0", ""},
		"one-hop":   {v1alpha1.ResourceReference{Name: "schema", ReferencePath: twoHops[:1]}, "2.0.0", ""},
		"versioned": {v1alpha1.ResourceReference{Name: "schema", Version: "3.0.0", ReferencePath: twoHops}, "3.0.0", ""},
		"zone":      {v1alpha1.ResourceReference{Name: "dump", ExtraIdentity: variant("b"), ReferencePath: twoHops}, "3.0.0", ""},
		"ambiguous": {v1alpha1.ResourceReference{Name: "dump", ReferencePath: twoHops}, "", "zone"},
		"missing":   {v1alpha1.ResourceReference{Name: "schema", Version: "2.0.0", ReferencePath: twoHops}, "", "schema"},
		"lost":      {v1alpha1.ResourceReference{Name: "schema", ReferencePath: []map[string]string{{"name": "store"}}}, "", "store"},
	} {
		resource := reconcilertest.Resource(name, "app", tc.ref.Name)
		resource.Spec.SourceRef.ResourceRef = &tc.ref
		o.create(resource)
		want := "True Succeeded"
		if tc.says != "" {
			want = "False " + v1alpha1.GetResourceFailedReason
			if name == "lost" {
				want = "False " + v1alpha1.ComponentDescriptorNotFoundReason
			}
		}
		o.says(resource, "Ready", want)
		if err := o.Get(t.Context(), client.ObjectKeyFromObject(resource), resource); err != nil {
			t.Fatal(err)
		}
		if got := resource.Status.LastAppliedResourceVersion; got != tc.version {
			t.Errorf("%s: version %q, want %q", name, got, tc.version)
		}
		if message := reconcilertest.Message(resource, "Ready"); !strings.Contains(message, tc.says) {
			t.Errorf("%s: message %q lacks %q", name, message, tc.says)
		}
	}
}
