package gitsync

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

func TestMain(m *testing.M) { clustertest.Main(m, cluster.Options{}) }

// kinds are those that the tests make objects of.
var kinds = []string{v1alpha1.GitSyncKind, v1alpha1.ConfigurationKind, v1alpha1.ResourceKind, v1alpha1.ComponentVersionKind}

// flags let what has failed be tried again before a test loses its patience.
var flags = []string{"--max-retry-delay=2s"}

const (
	// seldom is the interval of objects that are not to look at anything by themselves, and often that of those that are.
	seldom, often = time.Hour, time.Second
	// requested is the annotation by which an object is asked to look again.
	requested = "reconcile.fluxcd.io/requestedAt"
)

// world is an operator, in the cluster that the tests share, and a registry that components are published in.
type world struct {
	*e2etest.Env
	t        *testing.T
	registry *ocmtest.Server
	requests int
}

// newWorld starts an operator for one test, which is not parallel to others that do.
func newWorld(t *testing.T, args ...string) *world {
	t.Helper()
	registry := ocmtest.Start(t)
	return &world{t: t, registry: registry, Env: e2etest.Alone(t, e2etest.AloneOptions{Args: append(args, flags...), Cleared: kinds})}
}

// forTest returns a world with the same operator and registry, in a namespace of its own.
func (w *world) forTest(t *testing.T) *world {
	t.Helper()
	return &world{t: t, registry: w.registry, Env: w.In(t, clustertest.Namespace(t, w.Cluster.Config()), kinds...)}
}

// spec returns that of a GitSync of the Resource "app" to a repository, for a test to change.
func spec(to *repository) v1alpha1.GitSyncSpec {
	return v1alpha1.GitSyncSpec{
		Schedule:       v1alpha1.Schedule{Interval: metav1.Duration{Duration: seldom}, RetryInterval: &metav1.Duration{Duration: often}},
		SourceRef:      &v1alpha1.ObjectReference{Kind: v1alpha1.ResourceKind, Name: app},
		Repository:     to.spec(),
		SubPath:        "clusters/site",
		Prune:          true,
		CommitTemplate: v1alpha1.CommitTemplate{Name: "ocm", Email: "ocm@acme.org", Message: "deploy {{ .Component }} {{ .Version }}"},
	}
}

// sync applies a GitSync.
func (w *world) sync(name string, spec v1alpha1.GitSyncSpec) {
	w.t.Helper()
	w.apply(v1alpha1.GitSyncKind, name, map[string]any{"spec": spec})
}

// syncError applies a GitSync and returns why the API server refused it.
func (w *world) syncError(name string, spec v1alpha1.GitSyncSpec) error {
	w.t.Helper()
	return w.ApplyError(w.text(v1alpha1.GitSyncKind, name, map[string]any{"spec": spec}))
}

// apply applies an object of the operator's group, or a Secret.
func (w *world) apply(kind, name string, fields map[string]any) {
	w.t.Helper()
	w.Apply(w.text(kind, name, fields))
}

// text is an object as it is applied.
func (w *world) text(kind, name string, fields map[string]any) string {
	w.t.Helper()
	gvk := e2etest.GVK(kind)
	fields["apiVersion"], fields["kind"], fields["metadata"] = gvk.GroupVersion().String(), kind, map[string]any{"name": name}
	raw, err := json.Marshal(fields)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(raw)
}

// secret applies a Secret.
func (w *world) secret(name string, data map[string]string) {
	w.t.Helper()
	w.apply("Secret", name, map[string]any{"stringData": data})
}

// secretRef names a Secret; none when the name is empty.
func secretRef(name string) *meta.LocalObjectReference {
	if name == "" {
		return nil
	}
	return &meta.LocalObjectReference{Name: name}
}

// check tells what is not yet as wanted about a GitSync.
type check func(obj *v1alpha1.GitSync) error

// await waits until a GitSync passes all checks, and returns it.
func (w *world) await(name string, checks ...check) *v1alpha1.GitSync {
	w.t.Helper()
	var found *v1alpha1.GitSync
	w.Wait(v1alpha1.GitSyncKind, name, func(obj *unstructured.Unstructured) error {
		found = &v1alpha1.GitSync{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, found); err != nil {
			return err
		}
		var errs []error
		for _, one := range checks {
			errs = append(errs, one(found))
		}
		return errors.Join(errs...)
	})
	return found
}

// ready wants a GitSync to be ready with its generation, and to have nothing left to do.
func ready(obj *v1alpha1.GitSync) error {
	condition := conditionOf(obj)
	if reconciling := conditionNamed(obj, meta.ReconcilingCondition); reconciling.Status == metav1.ConditionTrue {
		return fmt.Errorf("it is at work: %s", reconciling.Message)
	}
	if condition.Status != metav1.ConditionTrue || obj.Status.ObservedGeneration != obj.Generation {
		return fmt.Errorf("generation %d, observed %d, Ready is %q, %s: %s", obj.Generation, obj.Status.ObservedGeneration, condition.Status, condition.Reason, condition.Message)
	}
	return nil
}

// conditionOf returns the condition Ready; it is empty as long as there is none.
func conditionOf(obj *v1alpha1.GitSync) metav1.Condition {
	return conditionNamed(obj, meta.ReadyCondition)
}

// conditionNamed returns a condition; it is empty when there is none.
func conditionNamed(obj *v1alpha1.GitSync, name string) metav1.Condition {
	for _, condition := range obj.Status.Conditions {
		if condition.Type == name {
			return condition
		}
	}
	return metav1.Condition{}
}

// holds wants the status to say that the branch holds a version.
func holds(version string) check {
	return func(obj *v1alpha1.GitSync) error {
		if obj.Status.Version != version {
			return fmt.Errorf("the branch holds version %q, want %s", obj.Status.Version, version)
		}
		return nil
	}
}

// synced waits until a GitSync is ready and its branch holds a version.
func (w *world) synced(name, version string, checks ...check) *v1alpha1.GitSync {
	w.t.Helper()
	return w.await(name, append([]check{ready, holds(version)}, checks...)...)
}

// fails waits until a GitSync is not ready for a reason, with a message that has each of the parts.
func (w *world) fails(name, reason string, parts ...string) *v1alpha1.GitSync {
	w.t.Helper()
	obj := w.await(name, func(obj *v1alpha1.GitSync) error {
		condition := conditionOf(obj)
		if condition.Status != metav1.ConditionFalse || condition.Reason != reason {
			return fmt.Errorf("Ready is %q, %s: %s; want %s", condition.Status, condition.Reason, condition.Message, reason)
		}
		for _, part := range parts {
			if !strings.Contains(condition.Message, part) {
				return fmt.Errorf("the message is %q, which lacks %q", condition.Message, part)
			}
		}
		return nil
	})
	w.t.Logf("%s: %s", reason, conditionOf(obj).Message)
	return obj
}

// request asks a GitSync to look again.
func (w *world) request(name string) check {
	w.t.Helper()
	w.requests++
	token := strconv.Itoa(w.requests)
	w.Kubectl("annotate", "--overwrite", "gs/"+name, requested+"="+token)
	return func(obj *v1alpha1.GitSync) error {
		if got := obj.Status.LastHandledReconcileAt; got != token {
			return fmt.Errorf("request %q was handled last, want %s", got, token)
		}
		return nil
	}
}

// events returns the messages of the events of a GitSync, oldest first.
func (w *world) events(name string) []string {
	w.t.Helper()
	list := &corev1.EventList{}
	if err := w.Client.List(w.t.Context(), list, client.InNamespace(w.Namespace)); err != nil {
		w.t.Fatal(err)
	}
	var messages []string
	for _, event := range list.Items {
		if event.InvolvedObject.Kind == v1alpha1.GitSyncKind && event.InvolvedObject.Name == name {
			messages = append(messages, event.Message)
		}
	}
	return messages
}
