package componentversion_test

import (
	"net/http"
	"testing"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
)

// TestDestinationInTheEmbeddedRegistry is where images are not taken for those of Snapshots.
func TestDestinationInTheEmbeddedRegistry(t *testing.T) {
	t.Parallel()
	m := newMirrored(t)
	var err error
	m.Repositories, err = access.New(access.Options{
		Live: m.Client, Transport: http.DefaultTransport, AllowedHosts: []string{"127.0.0.1"}, Embedded: []string{m.mirror.Host},
	})
	if err != nil {
		t.Fatal(err)
	}
	m.install()
	m.tree("1.0.0")
	m.start()
	wantNotReady(t, m.cv, v1alpha1.InvalidSpecReason, "add a second segment to the path, as in oci://"+m.mirror.Host+"/mirror/components")
	if len(m.mirror.Requests()) > 0 {
		t.Errorf("the registry was asked for %v", m.mirror.Requests())
	}
	m.at += "/components"
	m.Change(m.cv, func() { m.cv.Spec.Destination.URL = m.at })
	m.settle()
	wantReady(t, m.cv, "1.0.0")
}
