package subscription_test

import (
	"net/http"
	"testing"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// TestIntoTheEmbeddedRegistry copies to where images are not taken for those of Snapshots.
func TestIntoTheEmbeddedRegistry(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	var err error
	s.Repositories, err = access.New(access.Options{
		Live: s.Client, Transport: http.DefaultTransport, AllowedHosts: []string{"127.0.0.1"}, Embedded: []string{s.to.Host},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.install()
	s.release("1.0.0")
	sub := s.subscribe()
	wantFailed(t, sub, v1alpha1.InvalidSpecReason, "add a second segment to the path, as in oci://"+s.to.Host+"/mirror/components")
	if _, stalled := reconcilertest.Conditions(sub)[meta.StalledCondition]; !stalled || len(s.to.Requests()) > 0 {
		t.Errorf("conditions are %v, with requests %v", reconcilertest.Conditions(sub), s.to.Requests())
	}
	s.change(sub, func() { sub.Spec.Destination.URL += "/components" })
	wantReady(t, sub, "1.0.0")
}
