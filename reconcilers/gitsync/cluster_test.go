package gitsync_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"

	"github.com/ocm-operator/ocm-operator/apis/crds"
	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/git/forge"
	"github.com/ocm-operator/ocm-operator/git/gittest"
	"github.com/ocm-operator/ocm-operator/reconcilers/gitsync"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

func TestMain(m *testing.M) { clustertest.Main(m, cluster.Options{}) }

// TestServer runs the feature against a real API server: its watches wake it, and everything that it writes is accepted.
func TestServer(t *testing.T) {
	t.Parallel()
	server := clustertest.APIServer(t)
	s := newForgeStage(t, forge.GitHub, map[string]string{"README.md": "fleet"})
	kube := connect(t, server)
	namespace := clustertest.Namespace(t, server)
	s.runIn(server, kube, namespace)
	s.Client = kube

	s.resource.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, Name: "manifests"}
	s.sync.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, Name: "app"}
	for _, obj := range []client.Object{s.resource, s.sync} {
		if err := kube.Create(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
	s.provide("1.0.0", map[string]string{"a.yaml": "a: 1\n"})
	s.eventually("the verdict that a Secret is missing", func() bool {
		return conditions.GetReason(s.sync, meta.ReadyCondition) == v1alpha1.CredentialsNotFoundReason
	})
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "git"}, Data: map[string][]byte{"username": []byte("git"), "password": []byte(password)}}
	if err := kube.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	open := func(number int64, version string) func() bool {
		return func() bool {
			request := s.sync.Status.PullRequest
			return conditions.IsReady(s.sync) && request != nil && request.Number == number && request.State == v1alpha1.PullRequestOpen && s.sync.Status.Version == version
		}
	}
	s.eventually("a pull request, woken by the Secret", open(1, "1.0.0"))
	s.provide("1.1.0", map[string]string{"a.yaml": "a: 2\n"})
	s.eventually("the new version, woken by its source", open(1, "1.1.0"))
	s.forge.Merge(t, forgePath, 1, "squash")
	before := s.sync.DeepCopy()
	s.sync.Annotations = map[string]string{meta.ReconcileRequestAnnotation: "now"}
	if err := kube.Patch(t.Context(), s.sync, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	s.eventually("the merge, seen on request", func() bool {
		request := s.sync.Status.PullRequest
		return conditions.IsReady(s.sync) && request.State == v1alpha1.PullRequestMerged && s.sync.Status.LastHandledReconcileAt == "now" && s.sync.Status.Branch == "main"
	})
	want := map[string]any{
		"Name": "app", "Ready": "True", "Branch": "main", "PR": "1",
		"Status": "Merged: pull request #1 as " + s.sync.Status.PullRequest.MergeCommit[:7] + ", branch main holds version 1.1.0",
	}
	if diff := cmp.Diff(want, row(t, server, namespace)); diff != "" {
		t.Errorf("what kubectl get shows (-want +got):\n%s", diff)
	}
	if err := kube.Delete(t.Context(), s.sync); err != nil {
		t.Fatal(err)
	}
	key := client.ObjectKeyFromObject(s.sync)
	poll(t, "an end of the object", func() bool { return apierrors.IsNotFound(kube.Get(t.Context(), key, &v1alpha1.GitSync{})) })
	if branches := gittest.Branches(t, s.dir); len(branches) != 2 {
		t.Errorf("branches %v: they stay when the object goes", branches)
	}
}

// TestLateOwner wakes what refers to a Snapshot when the object that writes it has said so.
func TestLateOwner(t *testing.T) {
	t.Parallel()
	server := clustertest.APIServer(t)
	s := newStage(t, map[string]string{"README.md": "fleet"})
	kube := connect(t, server)
	namespace := clustertest.Namespace(t, server)
	s.runIn(server, kube, namespace)
	s.Client = kube
	s.resource.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, Name: "manifests"}
	s.sync.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, Name: "app"}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "git"}, Data: map[string][]byte{"username": []byte("git"), "password": []byte(password)}}
	for _, obj := range []client.Object{s.resource, secret} {
		if err := kube.Create(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
	s.provide("1.0.0", map[string]string{"a.yaml": "a: 1\n"})
	// As if the status of the Snapshot were written first.
	s.sync.Spec.SourceRef, s.sync.Spec.SnapshotRef = nil, &meta.LocalObjectReference{Name: s.resource.Status.SnapshotName}
	s.SetStatus(s.resource, func() { conditions.MarkFalse(s.resource, meta.ReadyCondition, meta.FailedReason, "late") })
	if err := kube.Create(t.Context(), s.sync); err != nil {
		t.Fatal(err)
	}
	s.eventually("the verdict that the owner is not ready", func() bool {
		return conditions.GetReason(s.sync, meta.ReadyCondition) == v1alpha1.SourceRefNotReadyReason
	})
	s.SetStatus(s.resource, func() { conditions.MarkTrue(s.resource, meta.ReadyCondition, meta.SucceededReason, "ready") })
	s.eventually("the content, woken by the owner of the Snapshot", func() bool { return conditions.IsReady(s.sync) && s.sync.Status.Version == "1.0.0" })
}

// connect installs the kinds, and waits until this one is served.
func connect(t *testing.T, server *rest.Config) client.Client {
	t.Helper()
	scheme := reconcilertest.Scheme(t)
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	kube, err := client.New(server, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	definitions, err := crds.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, crd := range definitions {
		if err := kube.Create(t.Context(), crd); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
	}
	poll(t, "the kind", func() bool { return kube.List(t.Context(), &v1alpha1.GitSyncList{}) == nil })
	return kube
}

// runIn runs the feature for a namespace in a manager until the test ends.
func (s *stage) runIn(server *rest.Config, kube client.Client, namespace string) {
	s.t.Helper()
	skip := true
	mgr, err := ctrl.NewManager(server, ctrl.Options{
		Scheme: kube.Scheme(), Logger: logr.Discard(), Metrics: metricsserver.Options{BindAddress: "0"}, Controller: config.Controller{SkipNameValidation: &skip},
		Cache: cache.Options{DefaultNamespaces: map[string]cache.Config{namespace: {}}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.options.Metrics = prometheus.NewRegistry()
	s.options.Secrets = reconcilertest.Lookout(s.t, kube)
	s.options.Lifecycle = func(mgr ctrl.Manager) lifecycle.Options {
		return lifecycle.Options{Client: mgr.GetClient(), Live: s.options.Secrets.Reader(kube), Recorder: &record.FakeRecorder{}}
	}
	if err := errors.Join(gitsync.Plugin(s.options).Setup(s.t.Context(), mgr), mgr.Add(s.options.Secrets)); err != nil {
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

// eventually reads the GitSync until something is so.
func (s *stage) eventually(what string, done func() bool) {
	s.t.Helper()
	defer func() {
		if s.t.Failed() {
			s.t.Logf("%+v", s.sync.Status)
		}
	}()
	poll(s.t, what, func() bool {
		return s.Client.Get(s.t.Context(), client.ObjectKeyFromObject(s.sync), s.sync) == nil && done()
	})
}

func poll(t *testing.T, what string, done func() bool) {
	t.Helper()
	ticks := time.NewTicker(100 * time.Millisecond)
	defer ticks.Stop()
	for deadline := time.Now().Add(time.Minute); !done(); <-ticks.C {
		if time.Now().After(deadline) {
			t.Fatalf("there never is %s", what)
		}
	}
}

// row is what kubectl get shows, but for the age.
func row(t *testing.T, server *rest.Config, namespace string) map[string]any {
	t.Helper()
	set, err := kubernetes.NewForConfig(server)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := set.RESTClient().Get().AbsPath("/apis/delivery.ocm.software/v1alpha1/namespaces/"+namespace+"/gitsyncs").
		SetHeader("Accept", "application/json;as=Table;g=meta.k8s.io;v=v1").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	table := &metav1.Table{}
	if err := json.Unmarshal(raw, table); err != nil || len(table.Rows) != 1 {
		t.Fatalf("table %s: %v", raw, err)
	}
	shown := map[string]any{}
	for i, column := range table.ColumnDefinitions {
		if column.Priority == 0 && column.Name != "Age" {
			shown[column.Name] = table.Rows[0].Cells[i]
		}
	}
	return shown
}
