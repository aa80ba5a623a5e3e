package fluxdeployer

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
)

func entry(manager string, operation metav1.ManagedFieldsOperationType, subresource, fields string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{
		Manager: manager, Operation: operation, APIVersion: "v1", FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(fields), Subresource: subresource,
	}
}

func TestMoveSpec(t *testing.T) {
	t.Parallel()
	const update, apply = metav1.ManagedFieldsOperationUpdate, metav1.ManagedFieldsOperationApply
	older := func(e metav1.ManagedFieldsEntry) bool { return e.Manager == "manager" }
	for name, tc := range map[string]struct {
		given, want []string
		moved       bool
		reason      string
	}{
		"nothing of theirs": {
			[]string{`kubectl Update  {"f:spec":{"f:a":{}}}`}, []string{`kubectl Update  {"f:spec":{"f:a":{}}}`}, false, "what a user has set stays the user's",
		},
		"theirs alone": {
			[]string{`manager Update  {"f:spec":{"f:a":{}}}`}, []string{`ocm-controller Apply  {"f:spec":{"f:a":{}}}`}, true, "the field goes when the template hasn't it",
		},
		"more than the spec": {
			[]string{`manager Update  {"f:metadata":{"f:labels":{"f:x":{}}},"f:spec":{".":{},"f:a":{}}}`},
			[]string{`manager Update  {"f:metadata":{"f:labels":{"f:x":{}}}}`, `ocm-controller Apply  {"f:spec":{".":{},"f:a":{}}}`},
			true, "labels are none of the template",
		},
		"joined with ours": {
			[]string{`ocm-controller Apply  {"f:spec":{"f:a":{"f:b":{}}}}`, `manager Update  {"f:spec":{"f:a":{"f:c":{}},"f:d":{}}}`},
			[]string{`ocm-controller Apply  {"f:spec":{"f:a":{"f:b":{},"f:c":{}},"f:d":{}}}`},
			true, "a field may be in two sets",
		},
		"status": {
			[]string{`manager Update status {"f:spec":{"f:a":{}}}`}, []string{`manager Update status {"f:spec":{"f:a":{}}}`}, false, "a subresource is written by others",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, moved, err := moveSpec(entries(tc.given), "v1", older)
			if err != nil || moved != tc.moved {
				t.Fatalf("moved is %t, error %v", moved, err)
			}
			if diff := cmp.Diff(entries(tc.want), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
	if _, _, err := moveSpec([]metav1.ManagedFieldsEntry{entry("manager", update, "", "{")}, "v1", older); err == nil {
		t.Error("fields that can't be read are passed over")
	}
	if entries([]string{"a Apply  {}"})[0].Operation != apply {
		t.Error("the operation is lost")
	}
}

// entries makes entries of lines such as "manager Update status {...}".
func entries(lines []string) []metav1.ManagedFieldsEntry {
	var out []metav1.ManagedFieldsEntry
	for _, line := range lines {
		var part [4]string
		n := 0
		for i := range len(line) {
			if line[i] == ' ' && n < 3 {
				n++
				continue
			}
			part[n] += line[i : i+1]
		}
		out = append(out, entry(part[0], metav1.ManagedFieldsOperationType(part[1]), part[2], part[3]))
	}
	return out
}

func TestFormerChild(t *testing.T) {
	t.Parallel()
	owner := deployerObject()
	owner.UID = "new"
	ref := func(kind, name string) metav1.OwnerReference {
		return metav1.OwnerReference{APIVersion: v1alpha1.GroupVersion.Group + "/v1", Kind: kind, Name: name, UID: "old"}
	}
	ours := entry(v1alpha1.ControllerName, "Apply", "", `{"f:metadata":{"f:annotations":{"f:delivery.ocm.software/applied-digest":{}}}}`)
	for name, tc := range map[string]struct {
		owners []metav1.OwnerReference
		fields []metav1.ManagedFieldsEntry
		want   bool
		reason string
	}{
		"nobody's":                   {nil, nil, false, "a user made it"},
		"an earlier deployer's":      {[]metav1.OwnerReference{ref("FluxDeployer", "app")}, nil, true, "whatever version of the API it had"},
		"of another name":            {[]metav1.OwnerReference{ref("FluxDeployer", "web")}, nil, false, "it has a deployer"},
		"of another kind":            {[]metav1.OwnerReference{ref("Snapshot", "app")}, nil, false, "the kind counts"},
		"orphaned":                   {nil, []metav1.ManagedFieldsEntry{ours}, true, "only we write that mark"},
		"orphaned, then somebody's":  {[]metav1.OwnerReference{ref("Snapshot", "x")}, []metav1.ManagedFieldsEntry{ours}, false, "it was given away"},
		"the mark copied by a user":  {nil, []metav1.ManagedFieldsEntry{entry("kubectl", "Update", "", ours.FieldsV1.GetRawString())}, false, "a copy of our object is the user's"},
		"something else of our name": {nil, []metav1.ManagedFieldsEntry{entry(v1alpha1.ControllerName, "Update", "", `{"f:spec":{}}`)}, false, "the older controller's name alone proves nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			obj := &unstructured.Unstructured{Object: map[string]any{}}
			obj.SetOwnerReferences(tc.owners)
			obj.SetManagedFields(tc.fields)
			if got := formerChild(owner, obj); got != tc.want {
				t.Errorf("former child is %t, want %t: %s", got, tc.want, tc.reason)
			}
		})
	}
}

func TestKeeper(t *testing.T) {
	t.Parallel()
	yes := true
	for want, change := range map[string]func(*unstructured.Unstructured){
		"": func(*unstructured.Unstructured) {},
		"App theirs": func(u *unstructured.Unstructured) {
			u.SetOwnerReferences([]metav1.OwnerReference{{Kind: "App", Name: "theirs", Controller: &yes}})
		},
		"Kustomization infra/apps": func(u *unstructured.Unstructured) {
			u.SetLabels(map[string]string{"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "infra"})
		},
		"HelmRelease infra/apps": func(u *unstructured.Unstructured) {
			u.SetLabels(map[string]string{"helm.toolkit.fluxcd.io/name": "apps", "helm.toolkit.fluxcd.io/namespace": "infra"})
		},
		"Helm release infra/apps": func(u *unstructured.Unstructured) {
			u.SetAnnotations(map[string]string{"meta.helm.sh/release-name": "apps", "meta.helm.sh/release-namespace": "infra"})
		},
		"Argo CD application apps:x": func(u *unstructured.Unstructured) {
			u.SetAnnotations(map[string]string{"argocd.argoproj.io/tracking-id": "apps:x"})
		},
	} {
		obj := &unstructured.Unstructured{Object: map[string]any{}}
		change(obj)
		if got := keeper(obj); got != want {
			t.Errorf("keeper is %q, want %q", got, want)
		}
	}
}
