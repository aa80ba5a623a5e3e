package chartcheck

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
)

const (
	readyTimeout = 30 * time.Second
	readyPoll    = 50 * time.Millisecond
)

// server is an API server with the kinds of the chart, and those of others that the chart has objects of.
type server struct {
	config *rest.Config
	client client.Client
	// accepted are objects that were applied without being stored.
	accepted map[string]bool
}

// prepared is the one server of this package. Tests have no other place to hand it to each other.
var prepared struct {
	sync.Mutex

	server *server
}

func newServer(tb testing.TB) *server {
	tb.Helper()
	config := clustertest.APIServer(tb)
	prepared.Lock()
	defer prepared.Unlock()
	if prepared.server != nil {
		return prepared.server
	}
	scheme := runtime.NewScheme()
	utilruntime.Must(corev1.AddToScheme(scheme))
	utilruntime.Must(apiextensionsv1.AddToScheme(scheme))
	kubernetes, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		tb.Fatal(err)
	}
	s := &server{config: config, client: kubernetes, accepted: map[string]bool{}}
	s.define(tb)
	s.namespace(tb, namespace)
	prepared.server = s
	return s
}

// define creates the kinds: those of the chart as it has them, and those of others as far as the chart uses them.
func (s *server) define(tb testing.TB) {
	tb.Helper()
	definitions := mustRender(tb)
	files, err := filepath.Glob("testdata/crds/*.yaml")
	if err != nil || len(files) == 0 {
		tb.Fatalf("found no definitions of others (%v)", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		definitions = append(definitions, decode(tb, string(content))...)
	}
	for _, obj := range definitions {
		if obj.GetKind() != "CustomResourceDefinition" {
			continue
		}
		if err := s.apply(tb.Context(), obj, client.ForceOwnership); err != nil {
			tb.Fatal(err)
		}
		s.awaitServed(tb, obj.GetName())
	}
}

func (s *server) awaitServed(tb testing.TB, name string) {
	tb.Helper()
	err := wait.PollUntilContextTimeout(tb.Context(), readyPoll, readyTimeout, true, func(ctx context.Context) (bool, error) {
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := s.client.Get(ctx, client.ObjectKey{Name: name}, crd); err != nil {
			return false, err
		}
		for _, condition := range crd.Status.Conditions {
			if condition.Type == apiextensionsv1.Established && condition.Status == apiextensionsv1.ConditionTrue {
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		tb.Fatalf("wait until %s is served: %v", name, err)
	}
}

// namespace creates a namespace that takes pods of the profile "restricted" only.
func (s *server) namespace(tb testing.TB, name string) {
	tb.Helper()
	created := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
		"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "latest",
		"pod-security.kubernetes.io/warn": "restricted", "pod-security.kubernetes.io/warn-version": "latest",
	}}}
	if err := s.client.Create(tb.Context(), created); err != nil && !apierrors.IsAlreadyExists(err) {
		tb.Fatalf("create namespace %s: %v", name, err)
	}
}

// apply applies an object as helm does, and refuses fields that the API server does not know.
func (s *server) apply(ctx context.Context, obj *unstructured.Unstructured, options ...client.ApplyOption) error {
	options = append(options, client.FieldOwner("helm"))
	strict := client.WithFieldValidation(s.client, client.FieldValidation(metav1.FieldValidationStrict))
	if err := strict.Apply(ctx, client.ApplyConfigurationFromUnstructured(obj.DeepCopy()), options...); err != nil {
		return fmt.Errorf("apply %s: %w", describe(obj), err)
	}
	return nil
}

// TestScenarios renders the chart with the values of each scenario and shows the result to kubeconform and to the API server.
func TestScenarios(t *testing.T) {
	s := newServer(t)
	tools, err := openCache(t).ChartTools(t.Context())
	if err != nil {
		t.Fatalf("find kubeconform: %v", err)
	}
	schemas := newOpenAPI(t, s.config)
	tried := scenarios(t)
	tried["defaults"] = ""
	for name, file := range tried {
		t.Run(name, func(t *testing.T) {
			var args []string
			if file != "" {
				args = []string{"--values", file}
			}
			out, err := render(t, args...)
			if err != nil {
				t.Fatal(err)
			}
			objects := decode(t, out)
			for _, obj := range objects {
				if err := schemas.add(t.Context(), obj.GroupVersionKind()); err != nil {
					t.Errorf("%s: %v", describe(obj), err)
				}
				s.accepts(t, obj)
			}
			rendered := filepath.Join(t.TempDir(), "rendered.yaml")
			if err := os.WriteFile(rendered, []byte(out), 0o600); err != nil {
				t.Fatal(err)
			}
			conforms(t, tools.Kubeconform, schemas.dir, rendered, len(objects))
			unique(t, objects)
		})
	}
}

// accepts applies an object without storing it, and the pod of a workload for itself: only pods are refused for what they may do.
func (s *server) accepts(t *testing.T, obj *unstructured.Unstructured) {
	t.Helper()
	namespaced, err := s.client.IsObjectNamespaced(obj)
	if err != nil {
		t.Errorf("%s: %v", describe(obj), err)
		return
	}
	if obj = obj.DeepCopy(); namespaced && obj.GetNamespace() == "" {
		obj.SetNamespace(namespace) // as helm does
	}
	content, err := obj.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if s.accepted[string(content)] {
		return // in another scenario: the same definitions are in all of them
	}
	if namespaced {
		s.namespace(t, obj.GetNamespace())
	}
	if err := s.apply(t.Context(), obj, client.DryRunAll, client.ForceOwnership); err != nil {
		t.Error(err)
		return
	}
	if pod := podOf(t, obj); pod != nil {
		if err := s.apply(t.Context(), pod, client.DryRunAll, client.ForceOwnership); err != nil {
			t.Errorf("the pod of %s: %v", describe(obj), err)
			return
		}
	}
	s.accepted[string(content)] = true
}

// podOf returns the pod that a workload makes, or nil.
func podOf(t *testing.T, obj *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	template, found, err := unstructured.NestedMap(obj.Object, "spec", "template")
	if err != nil || !found {
		return nil
	}
	pod := &unstructured.Unstructured{Object: template}
	pod.SetAPIVersion("v1")
	pod.SetKind("Pod")
	pod.SetName(obj.GetName())
	pod.SetNamespace(obj.GetNamespace())
	volumes, _, err := unstructured.NestedSlice(pod.Object, "spec", "volumes")
	if err != nil {
		t.Fatalf("%s: %v", describe(obj), err)
	}
	claims, _, err := unstructured.NestedSlice(obj.Object, "spec", "volumeClaimTemplates")
	if err != nil {
		t.Fatalf("%s: %v", describe(obj), err)
	}
	for _, claim := range claims {
		name, _, err := unstructured.NestedString(claim.(map[string]any), "metadata", "name")
		if err != nil {
			t.Fatalf("%s: %v", describe(obj), err)
		}
		volumes = append(volumes, map[string]any{"name": name, "persistentVolumeClaim": map[string]any{"claimName": name}})
	}
	if err := unstructured.SetNestedSlice(pod.Object, volumes, "spec", "volumes"); err != nil {
		t.Fatalf("%s: %v", describe(obj), err)
	}
	return pod
}

// conforms runs kubeconform, which must know all of the objects.
func conforms(t *testing.T, kubeconform, dir, rendered string, objects int) {
	t.Helper()
	out, err := program(t, kubeconform, "-strict", "-summary", "-schema-location", filepath.Join(dir, location), rendered)
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if want := fmt.Sprintf("Summary: %d resources found in 1 file - Valid: %d, Invalid: 0, Errors: 0, Skipped: 0", objects, objects); !strings.Contains(out, want) {
		t.Errorf("got %q, want %q", out, want)
	}
}

// unique holds that no two objects are the same one.
func unique(t *testing.T, objects []*unstructured.Unstructured) {
	t.Helper()
	seen := map[string]bool{}
	for _, obj := range objects {
		key := obj.GroupVersionKind().GroupKind().String() + " " + describe(obj)
		if seen[key] {
			t.Errorf("%s is there twice", key)
		}
		seen[key] = true
	}
}

// TestServerRefuses proves that the server which accepts the chart refuses something at all.
func TestServerRefuses(t *testing.T) {
	s := newServer(t)
	tests := map[string]struct {
		reason, object, want string
	}{
		"root": {
			reason: "the profile is enforced",
			object: `{apiVersion: v1, kind: Pod, metadata: {name: x, namespace: ocm-system}, spec: {containers: [{name: x, image: x}]}}`,
			want:   `violates PodSecurity "restricted:latest"`,
		},
		"field": {
			reason: "fields are validated strictly",
			object: `{apiVersion: v1, kind: ConfigMap, metadata: {name: x, namespace: ocm-system}, dta: {}}`,
			want:   "field not declared in schema",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := s.apply(t.Context(), decode(t, test.object)[0], client.DryRunAll)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q in it: %s", err, test.want, test.reason)
			}
		})
	}
}

// TestSchemasRefuse proves the same of the schemas that kubeconform is given.
func TestSchemasRefuse(t *testing.T) {
	s := newServer(t)
	tools, err := openCache(t).ChartTools(t.Context())
	if err != nil {
		t.Fatalf("find kubeconform: %v", err)
	}
	schemas := newOpenAPI(t, s.config)
	tests := map[string]struct {
		reason, object string
		gvk            schema.GroupVersionKind
	}{
		"unknown field": {
			reason: "also deep in an object",
			object: "{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}, spec: {selector: {}, template: {spec: {containers: [{name: x, picture: x}]}}}}",
			gvk:    schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"},
		},
		"wrong type": {
			reason: "a quoted number is a mistake of templates",
			object: `{apiVersion: v1, kind: Service, metadata: {name: x}, spec: {ports: [{port: "80"}]}}`,
			gvk:    schema.GroupVersionKind{Version: "v1", Kind: "Service"},
		},
		"kind of ours": {
			reason: "definitions are schemas, too",
			object: "{apiVersion: delivery.ocm.software/v1alpha1, kind: Snapshot, metadata: {name: x}, spec: {sum: x}}",
			gvk:    schema.GroupVersionKind{Group: "delivery.ocm.software", Version: "v1alpha1", Kind: "Snapshot"},
		},
		"key twice": {
			reason: "the first of them would be lost",
			object: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  a: b\n  a: c\n",
			gvk:    schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if err := schemas.add(t.Context(), test.gvk); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "object.yaml")
			if err := os.WriteFile(file, []byte(test.object), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := program(t, tools.Kubeconform, "-strict", "-schema-location", filepath.Join(schemas.dir, location), file)
			if err == nil || strings.Contains(out, "could not find schema") || !strings.Contains(out, test.gvk.Kind) && !strings.Contains(out, "already set") {
				t.Errorf("got %v and %q, want it to be refused: %s", err, out, test.reason)
			}
		})
	}
}
