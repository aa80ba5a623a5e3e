package registryserver

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/ocm-operator/ocm-operator/apis/crds"
	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/reconcilers/options"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

func TestMain(m *testing.M) { clustertest.Main(m, cluster.Options{}) }

// run runs a registry in a manager of its own until the test ends.
func run(t *testing.T, access *rest.Config, c client.Client) *Registry {
	t.Helper()
	return runWith(t, access, c, optionsOf(t))
}

func runWith(t *testing.T, access *rest.Config, c client.Client, o options.Registry) *Registry {
	t.Helper()
	r := newRegistry(t, c, o)
	mgr, err := ctrl.NewManager(access, ctrl.Options{Scheme: c.Scheme(), Logger: logr.Discard(), Metrics: metricsserver.Options{BindAddress: "0"}})
	if err != nil {
		t.Fatal(err)
	}
	lookout := reconcilertest.Lookout(t, c)
	r.Watch(lookout)
	if err := errors.Join(r.Setup(mgr), mgr.Add(lookout)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("manager: %v", err)
		}
	})
	select {
	case <-r.server.Ready():
	case <-time.After(time.Minute):
		t.Fatal("the registry did not start within a minute")
	}
	return r
}

// ours returns an API server that knows the kinds, and has the operator's namespace.
func ours(t *testing.T) (*rest.Config, client.Client) {
	t.Helper()
	access := clustertest.APIServer(t)
	scheme := reconcilertest.Scheme(t)
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(access, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	kinds, err := crds.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, crd := range kinds {
		if err := client.IgnoreAlreadyExists(c.Create(t.Context(), crd)); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.IgnoreAlreadyExists(c.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})); err != nil {
		t.Fatal(err)
	}
	return access, c
}

// TestReplicasFollowTheSecret has two replicas that nobody restarts.
func TestReplicasFollowTheSecret(t *testing.T) {
	access, c := ours(t)
	replicas := []*Registry{run(t, access, c), run(t, access, c)}
	if !bytes.Equal(replicas[0].CA(), replicas[1].CA()) {
		t.Fatal("two replicas are trusted by different certificates")
	}

	given := made(t, 0)
	stored := secret("certs", nil)
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(stored), stored); err != nil {
		t.Fatal(err)
	}
	stored.Data = map[string][]byte{caCertKey: given.CACert, corev1.TLSCertKey: given.Cert, corev1.TLSPrivateKeyKey: given.Key}
	if err := c.Update(t.Context(), stored); err != nil {
		t.Fatal(err)
	}
	trusted(t, replicas, "the user's certificates", func(r *Registry) bool { return bytes.Equal(r.CA(), given.CACert) })

	if err := c.Delete(t.Context(), stored); err != nil {
		t.Fatal(err)
	}
	trusted(t, replicas, "new certificates after the Secret was deleted", func(r *Registry) bool { return !bytes.Equal(r.CA(), given.CACert) })
	if !bytes.Equal(replicas[0].CA(), replicas[1].CA()) {
		t.Error("two replicas are trusted by different certificates")
	}
}

// trusted waits until every replica serves certificates as wanted, and what it serves is what others are told to trust.
func trusted(t *testing.T, replicas []*Registry, what string, wanted func(*Registry) bool) {
	t.Helper()
	for i, r := range replicas {
		err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
			if !wanted(r) {
				return false, nil
			}
			_, err := ask(t, r.server.Address(), r.CA(), "", "")
			return err == nil, nil
		})
		if err != nil {
			t.Fatalf("replica %d does not serve %s within a minute", i, what)
		}
	}
}
