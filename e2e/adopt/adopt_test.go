package adopt_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/crds"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/binaries"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
)

// delivered is what Flux has applied: none of it may be made again, changed or restarted.
var delivered = []string{"Deployment", "Service", "ConfigMap"}

// TestAdoption moves a cluster to the operator as the guide says, with the chart and the definitions as they are released.
func TestAdoption(t *testing.T) {
	w := newWorld(t)
	before := w.workloads()
	inventory := w.inventory()

	w.refusesTheChart("before the definitions were handed over")
	w.changesNothing("check")
	w.changesNothing("--dry-run", "prepare")
	w.mustAdopt("prepare")
	w.isPrepared()
	if out := w.mustAdopt("prepare"); strings.Contains(out, "+ kubectl") {
		t.Errorf("a second time something is changed again:\n%s", out)
	}

	w.registry.Close() // nothing needs it any more
	w.installChart()
	w.startOperator()
	for _, name := range []string{"podinfo", "held"} {
		w.Wait("OCIRepository", name, isTaken)
		w.Wait("Kustomization", name, isTaken)
	}
	w.changesNothing("--dry-run", "finish")
	out := w.mustAdopt("finish")
	for _, part := range []string{"syncs.delivery.ocm.software are not served", "Secret ocm-registry-tls-certs is not needed", "Deployment ocm-system/ocm-controller is scaled down"} {
		if !strings.Contains(out, part) {
			t.Errorf("finish does not say %q:\n%s", part, out)
		}
	}
	w.isFinished(inventory)
	if diff := cmp.Diff(before, w.workloads()); diff != "" {
		t.Errorf("what runs has changed (-before +after):\n%s", diff)
	}
	if out := w.mustAdopt("finish"); strings.Contains(out, "+ kubectl") {
		t.Errorf("a second time something is changed again:\n%s", out)
	}
}

// isTaken wants an object to be applied by the operator.
func isTaken(obj *unstructured.Unstructured) error {
	if obj.GetAnnotations()["delivery.ocm.software/applied-digest"] == "" {
		return errors.New("the operator has not applied it")
	}
	return nil
}

// workloads says what could have been made again, changed, or restarted.
func (w *world) workloads() map[string]string {
	w.t.Helper()
	all := map[string]string{}
	for _, kind := range delivered {
		obj := w.Get(kind, "podinfo")
		all[kind] = fmt.Sprintf("%s generation %d", obj.GetUID(), obj.GetGeneration())
	}
	// No pod starts here, but the Pod objects are those of the template.
	all["pods"] = w.Kubectl("get", "pods", "-l", "app=podinfo", "-o", `jsonpath={range .items[*]}{.metadata.uid}{"\n"}{end}`)
	if all["pods"] == "" {
		w.t.Fatal("there is no pod to keep")
	}
	all["Kustomization"] = string(w.Get("Kustomization", "podinfo").GetUID())
	all["OCIRepository"] = string(w.Get("OCIRepository", "podinfo").GetUID())
	return all
}

func (w *world) inventory() string {
	w.t.Helper()
	entries, _, err := unstructured.NestedSlice(w.Get("Kustomization", "podinfo").Object, "status", "inventory", "entries")
	if err != nil || len(entries) != len(delivered) {
		w.t.Fatalf("the inventory is %v, %v", entries, err)
	}
	text, err := json.Marshal(entries)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// changesNothing runs the script, which must only look.
func (w *world) changesNothing(args ...string) {
	w.t.Helper()
	before := w.versions()
	if out := w.mustAdopt(args...); strings.Contains(out, "+ kubectl") {
		w.t.Errorf("adopt.sh %v has changed something:\n%s", args, out)
	}
	if diff := cmp.Diff(before, w.versions()); diff != "" {
		w.t.Errorf("adopt.sh %v has changed something (-before +after):\n%s", args, diff)
	}
}

// versions says which generation and which marks everything has that the script may touch.
func (w *world) versions() map[string]string {
	w.t.Helper()
	all := map[string]string{}
	for kind, namespace := range map[string]string{"Deployment": oldNamespace, "Kustomization": w.Namespace, "OCIRepository": w.Namespace, "Snapshot": w.Namespace} {
		list, err := w.List(w.t.Context(), namespace, kind)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, obj := range list.Items {
			all[kind+" "+obj.GetName()] = fmt.Sprint(obj.GetGeneration(), obj.GetAnnotations(), obj.GetDeletionTimestamp())
		}
	}
	definitions := &metav1.PartialObjectMetadataList{}
	definitions.SetGroupVersionKind(definition.GroupVersion().WithKind("CustomResourceDefinitionList"))
	if err := w.Client.List(w.t.Context(), definitions); err != nil {
		w.t.Fatal(err)
	}
	for _, crd := range definitions.Items {
		all[crd.Name] = fmt.Sprint(crd.Generation, crd.Labels, crd.Annotations)
	}
	return all
}

// isPrepared looks for what prepare promises.
func (w *world) isPrepared() {
	w.t.Helper()
	for _, name := range []string{"ocm-controller", "replication-controller"} {
		if out := w.Kubectl("-n", oldNamespace, "get", "deployment", name, "-o", "jsonpath={.spec.replicas}{.status.replicas}"); out != "0" {
			w.t.Errorf("Deployment %s has replicas %q", name, out)
		}
	}
	if out := w.Kubectl("-n", oldNamespace, "get", "deployment", "registry", "-o", "jsonpath={.spec.replicas}"); out != "1" {
		w.t.Errorf("the old registry has %s replicas, want it to stay: Flux may still ask it", out)
	}
	for _, kind := range []string{"Kustomization", "OCIRepository"} {
		if suspended, _, _ := unstructured.NestedBool(w.Get(kind, "podinfo").Object, "spec", "suspend"); !suspended {
			w.t.Errorf("%s is not suspended", kind)
		}
	}
	if mark := w.Get("Kustomization", "held").GetAnnotations()["delivery.ocm.software/adopt-suspended"]; mark != "" {
		w.t.Error("what its owner has suspended is marked as if the script had")
	}
	all, err := crds.All()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, crd := range all {
		found := &metav1.PartialObjectMetadata{}
		found.SetGroupVersionKind(definition)
		err := w.Client.Get(w.t.Context(), client.ObjectKey{Name: crd.Name}, found)
		if client.IgnoreNotFound(err) != nil {
			w.t.Fatal(err)
		}
		if err == nil && (found.Labels["app.kubernetes.io/managed-by"] != "Helm" || found.Annotations["meta.helm.sh/release-name"] != "ocm-operator") {
			w.t.Errorf("%s is not handed over: labels %v, annotations %v", crd.Name, found.Labels, found.Annotations)
		}
	}
}

// isFinished looks for what finish promises.
func (w *world) isFinished(inventory string) {
	w.t.Helper()
	for kind, name := range map[string]string{"ComponentVersion": "podinfo", "Resource": "manifests", "Localization": "localized", "FluxDeployer": "podinfo"} {
		w.Wait(kind, name, e2etest.Ready)
	}
	snapshots, err := w.List(w.t.Context(), w.Namespace, "Snapshot")
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, s := range snapshots.Items {
		names = append(names, s.GetName())
		w.Wait("Snapshot", s.GetName(), e2etest.Ready)
	}
	if slices.Contains(names, "manifests-x3k9q2a") || slices.Contains(names, "localized-b7d2m4z") || len(names) != 2 {
		w.t.Errorf("Snapshots are %v, want one for each owner and none of the old ones", names)
	}
	current, _, _ := unstructured.NestedString(w.Get("Localization", "localized").Object, "status", "snapshotName")
	digest, _, _ := unstructured.NestedString(w.Get("Snapshot", current).Object, "status", "manifestDigest")
	source := w.Wait("OCIRepository", "podinfo", e2etest.Ready, e2etest.Field(digest, "spec", "ref", "digest"), e2etest.Field("", "spec", "ref", "tag"))
	if at, _, _ := unstructured.NestedString(source.Object, "spec", "url"); !strings.HasPrefix(at, "oci://"+w.Operator.RegistryAddress()+"/") {
		w.t.Errorf("Flux pulls %s, want the registry of the operator", at)
	}
	applied := w.Wait("Kustomization", "podinfo", e2etest.Ready)
	if revision, _, _ := unstructured.NestedString(applied.Object, "status", "lastAppliedRevision"); !strings.HasSuffix(revision, digest) {
		w.t.Errorf("Flux has applied %s, want %s", revision, digest)
	}
	if got := w.inventory(); got != inventory {
		w.t.Errorf("the inventory is %s, want %s", got, inventory)
	}
	held := w.Get("Kustomization", "held")
	if suspended, _, _ := unstructured.NestedBool(held.Object, "spec", "suspend"); !suspended {
		w.t.Error("what its owner has suspended goes on")
	}
	w.Wait("OCIRepository", "held", e2etest.Ready)
	for _, kind := range []string{"ComponentVersion", "ComponentDescriptor", "Resource", "Localization", "Snapshot", "FluxDeployer", "OCIRepository", "Kustomization"} {
		list, err := w.List(w.t.Context(), w.Namespace, kind)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, obj := range list.Items {
			if obj.GetDeletionTimestamp() != nil || obj.GetAnnotations()["delivery.ocm.software/adopt-suspended"] != "" {
				w.t.Errorf("%s %s is left over: %v", kind, obj.GetName(), obj.Object["metadata"])
			}
		}
	}
}

// helm runs Helm.
func (w *world) helm(args ...string) (string, error) {
	w.t.Helper()
	cache, err := binaries.Open(binaries.Options{Progress: w.t.Output()})
	if err != nil {
		w.t.Fatal(err)
	}
	program, err := cache.Helm(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return w.run(program, args...)
}

func (w *world) install() (string, error) {
	w.t.Helper()
	return w.helm("install", "ocm-operator", filepath.Join(w.root, "charts", "ocm-operator"), "--namespace", newNamespace, "--create-namespace", "--force-conflicts")
}

// refusesTheChart wants Helm not to touch definitions that it doesn't own.
func (w *world) refusesTheChart(why string) {
	w.t.Helper()
	before := w.versions()
	out, err := w.install()
	if err == nil || !strings.Contains(out, "invalid ownership metadata") {
		w.t.Errorf("%s, Helm says %v: %s", why, err, out)
	}
	if diff := cmp.Diff(before, w.versions()); diff != "" {
		w.t.Errorf("%s, Helm has changed something (-before +after):\n%s", why, diff)
	}
}

// installChart installs the chart, of which everything but the pod works here.
func (w *world) installChart() {
	w.t.Helper()
	if out, err := w.install(); err != nil {
		w.t.Fatalf("helm install: %v\n%s", err, out)
	}
	schema := w.Kubectl("get", "crd", "resources.delivery.ocm.software", "-o", "jsonpath={.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.sourceRef.type}")
	if schema != "object" {
		w.t.Errorf("the definition of Resource is still the old one: %q", schema)
	}
}
