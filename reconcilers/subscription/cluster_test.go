package subscription_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"

	"github.com/ocm-operator/ocm-operator/apis/crds"
	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/reconcilers/subscription"
)

func TestMain(m *testing.M) { clustertest.Main(m, cluster.Options{}) }

// TestServer runs the feature against a real API server: watches wake it, and what the server shows is what people look at.
func TestServer(t *testing.T) {
	t.Parallel()
	server := clustertest.APIServer(t)
	scheme := reconcilertest.Scheme(t)
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	kube, err := client.New(server, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, from: ocmtest.Start(t), to: ocmtest.Start(t)}
	s.source, s.destination = s.from.URL+"/ocm", s.to.URL+"/mirror"
	s.World = reconcilertest.New(t)
	s.define(kube)
	s.run(server, kube)
	s.release("1.0.0")
	s.to.RequireLogin("writer", "two")

	namespace := clustertest.Namespace(t, server)
	sub := subscriptionOf(s)
	sub.Namespace = namespace
	sub.Spec.Destination.SecretRef = &meta.LocalObjectReference{Name: "writer"}
	refused := sub.DeepCopy()
	limit := int32(5)
	refused.Spec.Limit = &limit
	if err := kube.Create(t.Context(), refused); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "versions: all") {
		t.Errorf("a limit without versions: all is %v, want it refused", err)
	}
	if err := kube.Create(t.Context(), sub); err != nil {
		t.Fatal(err)
	}
	read := func() { _ = kube.Get(t.Context(), client.ObjectKeyFromObject(sub), sub) }
	s.eventually("the verdict that a Secret is missing", func() bool { read(); return condition(sub) == "False "+v1alpha1.AuthenticationFailedReason })
	secret := login("writer", "writer", "two")
	secret.Namespace = namespace
	if err := kube.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	s.eventually("the replication, woken by the Secret", func() bool { read(); return conditions.IsReady(sub) })
	wantReady(t, sub, "1.0.0")
	s.shows(server, namespace)
	s.explains(server)
}

// define installs the kinds and waits until this one is served.
func (s *stage) define(kube client.Client) {
	s.t.Helper()
	definitions, err := crds.All()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, crd := range definitions {
		if err := kube.Create(s.t.Context(), crd); err != nil {
			s.t.Fatal(err)
		}
	}
	s.eventually("the kind", func() bool { return kube.List(s.t.Context(), &v1alpha1.ComponentSubscriptionList{}) == nil })
}

// run starts the feature in a manager until the test ends.
func (s *stage) run(server *rest.Config, kube client.Client) {
	s.t.Helper()
	skip := true
	mgr, err := ctrl.NewManager(server, ctrl.Options{
		Scheme: kube.Scheme(), Logger: logr.Discard(), Metrics: metricsserver.Options{BindAddress: "0"}, Controller: config.Controller{SkipNameValidation: &skip},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	lookout := reconcilertest.Lookout(s.t, kube)
	repositories, err := access.New(access.Options{Live: lookout.Reader(kube), AllowedHosts: []string{"127.0.0.1"}})
	if err != nil {
		s.t.Fatal(err)
	}
	feature := subscription.Plugin(subscription.Options{
		Repositories: repositories, Transfers: s.Transfers(), Secrets: lookout,
		Lifecycle: func(mgr ctrl.Manager) lifecycle.Options {
			return lifecycle.Options{Client: mgr.GetClient(), Live: kube, Recorder: &record.FakeRecorder{}}
		},
	})
	if err := errors.Join(feature.Setup(s.t.Context(), mgr), mgr.Add(lookout)); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("manager: %v", err)
		}
	})
}

// shows checks the columns of kubectl get.
func (s *stage) shows(server *rest.Config, namespace string) {
	s.t.Helper()
	set, err := kubernetes.NewForConfig(server)
	if err != nil {
		s.t.Fatal(err)
	}
	raw, err := set.RESTClient().Get().AbsPath("/apis/delivery.ocm.software/v1alpha1/namespaces/"+namespace+"/componentsubscriptions").
		SetHeader("Accept", "application/json;as=Table;g=meta.k8s.io;v=v1").DoRaw(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	table := &metav1.Table{}
	if err := json.Unmarshal(raw, table); err != nil || len(table.Rows) != 1 {
		s.t.Fatalf("table %s: %v", raw, err)
	}
	got := map[string]any{}
	var columns []string
	for i, column := range table.ColumnDefinitions {
		if column.Priority == 0 {
			columns = append(columns, strings.ToUpper(column.Name))
			got[column.Name] = table.Rows[0].Cells[i]
		}
	}
	if diff := cmp.Diff([]string{"NAME", "READY", "LATEST", "REPLICATED", "AGE", "STATUS"}, columns); diff != "" {
		s.t.Errorf("columns (-want +got):\n%s", diff)
	}
	delete(got, "Age")
	want := map[string]any{"Name": "app", "Ready": "True", "Latest": "1.0.0", "Replicated": "1.0.0", "Status": "Replicated version: 1.0.0"}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("row (-want +got):\n%s", diff)
	}
}

// explains checks that kubectl explain has what it says about fields.
func (s *stage) explains(server *rest.Config) {
	s.t.Helper()
	set, err := kubernetes.NewForConfig(server)
	if err != nil {
		s.t.Fatal(err)
	}
	s.eventually("what kubectl explain shows", func() bool {
		raw, err := set.RESTClient().Get().AbsPath("/openapi/v3/apis/delivery.ocm.software/v1alpha1").DoRaw(s.t.Context())
		text := string(raw)
		return err == nil && strings.Contains(text, "versionFilter is a regular expression in the syntax of RE2") && strings.Contains(text, "The default is latest.")
	})
}
