package adopt_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// helmChart returns a chart as the old registry has it.
func helmChart(t *testing.T) ocmtest.Artifact {
	t.Helper()
	archive, err := ocmtest.Tar(
		ocmtest.File{Name: "podinfo/Chart.yaml", Content: []byte("apiVersion: v2\nname: podinfo\nversion: " + version + "\n")},
		ocmtest.File{Name: "podinfo/values.yaml", Content: []byte("replicas: 1\n")},
		ocmtest.File{Name: "podinfo/templates/config.yaml", Content: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: released}\ndata: {replicas: {{ .Values.replicas | quote }}}\n")},
	)
	if err != nil {
		t.Fatal(err)
	}
	return ocmtest.Chart("podinfo", version, packed(t, archive))
}

// release says of HelmReleases what helm-controller says, which can't be had: it has released the chart that the source has. One
// that is suspended is left alone.
func (w *world) release(ctx context.Context) error {
	list, err := w.List(ctx, w.Namespace, "HelmRelease")
	for i := range list.Items {
		obj := &list.Items[i]
		source := &unstructured.Unstructured{}
		source.SetGroupVersionKind(e2etest.GVK("OCIRepository"))
		if missing := w.Client.Get(ctx, client.ObjectKeyFromObject(obj), source); missing != nil || e2etest.Ready(source) != nil {
			err = errors.Join(err, client.IgnoreNotFound(missing))
			continue
		}
		revision, _, _ := unstructured.NestedString(source.Object, "status", "artifact", "revision")
		digest := revision[strings.LastIndex(revision, "@")+1:]
		released := errors.Join(e2etest.Ready(obj), e2etest.Field(digest, "status", "lastAttemptedRevisionDigest")(obj)) == nil
		if suspended, _, _ := unstructured.NestedBool(obj.Object, "spec", "suspend"); suspended || released {
			continue
		}
		err = errors.Join(err, w.upgraded(ctx, obj, digest))
	}
	return err
}

// upgraded writes into a HelmRelease that a chart was released.
func (w *world) upgraded(ctx context.Context, obj *unstructured.Unstructured, digest string) error {
	conditions := []metav1.Condition{}
	meta.SetStatusCondition(&conditions, metav1.Condition{Type: "Ready", Status: metav1.ConditionTrue, Reason: "UpgradeSucceeded", Message: "Helm upgrade succeeded", ObservedGeneration: obj.GetGeneration()})
	patch, err := json.Marshal(map[string]any{"status": map[string]any{
		"observedGeneration": obj.GetGeneration(), "lastAttemptedGeneration": obj.GetGeneration(), "lastAttemptedRevisionDigest": digest, "conditions": conditions,
	}})
	if err != nil {
		return err
	}
	return w.Client.Status().Patch(ctx, obj, client.RawPatch(types.MergePatchType, patch), client.FieldOwner("helm-controller"))
}

// isReleased wants a HelmRelease to be the object that the old controllers have left: nobody has made it again, it has the same owner,
// labels and finalizers, says what its template says, and helm-controller finds there what it has released before.
func (w *world) isReleased(before *unstructured.Unstructured) {
	w.t.Helper()
	after := w.Wait("HelmRelease", before.GetName(), e2etest.Ready)
	history := func(obj *unstructured.Unstructured) any {
		entries, _, err := unstructured.NestedSlice(obj.Object, "status", "history")
		if err != nil || len(entries) != 1 {
			w.t.Errorf("the history is %v, %v", entries, err)
		}
		return entries
	}
	if diff := cmp.Diff(history(before), history(after)); diff != "" {
		w.t.Errorf("the history of the HelmRelease has changed (-before +after):\n%s", diff)
	}
	want, got := lasting(before), lasting(after)
	// It is that of the object itself.
	unstructured.RemoveNestedField(want, "spec", "chartRef", "namespace")
	unstructured.RemoveNestedField(got, "metadata", "annotations")
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("the HelmRelease has changed (-before +after):\n%s", diff)
	}
	if annotations := after.GetAnnotations(); len(annotations) != 1 || annotations[appliedDigest] == "" {
		w.t.Errorf("the annotations of the HelmRelease are %v, want nothing but the operator's", annotations)
	}
}
