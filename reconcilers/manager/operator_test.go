package manager_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/crds"
	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/credentials"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/componentversion"
	"github.com/ocm-operator/ocm-operator/reconcilers/configuration"
	"github.com/ocm-operator/ocm-operator/reconcilers/fluxdeployer"
	"github.com/ocm-operator/ocm-operator/reconcilers/localization"
	"github.com/ocm-operator/ocm-operator/reconcilers/manager"
	"github.com/ocm-operator/ocm-operator/reconcilers/mutation"
	"github.com/ocm-operator/ocm-operator/reconcilers/options"
	"github.com/ocm-operator/ocm-operator/reconcilers/plugin"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/reconcilers/registryserver"
	"github.com/ocm-operator/ocm-operator/reconcilers/resource"
	snapshotkind "github.com/ocm-operator/ocm-operator/reconcilers/snapshot"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

func TestMain(m *testing.M) { clustertest.Main(m, cluster.Options{}) }

// longest is how long the operator may take for anything. Intervals here are an hour, so only watches and looks at Secrets are that fast.
const longest = time.Minute

// operator is the whole operator in this process, with a real API server and a registry of components.
type operator struct {
	client.Client
	t         *testing.T
	namespace string
	registry  *registryserver.Registry
	store     snapshot.Store
	source    *ocmtest.Server
	health    string
	// wire is what the operator's requests to the API server go through.
	wire *wire
	// dir is where the embedded registry keeps its content, over restarts.
	dir string
	// args are more flags for the next run.
	args []string
	// stop ends the run that goes on.
	stop func()
}

const user, password = "user", "word"

// startOperator runs the operator in a namespace of its own, which it watches alone.
func startOperator(t *testing.T) *operator {
	t.Helper()
	o := newOperator(t)
	o.run()
	return o
}

// newOperator returns an operator that doesn't run yet.
func newOperator(t *testing.T) *operator {
	t.Helper()
	access := clustertest.APIServer(t)
	scheme := reconcilertest.Scheme(t)
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	kubernetes, err := client.New(access, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	o := &operator{
		Client: kubernetes, t: t, namespace: clustertest.Namespace(t, access), source: ocmtest.Start(t), health: freeAddress(t),
		wire: newWire(t, access), dir: t.TempDir(), stop: func() {},
	}
	t.Setenv("KUBECONFIG", o.wire.kubeconfig)
	o.source.RequireLogin(user, password)
	ours, err := crds.All()
	if err != nil {
		t.Fatal(err)
	}
	o.define(append(ours, fluxKinds(t)...)...)
	return o
}

// define installs kinds and waits until they are served.
func (o *operator) define(definitions ...*apiextensionsv1.CustomResourceDefinition) {
	o.t.Helper()
	for _, crd := range definitions {
		if err := o.Create(o.t.Context(), crd); err != nil && !apierrors.IsAlreadyExists(err) {
			o.t.Fatal(err)
		}
	}
	for _, crd := range definitions {
		o.eventually(crd.Name+" is served", func() bool {
			list := &metav1.PartialObjectMetadataList{}
			list.SetGroupVersionKind(schema.GroupVersionKind{Group: crd.Spec.Group, Version: crd.Spec.Versions[0].Name, Kind: crd.Spec.Names.ListKind})
			return o.List(o.t.Context(), list) == nil
		})
	}
}

// run assembles the operator as its main function does, and runs it until it is stopped or the test ends.
func (o *operator) run() {
	o.t.Helper()
	flags, err := options.Parse(append([]string{
		"--runtime-namespace=" + o.namespace, "--registry-dir=" + o.dir, "--registry-listen=127.0.0.1:0", "--registry-address=127.0.0.1:5000",
		"--metrics-addr=0", "--health-addr=" + o.health, "--min-retry-delay=50ms", "--max-retry-delay=1s", "--watch-namespace=" + o.namespace,
		"--secret-check-interval=250ms", "--secret-checks-per-second=100",
	}, o.args...), "", "test", &bytes.Buffer{})
	if err != nil {
		o.t.Fatal(err)
	}
	config, err := manager.Config(flags)
	if err != nil {
		o.t.Fatal(err)
	}
	live, err := client.New(config, client.Options{Scheme: o.Scheme()})
	if err != nil {
		o.t.Fatal(err)
	}
	metrics := prometheus.NewRegistry()
	services, err := manager.NewServices(live, flags, metrics)
	if err != nil {
		o.t.Fatal(err)
	}
	if _, err := manager.NewServices(live, flags, metrics); err == nil {
		o.t.Error("metrics were registered twice without an error")
	}
	repositories, err := access.New(access.Options{Live: services.Live()})
	if err != nil {
		o.t.Fatal(err)
	}
	if o.registry, err = registryserver.New(o.t.Context(), live, o.namespace, flags.Registry, metrics, logr.Discard()); err != nil {
		o.t.Fatal(err)
	}
	o.registry.Watch(services.Secrets())
	o.store = snapshot.Embedded(o.registry.Store())
	set, err := plugin.NewSet(o.features(services, repositories)...)
	if err != nil {
		o.t.Fatal(err)
	}
	mgr, err := manager.New(o.t.Context(), o.Scheme(), flags, func(settings *ctrl.Options) {
		skip := true // the names of controllers are checked for the whole process
		settings.Controller.SkipNameValidation = &skip
	})
	if err != nil {
		o.t.Fatal(err)
	}
	if err := services.Setup(mgr); err != nil {
		o.t.Fatal(err)
	}
	if err := manager.Assemble(o.t.Context(), mgr, set, o.registry, metrics); err != nil {
		o.t.Fatal(err)
	}
	o.start(mgr)
}

func (o *operator) start(mgr ctrl.Manager) {
	ctx, cancel := context.WithCancel(o.t.Context())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	o.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			o.t.Errorf("operator: %v", err)
		}
	})
	o.t.Cleanup(o.stop)
}

func (o *operator) features(services *manager.Services, repositories *access.Provider) []plugin.Plugin {
	mutations := mutation.Options{Lifecycle: services.Lifecycle, Foreign: services.Foreign, Repositories: repositories, Store: o.store, Secrets: services.Secrets(), Concurrent: 4}
	return []plugin.Plugin{
		componentversion.Plugin(componentversion.Options{Lifecycle: services.Lifecycle, Repositories: repositories, Transfers: reconcilertest.StartTransfers(o.t), Secrets: services.Secrets(), Concurrent: 4}),
		snapshotkind.Plugin(snapshotkind.Options{Lifecycle: services.Lifecycle, Store: o.store, Address: o.registry.URL(), Recheck: time.Hour, Concurrent: 4}),
		resource.Plugin(resource.Options{Lifecycle: services.Lifecycle, Repositories: repositories, Store: o.store, Concurrent: 4}),
		localization.Plugin(mutations),
		configuration.Plugin(mutations),
		fluxdeployer.Plugin(fluxdeployer.Options{Lifecycle: services.Lifecycle, Foreign: services.Foreign, Secrets: services.Secrets(), Registry: fluxdeployer.Registry{
			Address: "127.0.0.1:5000", CA: o.registry.CA, Issue: o.registry.Issue, Valid: o.registry.Valid, Changes: o.registry.Changes(),
		}}),
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func (o *operator) eventually(what string, holds func() bool) {
	o.t.Helper()
	err := wait.PollUntilContextTimeout(o.t.Context(), 20*time.Millisecond, longest, true, func(context.Context) (bool, error) { return holds(), nil })
	if err != nil {
		o.t.Fatalf("not within %s: %s", longest, what)
	}
}

// release publishes a version whose manifests tell the version.
func (o *operator) release(version string) {
	o.t.Helper()
	o.publish("acme.org/app", version)
}

func (o *operator) publish(name, version string) {
	o.t.Helper()
	const config = `configuration:
  defaults: {color: red}
  rules:
  - {value: (( color )), file: deploy.yaml, path: color}
localization:
- {resource: {name: image}, file: deploy.yaml, image: image}
`
	component := ocmtest.Component{Name: name, Version: version, Resources: []ocmtest.Resource{
		{Name: "manifests", Content: reconcilertest.Tar(o.t, map[string]string{"deploy.yaml": "version: " + version + "\nimage: none\ncolor: none\n"})},
		{Name: "config", Content: []byte(config)},
		{Name: "image", Image: "ghcr.io/acme/app:" + version},
	}}
	creds := credentials.FromBasic(o.source.URL, user, password)
	if _, err := component.Publish(o.t.Context(), o.source.URL+"/ocm", ocm.Options{Credentials: creds}); err != nil {
		o.t.Fatal(err)
	}
}

func (o *operator) create(objects ...client.Object) {
	o.t.Helper()
	for _, obj := range objects {
		obj.SetNamespace(o.namespace)
		if err := o.Create(o.t.Context(), obj); err != nil {
			o.t.Fatal(err)
		}
	}
}

// change changes an object as a user does, whoever writes it at the same time.
func (o *operator) change(obj client.Object, change func()) {
	o.t.Helper()
	o.eventually("the change is written", func() bool {
		if err := o.Get(o.t.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
			o.t.Fatal(err)
		}
		change()
		err := o.Update(o.t.Context(), obj)
		if err != nil && !apierrors.IsConflict(err) {
			o.t.Fatal(err)
		}
		return err == nil
	})
}

// probe returns the answer of a health check.
func (o *operator) probe(path string) error {
	request, err := http.NewRequestWithContext(o.t.Context(), http.MethodGet, "http://"+o.health+path, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return errors.Join(fmt.Errorf("%s: %s", path, response.Status), response.Body.Close())
	}
	return response.Body.Close()
}

func secret(name string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: map[string]string{"username": user, "password": password}}
}
