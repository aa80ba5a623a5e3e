package manager_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/opencontainers/go-digest"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// fluxObject returns an object of Flux that is called app.
func (o *operator) fluxObject(group, kind string) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(schema.GroupVersionKind{Group: group + ".toolkit.fluxcd.io", Version: "v1", Kind: kind})
	obj.SetNamespace(o.namespace)
	obj.SetName("app")
	return obj
}

// replaced deletes an object that the operator has made, and waits until it has made it again.
func (o *operator) replaced(obj client.Object) {
	o.t.Helper()
	if err := o.Get(o.t.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
		o.t.Fatal(err)
	}
	uid := obj.GetUID()
	if err := o.Delete(o.t.Context(), obj); err != nil {
		o.t.Fatal(err)
	}
	o.eventually(fmt.Sprintf("%T %s is made again", obj, obj.GetName()), func() bool {
		return o.Get(o.t.Context(), client.ObjectKeyFromObject(obj), obj) == nil && obj.GetUID() != uid
	})
}

// ask asks for a reconciliation now.
func (o *operator) ask(obj client.Object, when string) {
	o.t.Helper()
	o.change(obj, func() {
		annotations := map[string]string{meta.ReconcileRequestAnnotation: when}
		obj.SetAnnotations(annotations)
	})
}

// TestEveryEdgeWakes changes everything that an object depends on. Intervals don't end within the test, so what depends on
// the change was woken by it.
func TestEveryEdgeWakes(t *testing.T) {
	o := startOperator(t)
	o.release("1.0.0")
	p := o.newPipeline("app")
	login := secret("login")
	o.create(p.objects()...)
	o.says(p.component, "Stalled", "True "+v1alpha1.AuthenticatedContextCreationFailedReason)
	o.create(login, p.values)
	o.arrives(p.chain, "1.0.0", "blue")
	o.eventually("the pipeline is deployed", func() bool { return o.deployed(p) })
	snapshotOf := func(writer v1alpha1.SnapshotWriter) client.Object {
		return &v1alpha1.Snapshot{ObjectMeta: metav1.ObjectMeta{Namespace: o.namespace, Name: writer.GetSnapshotName()}}
	}
	named := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: o.namespace, Name: name} }

	for _, edge := range []struct {
		name   string
		change func()
	}{
		{"ConfigMap to Configuration", func() {
			o.change(p.values, func() { p.values.Data["values"] = "color: green" })
			o.arrives(p.chain, "1.0.0", "green")
		}},
		{"Secret that goes and comes to ComponentVersion", func() {
			if err := o.Delete(t.Context(), login); err != nil {
				t.Fatal(err)
			}
			o.says(p.component, "Stalled", "True "+v1alpha1.AuthenticatedContextCreationFailedReason)
			login = secret("login")
			o.create(login)
			o.says(p.component, "Ready", "True Succeeded")
		}},
		{"ServiceAccount to ComponentVersion", func() {
			o.change(p.component, func() { p.component.Spec.ServiceAccountName = "puller" })
			o.says(p.component, "Stalled", "True "+v1alpha1.AuthenticatedContextCreationFailedReason)
			o.create(&corev1.ServiceAccount{ObjectMeta: named("puller")})
			o.says(p.component, "Ready", "True Succeeded")
		}},
		{"version of the ComponentVersion to all that follows", func() {
			o.release("1.1.0")
			o.ask(p.component, "1.1.0")
			o.arrives(p.chain, "1.1.0", "green")
			o.eventually("Flux is told", func() bool {
				repository := o.fluxObject("source", "OCIRepository")
				if err := o.Get(t.Context(), client.ObjectKeyFromObject(repository), repository); err != nil {
					return false
				}
				pinned, _, _ := unstructured.NestedString(repository.Object, "spec", "ref", "digest")
				return pinned == p.configuration.Status.LatestManifestDigest
			})
		}},
		{"ComponentDescriptor to ComponentVersion", func() {
			if err := o.Get(t.Context(), client.ObjectKeyFromObject(p.component), p.component); err != nil {
				t.Fatal(err)
			}
			o.replaced(&v1alpha1.ComponentDescriptor{ObjectMeta: named(p.component.Status.ComponentDescriptor.ComponentDescriptorRef.Name)})
		}},
		{"spec of a Resource to what follows", func() {
			o.change(p.resource, func() { p.resource.Spec.SourceRef.ResourceRef.Name = "config" })
			o.says(p.localization, "Ready", "False "+v1alpha1.SourceNotATarArchiveReason)
			o.change(p.resource, func() { p.resource.Spec.SourceRef.ResourceRef.Name = "manifests" })
			o.arrives(p.chain, "1.1.0", "green")
		}},
		{"Snapshots to their owners", func() {
			for _, writer := range []client.Object{p.resource, p.localization, p.configuration} {
				if err := o.Get(t.Context(), client.ObjectKeyFromObject(writer), writer); err != nil {
					t.Fatal(err)
				}
			}
			o.replaced(snapshotOf(p.resource))
			o.replaced(snapshotOf(p.localization))
			o.replaced(snapshotOf(p.configuration))
		}},
		{"objects of Flux and Secrets to FluxDeployer", func() {
			o.replaced(o.fluxObject("source", "OCIRepository"))
			o.replaced(o.fluxObject("kustomize", "Kustomization"))
			o.replaced(&corev1.Secret{ObjectMeta: named("app-registry-pull")})
			o.replaced(&corev1.Secret{ObjectMeta: named("app-registry-ca")})
		}},
		{"artifact of a Flux source to Configuration", func() { o.sourceOfFlux(p) }},
	} {
		t.Run(edge.name, func(t *testing.T) {
			outer := o.t
			o.t = t
			defer func() { o.t = outer }()
			edge.change()
		})
	}
}

// sourceOfFlux takes the values from a source of Flux that comes late, without an artifact at first, and changes.
func (o *operator) sourceOfFlux(p *pipeline) {
	o.t.Helper()
	content := map[string][]byte{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(content[r.URL.Path]) }))
	o.t.Cleanup(server.Close)
	git := o.fluxObject("source", "GitRepository")
	git.Object["spec"] = map[string]any{"interval": "1h", "url": "https://git.example.com/values"}
	offer := func(revision, values string) {
		raw := reconcilertest.Tar(o.t, map[string]string{"values.yaml": values})
		content["/"+revision] = raw
		before := git.DeepCopy()
		git.Object["status"] = map[string]any{"artifact": map[string]any{
			"url": server.URL + "/" + revision, "digest": digest.FromBytes(raw).String(), "revision": revision, "path": revision,
			"lastUpdateTime": "2026-01-01T00:00:00Z",
		}}
		if err := o.Status().Patch(o.t.Context(), git, client.MergeFrom(before)); err != nil {
			o.t.Fatal(err)
		}
	}
	o.change(p.configuration, func() {
		from := &v1alpha1.FluxValuesSource{Path: "values.yaml"}
		from.SourceRef.Kind, from.SourceRef.Name = "GitRepository", "app"
		p.configuration.Spec.ValuesFrom = &v1alpha1.ValuesSource{FluxSource: from}
	})
	o.says(p.configuration, "Reconciling", "True "+v1alpha1.ValuesNotReadyReason)
	o.create(git)
	offer("one", "color: white")
	o.arrives(p.chain, "1.1.0", "white")
	offer("two", "color: black")
	o.arrives(p.chain, "1.1.0", "black")
}

// TestNothingIsLostWhileTheOperatorIsDown changes things when nobody watches.
func TestNothingIsLostWhileTheOperatorIsDown(t *testing.T) {
	o := startOperator(t)
	o.release("1.0.0")
	p := o.newPipeline("app")
	o.create(append(p.objects(), secret("login"), p.values)...)
	o.arrives(p.chain, "1.0.0", "blue")
	o.eventually("the pipeline is deployed", func() bool { return o.deployed(p) })
	o.stop()

	o.release("1.1.0")
	o.change(p.values, func() { p.values.Data["values"] = "color: green" })
	gone := []client.Object{
		&v1alpha1.Snapshot{ObjectMeta: metav1.ObjectMeta{Namespace: o.namespace, Name: p.configuration.Status.SnapshotName}},
		o.fluxObject("kustomize", "Kustomization"),
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: o.namespace, Name: "app-registry-pull"}},
	}
	for _, obj := range gone {
		if err := o.Delete(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
	o.run()
	o.arrives(p.chain, "1.1.0", "green")
	for _, obj := range gone {
		o.eventually(fmt.Sprintf("%T is there again", obj), func() bool { return o.Get(t.Context(), client.ObjectKeyFromObject(obj), obj) == nil })
	}
}

// TestRestartIsQuiet counts what a restart costs when there is nothing to do.
func TestRestartIsQuiet(t *testing.T) {
	o := startOperator(t)
	o.create(secret("login"))
	const count = 3
	for i := range count {
		p := o.newPipeline(fmt.Sprintf("app%d", i))
		p.component.Spec.Component = "acme.org/" + p.component.Name
		o.publish(p.component.Spec.Component, "1.0.0")
		if i == 0 {
			o.create(p.values)
		}
		o.create(p.objects()...)
		o.eventually("the pipeline is deployed", func() bool { return o.deployed(p) })
	}
	o.rests()
	o.stop()
	o.wire.take()
	o.source.ResetRequests()

	o.run()
	o.eventually("every component is looked at", func() bool { return o.source.Requests()["HEAD manifests"] >= count })
	o.rests()
	requests, asked := o.wire.take(), o.source.Requests()
	t.Logf("requests to the API server:\n%s\nrequests to the registry of components: %v", show(requests), asked)
	for what, n := range requests {
		if what[:4] != "GET " {
			t.Errorf("%d requests %s after a restart with nothing to do", n, what)
		}
	}
	// Each of the first requests may be refused once, because the registry wants to know who asks.
	if lists := asked["GET tags"]; lists < count || lists > 2*count || asked["HEAD manifests"] > 2*count || asked["GET manifests"]+asked["GET blobs"] > 0 {
		t.Errorf("requests to the registry of components are %v, want each of %d components listed and its tag resolved, and nothing read", asked, count)
	}
}
