package source_test

import (
	"context"
	"testing"
	"time"

	"github.com/go-logr/logr"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

// patience is how long the API server may take for anything.
const patience = time.Minute

func TestForeignKindsThatAppear(t *testing.T) {
	t.Parallel()
	config := clustertest.APIServer(t)
	scheme := reconcilertest.Scheme(t)
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	kubernetes, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	foreign := startForeign(t, config)

	// A group of its own, so that the test can be repeated against the same server.
	group := clustertest.Namespace(t, config) + ".example.com"
	gadget := schema.GroupVersionKind{Group: group, Version: "v1", Kind: "Gadget"}
	widget := schema.GroupVersionKind{Group: group, Version: "v1", Kind: "Widget"}
	gadgets, widgets := callbacks(foreign, gadget, 2), callbacks(foreign, widget, 1)
	if foreign.Served(gadget) {
		t.Fatal("a kind that nobody defined is served")
	}
	for _, kind := range []schema.GroupVersionKind{gadget, widget} {
		if err := kubernetes.Create(t.Context(), definition(kind)); err != nil {
			t.Fatal(err)
		}
	}
	await(t, gadgets, 2)
	await(t, widgets, 1)
	if !foreign.Served(gadget) {
		t.Error("the kind is not served after the callback")
	}
	await(t, callbacks(foreign, gadget, 1), 1) // it was there before anybody asked
	await(t, callbacks(foreign, v1Secret, 1), 1)
	if foreign.Served(schema.GroupVersionKind{Group: group, Version: "v2", Kind: "Gadget"}) {
		t.Error("another version of the kind is served")
	}
	select {
	case <-gadgets:
		t.Error("a callback came twice")
	default:
	}
	if foreign.NeedLeaderElection() {
		t.Error("a replica that is not the leader would start cold")
	}
}

var v1Secret = schema.GroupVersionKind{Version: "v1", Kind: "Secret"}

func startForeign(t *testing.T, config *rest.Config) *source.Foreign {
	t.Helper()
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: reconcilertest.Scheme(t), Logger: logr.Discard(), Metrics: metricsserver.Options{BindAddress: "0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := source.NewForeign(mgr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("manager: %v", err)
		}
	})
	return foreign
}

func callbacks(foreign *source.Foreign, gvk schema.GroupVersionKind, n int) chan struct{} {
	called := make(chan struct{}, 2*n)
	for range n {
		foreign.WhenServed(gvk, func(context.Context) { called <- struct{}{} })
	}
	return called
}

func await(t *testing.T, called <-chan struct{}, n int) {
	t.Helper()
	for i := range n {
		select {
		case <-called:
		case <-time.After(patience):
			t.Fatalf("callback %d of %d did not come within %s", i+1, n, patience)
		}
	}
}

func definition(gvk schema.GroupVersionKind) *apiextensionsv1.CustomResourceDefinition {
	keep := true
	plural := map[string]string{"Gadget": "gadgets", "Widget": "widgets"}[gvk.Kind]
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: plural + "." + gvk.Group},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: gvk.Group,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: plural, Kind: gvk.Kind},
			Scope: apiextensionsv1.NamespaceScoped,
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: gvk.Version, Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object", XPreserveUnknownFields: &keep,
				}},
			}},
		},
	}
}

func TestRefDefaults(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		ref  v1alpha1.ObjectReference
		want string
	}{
		"all left out":    {v1alpha1.ObjectReference{Name: "app"}, "ComponentVersion default/app"},
		"all written":     {v1alpha1.ObjectReference{Kind: "Resource", Namespace: "team", Name: "app"}, "Resource team/app"},
		"namespace alone": {v1alpha1.ObjectReference{Namespace: "team", Name: "app"}, "ComponentVersion team/app"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := source.RefTo(tc.ref, "default").String(); got != tc.want {
				t.Errorf("reference is %q, want %q", got, tc.want)
			}
		})
	}
}
