package access_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// TestDestinationsInTheEmbeddedRegistry are refused where images would get repositories of Snapshots.
func TestDestinationsInTheEmbeddedRegistry(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	p, err := access.New(access.Options{
		Live: w.Client, Transport: http.DefaultTransport, AllowedHosts: []string{"127.0.0.1"},
		Embedded: []string{"ocm-operator.ocm-system.svc.cluster.local:5000", "10.1.2.3:5000", "[fd00::1]:443", ""},
	})
	if err != nil {
		t.Fatal(err)
	}
	const service = "ocm-operator.ocm-system.svc.cluster.local:5000"
	for url, want := range map[string]string{
		"oci://" + service + "/ocm-system":            "add a second segment to the path, as in oci://" + service + "/ocm-system/components",
		"oci://" + service + "/ocm-system/":           "ocm-system/components",
		service + "/ocm-system":                       "ocm-system/components",
		"https://" + service:                          "add two segments to the path, as in oci://" + service + "/<namespace>/components",
		"oci://ocm-operator.ocm-system.svc:5000/x":    "oci://ocm-operator.ocm-system.svc:5000/x/components",
		"oci://OCM-Operator.ocm-system:5000/x":        "second segment",
		"oci://ocm-operator:5000/x":                   "second segment",
		"http://10.1.2.3:5000/x":                      "second segment",
		"oci://[fd00::1]/x":                           "second segment",
		"oci://" + service + "/ocm-system/components": "",
		"oci://" + service + "/a/b/c":                 "",
		"oci://ocm-operator.other.svc:5000/x":         "",
		"oci://ocm-operator.ocm-system.svc:5001/x":    "",
		"oci://ocm-operator.ocm-system.svc/x":         "",
		"oci://registry.example.com:5000/x":           "",
	} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			user := access.User{Namespace: reconcilertest.Namespace}
			_, err := p.Open(t.Context(), user, v1alpha1.Repository{URL: url}, "spec.destination")
			if want == "" {
				if err != nil {
					t.Errorf("Open = %v", err)
				}
				return
			}
			verdict, ok := errors.AsType[*lifecycle.Verdict](err)
			if !ok || !verdict.Final() || verdict.Reason != v1alpha1.InvalidSpecReason || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "spec.destination.url: ") {
				t.Errorf("Open = %v, want a verdict about the spec that says %q", err, want)
			}
			if _, err := p.Open(t.Context(), user, v1alpha1.Repository{URL: url}, "spec.source"); err != nil {
				t.Errorf("Open as a source = %v", err)
			}
		})
	}
}
