package fluxdeployer_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/reconcilers/fluxdeployer"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

var externalArtifact = schema.GroupVersionKind{Group: "source.toolkit.fluxcd.io", Version: "v1", Kind: "ExternalArtifact"}

const (
	probeNamespace = "ocm-system"
	probeName      = "ocm-operator-external-artifact-probe"
	gateIsClosed   = "can't access 'ExternalArtifact/x', ExternalArtifact feature gate is disabled"
)

// shelf has the content of every snapshot: an archive, a chart where the repository says so.
func shelf(_ context.Context, repository, manifest string) (fluxdeployer.Artifact, error) {
	a := fluxdeployer.Artifact{URL: "http://artifacts.example.com/" + repository, Path: repository, Digest: manifest, Size: 7, MediaType: snapshot.MediaTypeDirectory}
	switch manifest {
	case "sha256:" + sum('c'):
		a.MediaType = snapshot.MediaTypeChart
	case "sha256:" + sum('f'):
		a.MediaType = "application/json"
	}
	return a, nil
}

// TestExternalArtifacts has a cluster of its own, because its operator has the flag, and the gates of Flux are closed first.
func TestExternalArtifacts(t *testing.T) {
	t.Parallel()
	all := newServer(t, clustertest.Start(t, cluster.Options{}).Config(), fluxdeployer.Artifacts{Find: shelf, Namespace: probeNamespace})
	all.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: probeNamespace}})
	all.installFlux()
	all.scene(t).staysWithRepositories()
	// The gate of the other controller is open.
	open := all.scene(t)
	open.getsChart()
	all.scene(t).staysForContent()
	open.fallsBack()
}

// answer says something about an object in the place of a controller.
func (s *server) answer(gvk schema.GroupVersionKind, key client.ObjectKey, reason, message string) {
	s.t.Helper()
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(gvk)
	s.eventually(gvk.Kind+" "+key.String()+" is there", func() bool {
		err := s.Get(s.t.Context(), key, obj)
		if err != nil && !apierrors.IsNotFound(err) {
			s.t.Fatal(err)
		}
		return err == nil
	})
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"observedGeneration": obj.GetGeneration(), "conditions": []any{map[string]any{
		"type": "Ready", "status": "False", "reason": reason, "message": message, "lastTransitionTime": "2030-01-01T00:00:00Z",
	}}}})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := client.IgnoreNotFound(s.Status().Patch(s.t.Context(), obj, client.RawPatch(types.MergePatchType, patch))); err != nil {
		s.t.Fatal(err)
	}
}

// artifact returns what an ExternalArtifact says, without its time.
func (s *server) artifact() map[string]any {
	obj := s.flux(externalArtifact)
	if obj == nil {
		return nil
	}
	artifact, _, _ := unstructured.NestedMap(obj.Object, "status", "artifact")
	delete(artifact, "lastUpdateTime")
	return artifact
}

func (s *server) source(gvk schema.GroupVersionKind, field string) string {
	obj := s.flux(gvk)
	if obj == nil {
		return ""
	}
	kind, _, _ := unstructured.NestedString(obj.Object, "spec", field, "kind")
	return kind
}

// staysWithRepositories has a kustomize-controller whose gate is closed.
func (s *server) staysWithRepositories() {
	s.create(s.deployer)
	s.answer(kustomization, client.ObjectKey{Namespace: probeNamespace, Name: probeName}, "AccessDenied", gateIsClosed)
	s.eventually("the deployer is ready", s.says("Ready", "True Succeeded"))
	if s.source(kustomization, "sourceRef") != "OCIRepository" || s.flux(externalArtifact) != nil || s.deployer.Status.ExternalArtifact != "" {
		s.t.Errorf("status is %+v, want an OCIRepository", s.deployer.Status)
	}
	s.eventually("what was asked by is gone", func() bool {
		probe := &unstructured.Unstructured{}
		probe.SetGroupVersionKind(kustomization)
		return apierrors.IsNotFound(s.Get(s.t.Context(), client.ObjectKey{Namespace: probeNamespace, Name: probeName}, probe))
	})
}

// getsChart has a helm-controller whose gate is open.
func (s *server) getsChart() {
	chart := "sha256:" + sum('c')
	s.deliver("1.0.0", chart)
	s.deployer.Spec.KustomizationTemplate, s.deployer.Spec.HelmReleaseTemplate = nil, template(`{"values":{"a":1}}`)
	s.create(s.deployer)
	s.answer(helmRelease, client.ObjectKey{Namespace: probeNamespace, Name: probeName}, "SourceNotReady", "could not get Source object: not found")
	s.eventually("the deployer is ready", s.says("Ready", "True Succeeded"))
	repository := s.namespace + "/" + snapshot.Name("Resource", "manifests")
	want := map[string]any{
		"url": "http://artifacts.example.com/" + repository, "path": repository, "revision": chart, "digest": chart, "size": int64(7),
	}
	if diff := cmp.Diff(want, s.artifact()); diff != "" {
		s.t.Errorf("artifact (-want +got):\n%s", diff)
	}
	if s.source(helmRelease, "chartRef") != "ExternalArtifact" || s.flux(ociRepository) != nil || s.hasSecret() {
		s.t.Error("want a release of the artifact, and neither an OCIRepository nor Secrets")
	}
	if s.deployer.Status.ExternalArtifact != s.namespace+"/app" || s.deployer.Status.OCIRepository != "" {
		s.t.Errorf("status is %+v", s.deployer.Status)
	}

	obj := s.flux(externalArtifact)
	if err := s.Status().Patch(s.t.Context(), obj, client.RawPatch(types.MergePatchType, []byte(`{"status":{"artifact":{"url":"http://elsewhere.example.com"}}}`))); err != nil {
		s.t.Fatal(err)
	}
	s.eventually("an artifact that leads elsewhere is repaired", func() bool { return cmp.Equal(want, s.artifact()) })
	if err := s.Delete(s.t.Context(), obj); err != nil {
		s.t.Fatal(err)
	}
	s.eventually("an artifact that somebody deleted is made again", func() bool { return cmp.Equal(want, s.artifact()) })
}

func (s *server) hasSecret() bool {
	found := &corev1.SecretList{}
	if err := s.List(s.t.Context(), found, client.InNamespace(s.namespace)); err != nil {
		s.t.Fatal(err)
	}
	return len(found.Items) > 0
}

// fallsBack has the gate closed while a release is there.
func (s *server) fallsBack() {
	s.answer(helmRelease, client.ObjectKeyFromObject(s.deployer), "AccessDenied", gateIsClosed)
	s.eventually("the release reads from an OCIRepository", func() bool { return s.source(helmRelease, "chartRef") == "OCIRepository" })
	s.eventually("the artifact is gone", func() bool { return s.flux(externalArtifact) == nil })
	ready := s.says("Ready", "True Succeeded")
	s.eventually("the deployer is ready, and says what it has", func() bool {
		return ready() && s.deployer.Status.ExternalArtifact == "" && s.deployer.Status.OCIRepository != ""
	})
	if !s.hasSecret() {
		s.t.Error("there are no Secrets by which Flux could read it")
	}
}

// staysForContent has content that Flux can't unpack, whatever its gates.
func (s *server) staysForContent() {
	s.deliver("1.0.0", "sha256:"+sum('f'))
	s.deployer.Spec.KustomizationTemplate, s.deployer.Spec.HelmReleaseTemplate = nil, template(`{}`)
	s.create(s.deployer)
	s.eventually("the deployer is ready", s.says("Ready", "True Succeeded"))
	if s.source(helmRelease, "chartRef") != "OCIRepository" || s.flux(externalArtifact) != nil {
		s.t.Error("there is an artifact of it")
	}
}
