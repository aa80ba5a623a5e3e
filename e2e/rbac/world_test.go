package rbac_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/binaries"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/e2e/operator"
	"github.com/ocm-operator/ocm-operator/e2e/operator/rights"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// scenario is a way to run the operator, and what happens then.
type scenario struct {
	name string
	// args are the arguments of the operator that decide about its rights; more returns those that it needs besides.
	args []string
	more func(w *world) []string
	// before prepares the cluster, and play has the operator do something.
	before, play func(w *world)
	// refuses is set if the operator is not to start.
	refuses bool
}

// world is what a scenario happens in.
type world struct {
	*e2etest.Env

	t       *testing.T
	audit   *audit
	cluster *cluster.Cluster
	binary  string
	op      *operator.Operator
	granted rights.Rights
	proved  map[rights.Right]needed
	// components is where components are that several scenarios have in common, and content the folder of their registries.
	components *ocmtest.Server
	content    string
}

// newWorld returns a world in which nothing has happened, in a cluster of its own that tells who does what.
func newWorld(t *testing.T) world {
	t.Helper()
	log, args := newAudit(t)
	c := clustertest.Start(t, cluster.Options{
		// Without it, what is watched is listed first, as with servers that are older.
		APIServerArgs: append(args, "--feature-gates=WatchList=false"),
	})
	if err := operator.Install(t.Context(), c.Config()); err != nil {
		t.Fatal(err)
	}
	return world{audit: log, cluster: c, binary: build(t), proved: map[rights.Right]needed{}}
}

// enter lets a test see and change what is there.
func (w *world) enter(t *testing.T) {
	t.Helper()
	w.t = t
	w.Env = e2etest.Installed(t, w.cluster, watched, w.log)
	w.namespace(watched)
}

// play runs the operator and notes which of its rights were used.
func (w *world) play(t *testing.T, s scenario) {
	w.enter(t)
	w.granted = rightsOf(t, s.args)
	if s.before != nil {
		s.before(w)
	}
	args := s.args
	if s.more != nil {
		args = append(slices.Clip(args), s.more(w)...)
	}
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	op, err := operator.Start(ctx, operator.Options{Binary: w.binary, Kubeconfig: w.cluster.Kubeconfig(), Dir: filepath.Join(w.cluster.Dir(), s.name), Args: args})
	switch {
	case s.refuses && err == nil:
		t.Error("the operator has started")
	case err != nil && !s.refuses:
		t.Fatal(err)
	}
	user := "system:serviceaccount:" + operator.Namespace + ":" + w.granted.Name()
	defer w.note(user)
	if err != nil {
		return
	}
	w.op = op
	defer func() {
		if err := op.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	s.play(w)
}

// note keeps which rights were used.
func (w *world) note(user string) {
	w.audit.read(w.t)
	for _, right := range w.granted.All() {
		if request, ok := w.audit.use(user, right); ok {
			w.proved[right] = needed{right: right, request: request}
		}
	}
	for refused := range w.audit.denied[user] {
		w.t.Errorf("refused: %s", refused)
	}
}

// used waits until the operator has used a right.
func (w *world) used(verb, resource string) {
	w.t.Helper()
	w.until(verb+" "+resource, nil, func(right rights.Right) bool { return right.Verb == verb && right.Resource == resource })
}

// until does something again and again until the operator has used all rights that are meant. There is at least one.
func (w *world) until(what string, do func(), meant func(rights.Right) bool) {
	w.t.Helper()
	eventually(w.t, what, func() bool {
		if do != nil {
			do()
		}
		w.audit.read(w.t)
		found := false
		for _, right := range w.granted.All() {
			if !meant(right) {
				continue
			}
			found = true
			if _, ok := w.audit.use(w.op.User(), right); !ok {
				return false
			}
		}
		return found
	})
}

func (w *world) log(context.Context) (string, error) {
	if w.op == nil {
		return "", nil
	}
	content, err := os.ReadFile(w.op.LogFile())
	return string(content), err
}

func (w *world) namespace(name string) {
	w.t.Helper()
	err := w.Client.Create(w.t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		w.t.Fatal(err)
	}
}

// patch merges something into an object.
func (w *world) patch(namespace, kind, name, patch string) {
	w.t.Helper()
	if err := w.tryPatch(namespace, kind, name, patch); err != nil {
		w.t.Fatalf("patch %s %s/%s: %v", kind, namespace, name, err)
	}
}

func (w *world) tryPatch(namespace, kind, name, patch string) error {
	obj := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	obj.SetGroupVersionKind(e2etest.GVK(kind))
	return w.Client.Patch(w.t.Context(), obj, client.RawPatch(types.MergePatchType, []byte(patch)))
}

// tryAnnotate sets an annotation of an object to something else than before.
func (w *world) tryAnnotate(namespace, kind, name, annotation string) error {
	return w.tryPatch(namespace, kind, name, fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, annotation, time.Now().Format(time.RFC3339Nano)))
}

// request has an object reconciled.
func (w *world) request(kind, name string) {
	w.t.Helper()
	if err := w.tryAnnotate(watched, kind, name, "reconcile.fluxcd.io/requestedAt"); err != nil {
		w.t.Fatalf("request %s %s: %v", kind, name, err)
	}
}

// fluxKinds defines the kinds of Flux, without its controllers: those that consume sources come first, as nobody else is asked
// whether ExternalArtifacts are taken.
func (w *world) fluxKinds() {
	w.t.Helper()
	cache, err := binaries.Open(binaries.Options{Progress: w.t.Output()})
	if err != nil {
		w.t.Fatal(err)
	}
	flux, err := cache.Flux(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var consumers, sources []*apiextensionsv1.CustomResourceDefinition
	for _, file := range flux.CRDs {
		content, err := os.ReadFile(file)
		if err != nil {
			w.t.Fatal(err)
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.Unmarshal(content, crd); err != nil {
			w.t.Fatal(err)
		}
		if crd.Spec.Group == e2etest.GVK("OCIRepository").Group {
			sources = append(sources, crd)
		} else {
			consumers = append(consumers, crd)
		}
	}
	w.define(consumers)
	w.Eventually("those who consume sources are served", func() error {
		_, err := w.List(w.t.Context(), watched, "Kustomization")
		_, more := w.List(w.t.Context(), watched, "HelmRelease")
		return errors.Join(err, more)
	})
	w.define(sources)
}

func (w *world) define(all []*apiextensionsv1.CustomResourceDefinition) {
	w.t.Helper()
	for _, crd := range all {
		if err := w.definitions().Create(w.t.Context(), crd); err != nil {
			w.t.Fatal(err)
		}
	}
}

// definitions is a client that knows CustomResourceDefinitions.
func (w *world) definitions() client.Client {
	w.t.Helper()
	scheme := runtime.NewScheme()
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		w.t.Fatal(err)
	}
	c, err := client.New(w.cluster.Config(), client.Options{Scheme: scheme})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}
