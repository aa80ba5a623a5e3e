package manager_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// chain is a component with everything up to its configured content.
type chain struct {
	component     *v1alpha1.ComponentVersion
	resource      *v1alpha1.Resource
	localization  *v1alpha1.Localization
	configuration *v1alpha1.Configuration
	values        *corev1.ConfigMap
}

func (o *operator) newChain() *chain {
	config := reconcilertest.FromComponent("app", "config")
	spec := func(kind, name string) v1alpha1.MutationSpec {
		return v1alpha1.MutationSpec{Schedule: reconcilertest.Schedule(), SourceRef: reconcilertest.From(kind, name), ConfigRef: &config}
	}
	named := metav1.ObjectMeta{Name: "app"}
	c := &chain{
		component:     reconcilertest.ComponentVersion("app", o.source.URL+"/ocm", "acme.org/app", ">=1.0.0"),
		resource:      reconcilertest.Resource("app", "app", "manifests"),
		localization:  &v1alpha1.Localization{ObjectMeta: named, Spec: spec(v1alpha1.ResourceKind, "app")},
		configuration: &v1alpha1.Configuration{ObjectMeta: named, Spec: spec(v1alpha1.LocalizationKind, "app")},
		values:        &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "values"}, Data: map[string]string{"values": "color: blue"}},
	}
	c.component.Spec.Repository.SecretRef = &meta.LocalObjectReference{Name: "login"}
	c.configuration.Spec.ValuesFrom = &v1alpha1.ValuesSource{ConfigMapSource: &v1alpha1.ConfigMapSource{
		SourceRef: meta.LocalObjectReference{Name: "values"}, Key: "values",
	}}
	// An interval that never ends within the test: everything that happens is woken by something.
	for _, interval := range []*metav1.Duration{&c.component.Spec.Interval, &c.resource.Spec.Interval, &c.localization.Spec.Interval, &c.configuration.Spec.Interval} {
		interval.Duration *= 100
	}
	return c
}

// content returns the file that a Configuration says it has written.
func (o *operator) content(status v1alpha1.MutationStatus) (string, error) {
	repository, err := o.store.Repository(snapshot.RepositoryName(o.namespace, status.SnapshotName))
	if err != nil {
		return "", err
	}
	content, err := snapshot.Open(o.t.Context(), repository, digest.Digest(status.LatestManifestDigest))
	if err != nil {
		return "", err
	}
	defer func() { _ = content.Close() }()
	raw, err := io.ReadAll(content)
	return reconcilertest.Untar(o.t, raw)["deploy.yaml"], err
}

func wanted(version, color string) string {
	return fmt.Sprintf("version: %s\nimage: ghcr.io/acme/app:%s\ncolor: %s\n", version, version, color)
}

// arrives waits until the end of the chain has the content.
func (o *operator) arrives(c *chain, version, color string) {
	o.t.Helper()
	o.eventually(fmt.Sprintf("version %s arrives in %s", version, color), func() bool {
		if err := o.Get(o.t.Context(), client.ObjectKeyFromObject(c.configuration), c.configuration); err != nil {
			o.t.Fatal(err)
		}
		status := c.configuration.Status
		if status.LatestSourceVersion != version || reconcilertest.Conditions(c.configuration)["Ready"] != "True Succeeded" {
			return false
		}
		got, err := o.content(status)
		return err == nil && got == wanted(version, color)
	})
}

// conditioned is an object with conditions.
type conditioned interface {
	client.Object
	GetConditions() []metav1.Condition
}

// says waits until an object has a condition.
func (o *operator) says(obj conditioned, condition, want string) {
	o.t.Helper()
	o.eventually(fmt.Sprintf("%T is %s %s", obj, condition, want), func() bool {
		return o.Get(o.t.Context(), client.ObjectKeyFromObject(obj), obj) == nil && reconcilertest.Conditions(obj)[condition] == want
	})
}

// TestOperator follows one component through the life of a cluster. There is one operator in a process, as its controllers
// have names.
func TestOperator(t *testing.T) {
	o := startOperator(t)
	o.release("1.0.0")
	c := o.newChain()
	o.create(c.configuration, c.localization, c.resource, c.component) // the wrong way round
	o.eventually("it is alive", func() bool { return o.probe("/healthz") == nil })
	o.eventually("it is ready", func() bool { return o.probe("/readyz") == nil })
	o.says(c.component, "Stalled", "True "+v1alpha1.AuthenticatedContextCreationFailedReason)
	o.says(c.configuration, "Reconciling", "True "+v1alpha1.SourceRefNotReadyReason)

	o.create(secret("login")) // wakes the ComponentVersion, which wakes the rest
	o.says(c.localization, "Ready", "True Succeeded")
	o.says(c.configuration, "Reconciling", "True "+v1alpha1.ValuesNotReadyReason)
	o.create(c.values)
	o.arrives(c, "1.0.0", "blue")

	o.change(c.values, func() { c.values.Data["values"] = "color: green" })
	o.arrives(c, "1.0.0", "green")

	o.losesContent(c)
	o.upgrades(c)
}

// losesContent takes content away in every way; it comes back under the same digest.
func (o *operator) losesContent(c *chain) {
	o.t.Helper()
	manifest := c.configuration.Status.LatestManifestDigest
	snap := &v1alpha1.Snapshot{ObjectMeta: metav1.ObjectMeta{Namespace: o.namespace, Name: c.configuration.Status.SnapshotName}}
	if err := o.Delete(o.t.Context(), snap); err != nil {
		o.t.Fatal(err)
	}
	restored := func() bool {
		err := o.Get(o.t.Context(), client.ObjectKeyFromObject(snap), snap)
		return err == nil && snap.Spec.ManifestDigest == manifest && snap.Status.ManifestDigest == manifest && reconcilertest.Conditions(snap)["Ready"] == "True Succeeded"
	}
	o.eventually("the Snapshot is made again", restored)

	repository, err := o.registry.Store().Repository(snapshot.RepositoryName(o.namespace, snap.Name))
	if err != nil {
		o.t.Fatal(err)
	}
	if err := repository.DeleteManifest(o.t.Context(), digest.Digest(manifest)); err != nil {
		o.t.Fatal(err)
	}
	o.change(snap, func() { metav1.SetMetaDataAnnotation(&snap.ObjectMeta, meta.ReconcileRequestAnnotation, "look") })
	o.eventually("the content is written again", func() bool {
		_, _, err := repository.Manifest(o.t.Context(), manifest)
		return err == nil && restored()
	})
}

// upgrades releases versions one after the other, without waiting for the middle of the chain, and looks at every state
// that the end of the chain ever shows: its content is always of the version that it names.
func (o *operator) upgrades(c *chain) {
	o.t.Helper()
	stop := o.observe()
	const releases = 15
	for i := 1; i <= releases; i++ {
		version := fmt.Sprintf("1.%d.0", i)
		o.release(version)
		o.change(c.component, func() {
			metav1.SetMetaDataAnnotation(&c.component.ObjectMeta, meta.ReconcileRequestAnnotation, version)
		})
		if i%3 != 0 { // two of three are overtaken by the next
			continue
		}
		o.arrives(c, version, "green")
	}
	seen := stop()
	if len(seen) < releases/3 {
		o.t.Errorf("%d states were seen, want at least %d", len(seen), releases/3)
	}
	for manifest, version := range seen {
		got, err := o.content(v1alpha1.MutationStatus{SnapshotName: c.configuration.Status.SnapshotName, LatestManifestDigest: manifest})
		if err != nil || !strings.Contains(got, "version: "+version+"\n") || !strings.Contains(got, "app:"+version+"\n") {
			o.t.Errorf("content that was called version %s is (%v):\n%s", version, err, got)
		}
	}
}

// observe collects which version every content of the Configuration was called, until the returned function is called.
func (o *operator) observe() (stop func() map[string]string) {
	o.t.Helper()
	watching, err := client.NewWithWatch(clustertest.APIServer(o.t), client.Options{Scheme: o.Scheme()})
	if err != nil {
		o.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(o.t.Context())
	events, err := watching.Watch(ctx, &v1alpha1.ConfigurationList{}, client.InNamespace(o.namespace))
	if err != nil {
		cancel()
		o.t.Fatal(err)
	}
	seen := map[string]string{}
	var group sync.WaitGroup
	group.Go(func() {
		for event := range events.ResultChan() {
			configuration, ok := event.Object.(*v1alpha1.Configuration)
			if ok && event.Type != watch.Error && configuration.Status.LatestManifestDigest != "" {
				seen[configuration.Status.LatestManifestDigest] = configuration.Status.LatestSourceVersion
			}
		}
	})
	return func() map[string]string {
		events.Stop()
		cancel()
		group.Wait()
		return seen
	}
}
