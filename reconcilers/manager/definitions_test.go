package manager_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/ocm-operator/ocm-operator/apis/crds"
	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/reconcilers/manager"
)

// readDefinition returns a definition of the test data.
func readDefinition(t *testing.T, file string) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(text, crd); err != nil {
		t.Fatal(err)
	}
	return crd
}

// TestDefinitionsOfOthers goes through the definitions of Resource that a cluster may have, in one of its own: they exclude
// each other.
func TestDefinitionsOfOthers(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	server := clustertest.Start(t, cluster.Options{})
	kubernetes, err := client.New(server.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	all, err := crds.All()
	if err != nil {
		t.Fatal(err)
	}
	const name = "resources.delivery.ocm.software"
	var ours *apiextensionsv1.CustomResourceDefinition
	for _, crd := range all {
		if crd.Name == name {
			ours = crd
		}
	}
	helm := readDefinition(t, "testdata/successor-resources.yaml")
	helm.Annotations = map[string]string{"meta.helm.sh/release-name": "toolkit", "meta.helm.sh/release-namespace": "ocm-k8s-toolkit-system"}
	unserved := readDefinition(t, "testdata/successor-resources.yaml")
	unserved.Spec.Versions[0].Name = "v1beta1"

	for _, tc := range []struct {
		name   string
		crd    *apiextensionsv1.CustomResourceDefinition
		says   []string
		reason string
	}{
		{"none", nil, nil, "the definitions may come after the operator"},
		{"ours", ours, nil, "it is ours"},
		{"of ocm-controller", readDefinition(t, "testdata/older-resources.yaml"), nil, "its objects are taken over"},
		{"of the successor", readDefinition(t, "testdata/successor-resources.yaml"), []string{
			name + " has spec.componentRef in place of spec.sourceRef", "can't run in it", "uninstall those controllers", "docs/guides/migration.md",
		}, "its objects are not ours"},
		{"of the successor's chart", helm, []string{name + ", of Helm release toolkit in namespace ocm-k8s-toolkit-system,"}, "the message says what to uninstall"},
		{"of another version", unserved, []string{name + " does not serve version v1alpha1"}, "no object of ours can exist"},
	} {
		install(t, kubernetes, name, tc.crd)
		err := manager.CheckDefinitions(t.Context(), kubernetes)
		if (err != nil) != (len(tc.says) > 0) || err != nil && !errors.Is(err, manager.ErrForeignDefinition) {
			t.Errorf("%s: the check says %v: %s", tc.name, err, tc.reason)
			continue
		}
		for _, part := range tc.says {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: message %q lacks %q: %s", tc.name, err, part, tc.reason)
			}
		}
	}

	install(t, kubernetes, "components.delivery.ocm.software", readDefinition(t, "testdata/successor-components.yaml"))
	if err := manager.CheckDefinitions(t.Context(), kubernetes); err == nil || !strings.Contains(err.Error(), "there are components.delivery.ocm.software") {
		t.Errorf("the check says %v, want it to name what else is there", err)
	}
}

// silent is an API server that takes questions and answers none.
type silent struct{ client.Reader }

func (silent) Get(ctx context.Context, _ client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
	<-ctx.Done()
	return ctx.Err()
}

// TestDefinitionsInTime says what it waited for, instead of being ended by a probe without a word.
func TestDefinitionsInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		err := manager.CheckDefinitions(t.Context(), silent{})
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "resources.delivery.ocm.software") {
			t.Errorf("the check says %v", err)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("it took %s", took)
		}
	})
}

// install makes a definition the one of its name.
func install(t *testing.T, kubernetes client.Client, name string, crd *apiextensionsv1.CustomResourceDefinition) {
	t.Helper()
	before := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := client.IgnoreNotFound(kubernetes.Delete(t.Context(), before)); err != nil {
		t.Fatal(err)
	}
	poll(t, name+" is gone", func() bool {
		return apierrors.IsNotFound(kubernetes.Get(t.Context(), client.ObjectKeyFromObject(before), &apiextensionsv1.CustomResourceDefinition{}))
	})
	if crd == nil {
		return
	}
	if err := kubernetes.Create(t.Context(), crd); err != nil {
		t.Fatal(err)
	}
}

func poll(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(longest)
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("%s: not after %s", what, longest)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// denied is a reader that is not allowed to read, or can't.
type denied struct {
	client.Reader
	err error
}

func (d denied) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return d.err
}

func TestDefinitionsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	crds := schema.GroupResource{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions"}
	if err := manager.CheckDefinitions(t.Context(), denied{err: apierrors.NewForbidden(crds, "x", nil)}); err != nil {
		t.Errorf("the check says %v, want none: an operator with fewer rights starts", err)
	}
	if err := manager.CheckDefinitions(t.Context(), denied{err: apierrors.NewInternalError(errors.New("etcd"))}); err == nil || errors.Is(err, manager.ErrForeignDefinition) {
		t.Errorf("the check says %v, want the error of the API server", err)
	}
}
