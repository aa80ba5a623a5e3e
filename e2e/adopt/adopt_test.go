package adopt_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
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

// appliedDigest is what the operator writes onto objects of Flux that it has taken over.
const appliedDigest = "delivery.ocm.software/applied-digest"

// adoptedKinds are those of the old controllers that the operator goes on with.
var adoptedKinds = []string{"ComponentVersion", "ComponentDescriptor", "Resource", "Localization", "Snapshot", "FluxDeployer"}

// delivered is what Flux has applied: none of it may be made again, changed or restarted.
var delivered = []string{"Deployment", "Service", "ConfigMap"}

// fluxKinds are those that the old controllers have made of FluxDeployers.
var fluxKinds = []string{"OCIRepository", "Kustomization", "HelmRelease"}

// TestAdoption moves a cluster to the operator as the guide says, with the chart and the definitions as they are released. On the
// way it goes back twice: before the operator is there, and when it has taken over.
func TestAdoption(t *testing.T) {
	w := newWorld(t)
	before, inventory, release, all := w.workloads(), w.inventory(), w.Get("HelmRelease", "chart"), w.everything()

	w.refusesTheChart("before the definitions were handed over")
	w.changesNothing("check")
	w.changesNothing("--dry-run", "prepare")
	w.mustAdopt("prepare")
	w.isPrepared()
	w.isDone("prepare")
	w.goesBack(all)

	w.mustAdopt("prepare")
	w.isPrepared()
	w.registry.Close() // nothing needs it any more
	w.installChart()
	w.startOperator()
	w.isTaken()
	w.comesBack(all)
	w.changesNothing("--dry-run", "finish")
	out := w.mustAdopt("finish")
	for _, part := range []string{"syncs.delivery.ocm.software are not served", "Secret ocm-registry-tls-certs is not needed", "Deployment ocm-system/ocm-controller is scaled down"} {
		if !strings.Contains(out, part) {
			t.Errorf("finish does not say %q:\n%s", part, out)
		}
	}
	w.isFinished(inventory)
	w.isReleased(release)
	if diff := cmp.Diff(before, w.workloads()); diff != "" {
		t.Errorf("what runs has changed (-before +after):\n%s", diff)
	}
	w.isDone("finish")
	w.stays("undo after finish", func() {
		if out, err := w.adopt("undo"); err == nil || !strings.Contains(out, "finish has deleted Snapshots") {
			t.Errorf("undo says after finish: %v\n%s", err, out)
		}
	})
	w.forgets()
}

// forgets removes the old controllers as the guide says, word for word, with all their rights and nothing else.
func (w *world) forgets() {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.root, "docs", "guides", "migration.md"))
	if err != nil {
		w.t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n### Afterwards\n")
	_, commands, _ := strings.Cut(section, "\n```sh\n")
	commands, _, found := strings.Cut(commands, "\n```\n")
	if !found {
		w.t.Fatalf("the guide has no commands for a shell:\n%s", section)
	}
	w.follow(commands)
	left := strings.Fields(w.Kubectl("-n", oldNamespace, "get", "deployments,serviceaccounts,clusterroles,clusterrolebindings", "-o", "name"))
	for _, name := range []string{"ocm-controller", "replication-controller", "ocm-controller-manager-role", "replication-manager-role", "ocm-controller-rolebinding", "manager-rolebinding"} {
		if slices.ContainsFunc(left, func(one string) bool { return strings.HasSuffix(one, "/"+name) }) {
			w.t.Errorf("%s is left over: %v", name, left)
		}
	}
	for _, name := range []string{"manager-role", "shared"} {
		if !slices.ContainsFunc(left, func(one string) bool { return strings.HasSuffix(one, "/"+name) }) {
			w.t.Errorf("%s is gone, and was not theirs alone: %v", name, left)
		}
	}
	w.Wait("FluxDeployer", "podinfo", e2etest.Ready)
}

// isDone runs the script again, which must find nothing to do.
func (w *world) isDone(verb string) {
	w.t.Helper()
	if out := w.mustAdopt(verb); strings.Contains(out, "+ kubectl") {
		w.t.Errorf("a second time something is changed again:\n%s", out)
	}
}

// isTaken waits until the operator has taken over what Flux has.
func (w *world) isTaken() {
	w.t.Helper()
	taken := func(obj *unstructured.Unstructured) error {
		if obj.GetAnnotations()[appliedDigest] == "" {
			return errors.New("the operator has not applied it")
		}
		return nil
	}
	for _, name := range []string{"podinfo", "held", "chart"} {
		w.Wait("OCIRepository", name, taken)
	}
	w.Wait("Kustomization", "podinfo", taken)
	w.Wait("Kustomization", "held", taken)
	w.Wait("HelmRelease", "chart", taken)
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
	for _, kind := range fluxKinds {
		list, err := w.List(w.t.Context(), w.Namespace, kind)
		if err != nil {
			w.t.Fatal(err)
		}
		for i := range list.Items {
			all[kind+" "+list.Items[i].GetName()] = string(list.Items[i].GetUID())
		}
	}
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
	w.stays("adopt.sh "+strings.Join(args, " "), func() {
		if out := w.mustAdopt(args...); strings.Contains(out, "+ kubectl") {
			w.t.Errorf("adopt.sh %v has changed something:\n%s", args, out)
		}
	})
}

// stays wants something to change nothing that the script may touch.
func (w *world) stays(what string, do func()) {
	w.t.Helper()
	before := w.versions()
	do()
	if diff := cmp.Diff(before, w.versions()); diff != "" {
		w.t.Errorf("%s has changed something (-before +after):\n%s", what, diff)
	}
}

// versions says which generation and which marks everything has that the script may touch.
func (w *world) versions() map[string]string {
	w.t.Helper()
	all := map[string]string{}
	for name, obj := range w.objects(slices.Concat(fluxKinds, []string{"Snapshot"})...) {
		all[name] = fmt.Sprint(obj.GetGeneration(), obj.GetLabels(), obj.GetAnnotations(), obj.GetDeletionTimestamp())
	}
	return all
}

// objects returns the Deployments of the old controllers, all definitions, and the objects of some kinds.
func (w *world) objects(kinds ...string) map[string]*unstructured.Unstructured {
	w.t.Helper()
	old, err := w.List(w.t.Context(), oldNamespace, "Deployment")
	definitions := &unstructured.UnstructuredList{}
	definitions.SetGroupVersionKind(definition.GroupVersion().WithKind("CustomResourceDefinitionList"))
	lists, errs := []*unstructured.UnstructuredList{old, definitions}, []error{err, w.Client.List(w.t.Context(), definitions)}
	for _, kind := range kinds {
		list, err := w.List(w.t.Context(), w.Namespace, kind)
		lists, errs = append(lists, list), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		w.t.Fatal(err)
	}
	all := map[string]*unstructured.Unstructured{}
	for _, list := range lists {
		for i := range list.Items {
			obj := &list.Items[i]
			all[obj.GetKind()+" "+obj.GetNamespace()+"/"+obj.GetName()] = obj
		}
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
	for _, one := range [][2]string{{"Kustomization", "podinfo"}, {"OCIRepository", "podinfo"}, {"HelmRelease", "chart"}, {"OCIRepository", "chart"}} {
		if suspended, _, _ := unstructured.NestedBool(w.Get(one[0], one[1]).Object, "spec", "suspend"); !suspended {
			w.t.Errorf("%s %s is not suspended", one[0], one[1])
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
	for _, one := range [][2]string{
		{"ComponentVersion", "podinfo"}, {"Resource", "manifests"}, {"Resource", "chart"}, {"Localization", "localized"}, {"FluxDeployer", "podinfo"}, {"FluxDeployer", "chart"},
	} {
		w.Wait(one[0], one[1], e2etest.Ready)
	}
	w.hasNewSnapshots()
	digest := w.pulls("podinfo", "Localization", "localized")
	applied := w.Wait("Kustomization", "podinfo", e2etest.Ready)
	if revision, _, _ := unstructured.NestedString(applied.Object, "status", "lastAppliedRevision"); !strings.HasSuffix(revision, digest) {
		w.t.Errorf("Flux has applied %s, want %s", revision, digest)
	}
	if got := w.inventory(); got != inventory {
		w.t.Errorf("the inventory is %s, want %s", got, inventory)
	}
	digest = w.pulls("chart", "Resource", "chart")
	w.Wait("HelmRelease", "chart", e2etest.Field(digest, "status", "lastAttemptedRevisionDigest"))
	held := w.Get("Kustomization", "held")
	if suspended, _, _ := unstructured.NestedBool(held.Object, "spec", "suspend"); !suspended {
		w.t.Error("what its owner has suspended goes on")
	}
	w.Wait("OCIRepository", "held", e2etest.Ready)
	for name, obj := range w.objects(slices.Concat(fluxKinds, adoptedKinds)...) {
		if obj.GetDeletionTimestamp() != nil || obj.GetAnnotations()["delivery.ocm.software/adopt-suspended"] != "" {
			w.t.Errorf("%s is left over: %v", name, obj.Object["metadata"])
		}
	}
}

// hasNewSnapshots wants each owner to have a Snapshot of the operator, and the old ones to be gone.
func (w *world) hasNewSnapshots() {
	w.t.Helper()
	snapshots, err := w.List(w.t.Context(), w.Namespace, "Snapshot")
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, s := range snapshots.Items {
		names = append(names, s.GetName())
		w.Wait("Snapshot", s.GetName(), e2etest.Ready)
	}
	old := func(name string) bool {
		return slices.Contains([]string{"manifests-x3k9q2a", "localized-b7d2m4z", "chart-p5w8n3c"}, name)
	}
	if slices.ContainsFunc(names, old) || len(names) != 3 {
		w.t.Errorf("Snapshots are %v, want one for each owner and none of the old ones", names)
	}
}

// pulls wants Flux to pull the Snapshot of an object from the registry of the operator, and returns its digest.
func (w *world) pulls(name, kind, owner string) string {
	w.t.Helper()
	current, _, _ := unstructured.NestedString(w.Get(kind, owner).Object, "status", "snapshotName")
	digest, _, _ := unstructured.NestedString(w.Get("Snapshot", current).Object, "status", "manifestDigest")
	source := w.Wait("OCIRepository", name, e2etest.Ready, e2etest.Field(digest, "spec", "ref", "digest"), e2etest.Field("", "spec", "ref", "tag"))
	if at, _, _ := unstructured.NestedString(source.Object, "spec", "url"); !strings.HasPrefix(at, "oci://"+w.Operator.RegistryAddress()+"/") {
		w.t.Errorf("Flux pulls %s, want the registry of the operator", at)
	}
	return digest
}

// helm runs Helm.
func (w *world) helm(args ...string) (string, error) {
	w.t.Helper()
	return w.run(w.helmProgram(), args...)
}

func (w *world) helmProgram() string {
	w.t.Helper()
	cache, err := binaries.Open(binaries.Options{Progress: w.t.Output()})
	if err != nil {
		w.t.Fatal(err)
	}
	program, err := cache.Helm(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return program
}

func (w *world) install() (string, error) {
	w.t.Helper()
	return w.helm("install", "ocm-operator", filepath.Join(w.root, "charts", "ocm-operator"), "--namespace", newNamespace, "--create-namespace", "--force-conflicts")
}

// refusesTheChart wants Helm not to touch definitions that it doesn't own.
func (w *world) refusesTheChart(why string) {
	w.t.Helper()
	w.stays(why+" Helm", func() {
		out, err := w.install()
		if err == nil || !strings.Contains(out, "invalid ownership metadata") {
			w.t.Errorf("%s, Helm says %v: %s", why, err, out)
		}
	})
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
