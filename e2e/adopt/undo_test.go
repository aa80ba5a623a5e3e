package adopt_test

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// lasting returns what an object is, without what others say about it, and what counts how often it was written.
func lasting(obj *unstructured.Unstructured) map[string]any {
	out := obj.DeepCopy().Object
	for _, field := range []string{"resourceVersion", "generation", "managedFields"} {
		unstructured.RemoveNestedField(out, "metadata", field)
	}
	delete(out, "status")
	return out
}

// everything returns what the script may touch, with all that is beside it: definitions, objects of users and of the old
// controllers, and what was delivered.
func (w *world) everything() map[string]map[string]any {
	w.t.Helper()
	all := map[string]map[string]any{}
	for name, obj := range w.objects(slices.Concat(adoptedKinds, fluxKinds, delivered, []string{"Sync", "Secret"})...) {
		all[name] = lasting(obj)
	}
	return all
}

// goesBack takes back what prepare has done, as if nothing had been, and lets Flux deliver.
func (w *world) goesBack(before map[string]map[string]any) {
	w.t.Helper()
	w.changesNothing("--dry-run", "undo")
	w.mustAdopt("undo")
	w.isDone("undo")
	if diff := cmp.Diff(before, w.everything()); diff != "" {
		w.t.Errorf("undo has not put everything back (-before +after):\n%s", diff)
	}
	w.flows()
	w.refusesTheChart("after the definitions were taken back")
}

// comesBack removes the operator after it has taken over, gives the old controllers the time to write as they always do, and installs
// it again. What was delivered does not notice; TestAdoption looks for that at its end.
func (w *world) comesBack(before map[string]map[string]any) {
	w.t.Helper()
	w.stays("undo beside the operator", func() {
		out, err := w.adopt("undo")
		if err == nil || !strings.Contains(out, "run helm uninstall first") {
			w.t.Errorf("undo says beside the operator: %v\n%s", err, out)
		}
	})
	if err := w.Operator.Stop(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	if out, err := w.helm("uninstall", "ocm-operator", "--namespace", newNamespace, "--wait", "--cascade=foreground"); err != nil {
		w.t.Fatalf("helm uninstall: %v\n%s", err, out)
	}
	w.mustAdopt("undo")
	w.isDone("undo")
	w.isBack(before)
	w.refusesTheChart("after the operator was removed")
	w.writeAsBefore(before)
	w.mustAdopt("prepare")
	w.isPrepared()
	w.installChart()
	if err := w.Operator.Restart(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.isTaken()
}

// isBack wants the old controllers to run, and the objects of Flux to be theirs as before: all but what they write anew themselves.
func (w *world) isBack(before map[string]map[string]any) {
	w.t.Helper()
	for name, obj := range w.objects(fluxKinds...) {
		want, got := before[name], lasting(obj)
		switch {
		case obj.GetKind() == definition.Kind:
			continue // it is that of the chart
		case slices.Contains(fluxKinds, obj.GetKind()):
			want, got = held(want), held(got)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			w.t.Errorf("undo has not put %s back (-before +after):\n%s", name, diff)
		}
	}
}

// held returns what the old controllers never write of an object of Flux: what it is, and whether it is suspended.
func held(obj map[string]any) map[string]any {
	suspended, _, _ := unstructured.NestedBool(obj, "spec", "suspend")
	return map[string]any{"metadata": obj["metadata"], "suspended": suspended}
}

// writeAsBefore writes the objects of Flux as the old controllers do, who make their whole spec from the FluxDeployer.
func (w *world) writeAsBefore(before map[string]map[string]any) {
	w.t.Helper()
	for name, obj := range w.objects(fluxKinds...) {
		if !slices.Contains(fluxKinds, obj.GetKind()) {
			continue
		}
		patch, err := json.Marshal([]map[string]any{{"op": "replace", "path": "/spec", "value": before[name]["spec"]}})
		if err != nil {
			w.t.Fatal(err)
		}
		if err := w.Client.Patch(w.t.Context(), obj, client.RawPatch(types.JSONPatchType, patch), client.FieldOwner("manager")); err != nil {
			w.t.Fatal(err)
		}
	}
}
