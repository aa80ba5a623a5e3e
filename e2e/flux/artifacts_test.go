package flux_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/e2e/podinfo"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

func TestMain(m *testing.M) { clustertest.Main(m, cluster.Options{}) }

// imageRegistry is where the images of the sample components are said to be.
const imageRegistry = "ghcr.io/phoban01"

// manifests are the objects of the test. Every interval is long: nothing that it sees comes from polling.
const manifests = `
apiVersion: delivery.ocm.software/v1alpha1
kind: ComponentVersion
metadata:
  name: podinfo
spec:
  interval: 10m0s
  component: phoban.io/podinfo
  repository:
    url: ${REPOSITORY}
  version:
    semver: ">=0.0.0"
---
apiVersion: delivery.ocm.software/v1alpha1
kind: Resource
metadata:
  name: manifests
spec:
  interval: 10m0s
  sourceRef:
    name: podinfo
    resourceRef:
      name: manifests
---
apiVersion: delivery.ocm.software/v1alpha1
kind: FluxDeployer
metadata:
  name: podinfo
spec:
  interval: 10m0s
  waitForReady: true
  sourceRef:
    kind: Resource
    name: manifests
  kustomizationTemplate:
    path: ./
    prune: true
    targetNamespace: ${NAMESPACE}
`

// scene is a cluster whose kustomize-controller has further arguments, with an operator that offers artifacts.
type scene struct {
	*e2etest.Env
	t        *testing.T
	registry *ocmtest.Server
	address  string
}

func newScene(t *testing.T, kustomizeArgs ...string) *scene {
	t.Helper()
	s := &scene{t: t, registry: ocmtest.Start(t), address: freeAddress(t)}
	s.Env = e2etest.Own(t, cluster.Options{ControllerManager: true, Flux: true, KustomizeArgs: kustomizeArgs},
		"--external-artifacts", "--artifact-addr="+s.address, "--artifact-address="+s.address)
	s.publish("6.3.5")
	s.Apply(manifests, "${REPOSITORY}", s.registry.URL+"/phoban01")
	return s
}

// freeAddress is one on loopback that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func (s *scene) publish(version string) {
	s.t.Helper()
	o := podinfo.Options{Version: version, ImageRegistry: imageRegistry}
	if err := podinfo.Publish(s.t.Context(), s.registry.URL+"/phoban01", o, ocm.Options{}); err != nil {
		s.t.Fatal(err)
	}
}

// arrives waits until a version is there, and everybody says so.
func (s *scene) arrives(version string) {
	s.t.Helper()
	s.Wait("FluxDeployer", "podinfo", e2etest.Ready, func(obj *unstructured.Unstructured) error {
		revision, _, err := unstructured.NestedString(obj.Object, "status", "lastAppliedRevision")
		if err == nil && !strings.HasPrefix(revision, version+"@sha256:") {
			err = fmt.Errorf("last applied revision is %q", revision)
		}
		return err
	})
	if err := s.Client.Get(s.t.Context(), client.ObjectKey{Namespace: s.Namespace, Name: "podinfo"}, &appsv1.Deployment{}); err != nil {
		s.t.Errorf("what Flux should have applied: %v", err)
	}
}

func (s *scene) secrets() []string {
	s.t.Helper()
	found := &corev1.SecretList{}
	if err := s.Client.List(s.t.Context(), found, client.InNamespace(s.Namespace)); err != nil {
		s.t.Fatal(err)
	}
	var names []string
	for i := range found.Items {
		names = append(names, found.Items[i].Name)
	}
	return names
}

// events returns what was said about an object, with the revision that it was about.
func (s *scene) events(kind string) []string {
	s.t.Helper()
	found := &corev1.EventList{}
	if err := s.Client.List(s.t.Context(), found, client.InNamespace(s.Namespace)); err != nil {
		s.t.Fatal(err)
	}
	var said []string
	for i := range found.Items {
		if e := &found.Items[i]; e.InvolvedObject.Kind == kind && e.Source.Component == "ocm-controller" {
			said = append(said, e.Reason+" "+e.Message+" "+e.Annotations["source.toolkit.fluxcd.io/revision"])
		}
	}
	return said
}

// TestOpenGate has a kustomize-controller that takes ExternalArtifacts: it needs neither the registry nor a Secret.
func TestOpenGate(t *testing.T) {
	t.Parallel()
	s := newScene(t, "--feature-gates=ExternalArtifact=true")
	s.arrives("6.3.5")
	s.Wait("Kustomization", "podinfo", e2etest.Ready, e2etest.Field("ExternalArtifact", "spec", "sourceRef", "kind"))
	artifact := s.Wait("ExternalArtifact", "podinfo")
	url, _, _ := unstructured.NestedString(artifact.Object, "status", "artifact", "url")
	if !strings.HasPrefix(url, "http://"+s.address+"/"+s.Namespace+"/") {
		t.Errorf("the artifact is at %q", url)
	}
	s.Gone("OCIRepository", "podinfo")
	if names := s.secrets(); len(names) > 0 {
		t.Errorf("there are Secrets %v", names)
	}

	s.publish("6.3.6")
	s.Kubectl("annotate", "cv", "podinfo", "reconcile.fluxcd.io/requestedAt=now")
	s.arrives("6.3.6")
	s.Eventually("the artifact's events tell of both versions", func() error {
		said := s.events("ExternalArtifact")
		for _, version := range []string{"6.3.5", "6.3.6"} {
			if !contains(said, "Succeeded FluxDeployer 'podinfo' has deployed version "+version+" "+version+"@sha256:") {
				return fmt.Errorf("nothing about %s: %q", version, said)
			}
		}
		return nil
	})
	s.Delete("ExternalArtifact", "podinfo")
	s.Eventually("another artifact is made", func() error {
		found := s.Wait("ExternalArtifact", "podinfo")
		if found.GetUID() == artifact.GetUID() {
			return errors.New("it is the one that was deleted")
		}
		return nil
	})
	s.arrives("6.3.6")
}

// TestClosedGate has a kustomize-controller as it is installed: it is asked once, and gets an OCIRepository.
func TestClosedGate(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.arrives("6.3.5")
	s.Wait("Kustomization", "podinfo", e2etest.Ready, e2etest.Field("OCIRepository", "spec", "sourceRef", "kind"))
	s.Gone("ExternalArtifact", "podinfo")
	s.Eventually("the deployer says why", func() error {
		if said := s.events("FluxDeployer"); !contains(said, "FeatureGateDisabled Falling back to an OCIRepository: can't access 'ExternalArtifact/") {
			return fmt.Errorf("it says %q", said)
		}
		return nil
	})
	s.Eventually("the source's events tell of the version", func() error {
		if said := s.events("OCIRepository"); !contains(said, "Succeeded FluxDeployer 'podinfo' has deployed version 6.3.5 6.3.5@sha256:") {
			return fmt.Errorf("they say %q", said)
		}
		return nil
	})
}

func contains(lines []string, part string) bool {
	for _, line := range lines {
		if strings.HasPrefix(line, part) {
			return true
		}
	}
	return false
}
