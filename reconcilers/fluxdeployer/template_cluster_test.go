package fluxdeployer_test

import (
	"encoding/json"
	"strings"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// wholeRelease uses every part of a HelmRelease that there is, so that the server has no default to add.
const wholeRelease = `{
  "releaseName": "app", "targetNamespace": "aside", "storageNamespace": "aside", "maxHistory": 3, "timeout": "3m0s", "serviceAccountName": "deployer",
  "persistentClient": true, "interval": "7m0s",
  "dependsOn": [{"name": "crds", "namespace": "infra"}],
  "values": {"replicas": 2, "nested": {"list": [1, "two", {"three": 3.5}], "empty": {}, "off": false}},
  "valuesFrom": [
    {"kind": "ConfigMap", "name": "shared", "optional": true},
    {"kind": "Secret", "name": "private", "valuesKey": "password", "targetPath": "auth.password"}
  ],
  "install": {"crds": "CreateReplace", "createNamespace": true, "strategy": {"name": "RetryOnFailure", "retryInterval": "30s"}},
  "upgrade": {"cleanupOnFail": true, "crds": "CreateReplace", "strategy": {"name": "RemediateOnFailure"}, "remediation": {"retries": 2, "strategy": "rollback"}},
  "rollback": {"cleanupOnFail": true}, "uninstall": {"keepHistory": false, "deletionPropagation": "foreground"}, "test": {"enable": true},
  "driftDetection": {"mode": "enabled", "ignore": [{"paths": ["/spec/replicas"], "target": {"kind": "Deployment"}}]},
  "postRenderers": [{"kustomize": {
    "patches": [{"target": {"kind": "Deployment", "name": "app"}, "patch": "- op: add\n  path: /metadata/labels/a\n  value: b\n"}],
    "images": [{"name": "app", "newTag": "2"}]
  }}],
  "chart": {"spec": {"chart": "app", "sourceRef": {"kind": "HelmRepository", "name": "elsewhere"}}},
  "chartRef": {"kind": "HelmChart", "name": "elsewhere"}
}`

// passesWholeTemplates has the server check what is made of a template against the schema of Flux.
func passesWholeTemplates(s *server) {
	s.deployer.Spec.KustomizationTemplate, s.deployer.Spec.HelmReleaseTemplate = nil, template(wholeRelease)
	s.create(s.deployer)
	s.eventually("the release is accepted", s.says("Ready", "True Succeeded"))
	var want map[string]any
	if err := json.Unmarshal([]byte(wholeRelease), &want); err != nil {
		s.t.Fatal(err)
	}
	delete(want, "chart")
	want["chartRef"] = map[string]any{"kind": "OCIRepository", "name": "app"}
	got, ok := plain(s, s.flux(helmRelease).Object["spec"]).(map[string]any)
	if !ok {
		s.t.Fatal("the release has no spec")
	}
	for field, value := range want {
		if diff := cmp.Diff(value, got[field]); diff != "" {
			s.t.Errorf("%s of the release (-want +got):\n%s", field, diff)
		}
	}
	for field := range got {
		if _, ok := want[field]; !ok {
			s.t.Errorf("the release has %s, which the template has not", field)
		}
	}
	version := s.flux(helmRelease).GetResourceVersion()
	s.change(s.deployer, func() { s.deployer.SetAnnotations(map[string]string{"reconcile.fluxcd.io/requestedAt": "now"}) })
	s.eventually("the request is handled", func() bool {
		return s.Get(s.t.Context(), client.ObjectKeyFromObject(s.deployer), s.deployer) == nil && s.deployer.Status.LastHandledReconcileAt == "now"
	})
	if s.flux(helmRelease).GetResourceVersion() != version {
		s.t.Error("a release that is in place was written again")
	}
}

func plain(s *server, v any) any {
	s.t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		s.t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(raw, &out); err != nil {
		s.t.Fatal(err)
	}
	return out
}

// saysWhatIsRefused has templates that this version of Flux doesn't take. A newer one may: the template is passed on as it
// is, and nothing of it is lost without a word.
func saysWhatIsRefused(s *server) {
	const reason = v1alpha1.CreateOrUpdateKustomizationFailedReason
	s.deployer.Spec.KustomizationTemplate = template(`{"prune":true,"path":"./one","someday":{"a":"b"}}`)
	s.create(s.deployer)
	for part, change := range map[string]*apiextensionsv1.JSON{
		".spec.someday":      template(`{"prune":true,"path":"./one","someday":{"a":"b"}}`),
		"spec.prune":         template(`{"prune":"perhaps"}`),
		"spec.retryInterval": template(`{"prune":true,"retryInterval":"soon"}`),
	} {
		s.change(s.deployer, func() { s.deployer.Spec.KustomizationTemplate = change })
		s.eventually("the server's words about "+part+" are shown", func() bool {
			return s.says("Ready", "False "+reason)() && strings.Contains(reconcilertest.Message(s.deployer, "Ready"), part)
		})
	}
	if s.flux(kustomization) != nil {
		s.t.Error("something of a refused template was applied")
	}
	s.change(s.deployer, func() { s.deployer.Spec.KustomizationTemplate = template(`{"prune":true}`) })
	s.eventually("a template that is right is applied", s.says("Ready", "True Succeeded"))
}

// isNotHeldUp has a Kustomization that can't go, because nobody removes its finalizer.
func isNotHeldUp(s *server) {
	s.create(s.deployer)
	s.eventually("the deployer is ready", s.says("Ready", "True Succeeded"))
	stuck := s.flux(kustomization)
	hold := func(finalizers string) {
		if err := s.Patch(s.t.Context(), stuck, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":`+finalizers+`}}`))); err != nil {
			s.t.Fatal(err)
		}
	}
	hold(`["example.com/held"]`)
	if err := s.Delete(s.t.Context(), stuck); err != nil {
		s.t.Fatal(err)
	}
	s.eventually("the deployer says what it waits for", func() bool {
		return s.says("Reconciling", "True "+v1alpha1.CreateOrUpdateKustomizationFailedReason)() &&
			strings.Contains(reconcilertest.Message(s.deployer, "Reconciling"), "finalizers")
	})
	next := "sha256:" + sum('2')
	s.deliver("1.1.0", next)
	s.eventually("the other object follows the source", func() bool {
		digest, _, _ := unstructured.NestedString(s.flux(ociRepository).Object, "spec", "ref", "digest")
		return digest == next
	})
	s.change(s.deployer, func() {
		s.deployer.Spec.KustomizationTemplate, s.deployer.Spec.HelmReleaseTemplate = nil, template(`{"values":{}}`)
	})
	s.eventually("another template doesn't wait for it", s.says("Ready", "True Succeeded"))
	if s.flux(helmRelease) == nil || s.flux(kustomization) == nil {
		s.t.Error("want the release there, and what is held back still held back")
	}
	s.change(s.deployer, func() {
		s.deployer.Spec.KustomizationTemplate, s.deployer.Spec.HelmReleaseTemplate = template(`{"prune":true,"path":"./three"}`), nil
	})
	s.eventually("the object is in the way again", s.says("Reconciling", "True "+v1alpha1.CreateOrUpdateKustomizationFailedReason))
	hold(`null`)
	s.eventually("it is made again when it is gone", s.spec("path", "./three"))
	s.eventually("the deployer is ready", s.says("Ready", "True Succeeded"))
}
