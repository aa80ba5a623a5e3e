package manager

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
)

func TestReleaseSnapshots(t *testing.T) {
	t.Parallel()
	const theirs = "example.com/theirs"
	errFault := errors.New("the API server is busy")
	snapshot := func(namespace, name string, finalizers ...string) *v1alpha1.Snapshot {
		return &v1alpha1.Snapshot{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Finalizers: finalizers}}
	}
	for name, c := range map[string]struct {
		reason    string
		namespace string
		// refused is the Snapshot that can't be written.
		refused  string
		released int
		left     map[string][]string
	}{
		"all": {
			reason:   "nobody but the operator takes its finalizer, and what others wait for is not ours to end",
			released: 2,
			left:     map[string][]string{"a/external": nil, "a/shared": {theirs}, "a/embedded": nil, "b/shared": {theirs}},
		},
		"one namespace": {
			reason:    "an operator that watches one namespace has no rights in others",
			namespace: "b",
			left:      map[string][]string{"a/external": {v1alpha1.SnapshotFinalizer}, "b/shared": {theirs}},
		},
		"a fault": {
			reason:   "one Snapshot that can't be written keeps none of the others",
			refused:  "external",
			released: 1,
			left:     map[string][]string{"a/external": {v1alpha1.SnapshotFinalizer}, "a/shared": {theirs}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scheme := runtime.NewScheme()
			if err := v1alpha1.AddToScheme(scheme); err != nil {
				t.Fatal(err)
			}
			kubernetes := fake.NewClientBuilder().WithScheme(scheme).WithObjects(
				snapshot("a", "external", v1alpha1.SnapshotFinalizer), snapshot("a", "shared", theirs, v1alpha1.SnapshotFinalizer),
				snapshot("a", "embedded"), snapshot("b", "shared", theirs),
			).WithInterceptorFuncs(interceptor.Funcs{
				Patch: func(ctx context.Context, inner client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
					if obj.GetName() == c.refused {
						return errFault
					}
					return inner.Patch(ctx, obj, patch, opts...)
				},
			}).Build()
			released, err := releaseSnapshots(t.Context(), kubernetes, c.namespace)
			if released != c.released || errors.Is(err, errFault) != (c.refused != "") {
				t.Errorf("released %d, %v, want %d: %s", released, err, c.released, c.reason)
			}
			for key, want := range c.left {
				got := &v1alpha1.Snapshot{}
				if err := kubernetes.Get(t.Context(), client.ObjectKey{Namespace: key[:1], Name: key[2:]}, got); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got.Finalizers, want) {
					t.Errorf("%s waits for %v, want %v: %s", key, got.Finalizers, want, c.reason)
				}
			}
		})
	}
}

// TestAwaitGone holds that nobody lets go of the Snapshots of an operator that is at work.
func TestAwaitGone(t *testing.T) {
	t.Parallel()
	scheme := runtime.NewScheme()
	if err := appsv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	key := client.ObjectKey{Namespace: "ocm-system", Name: "ocm-operator"}
	meta := metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}
	for name, c := range map[string]struct {
		reason    string
		workload  client.Object
		installed bool
	}{
		"nothing":     {"this is what an uninstallation leaves", &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: "other"}}, false},
		"Deployment":  {"the hook was applied beside the operator", &appsv1.Deployment{ObjectMeta: meta}, true},
		"StatefulSet": {"the same with another kind", &appsv1.StatefulSet{ObjectMeta: meta}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := awaitGone(t.Context(), fake.NewClientBuilder().WithScheme(scheme).WithObjects(c.workload).Build(), key)
			if errors.Is(err, errInstalled) != c.installed || (err == nil) == c.installed {
				t.Errorf("%v: %s", err, c.reason)
			}
		})
	}

	t.Run("being deleted", func(t *testing.T) {
		t.Parallel()
		leaving := meta.DeepCopy()
		now := metav1.Now()
		leaving.DeletionTimestamp, leaving.Finalizers = &now, []string{metav1.FinalizerDeleteDependents}
		kubernetes := fake.NewClientBuilder().WithScheme(scheme).WithObjects(&appsv1.Deployment{ObjectMeta: *leaving}).Build()
		looked, once := make(chan struct{}), sync.Once{}
		watched := interceptor.NewClient(kubernetes, interceptor.Funcs{
			Get: func(ctx context.Context, inner client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
				err := inner.Get(ctx, key, obj, opts...)
				if err == nil {
					once.Do(func() { close(looked) })
				} else if !apierrors.IsNotFound(err) {
					t.Errorf("look: %v", err)
				}
				return err
			},
		})
		done := make(chan error)
		go func() { done <- awaitGone(t.Context(), watched, key) }()
		<-looked
		gone := &appsv1.Deployment{ObjectMeta: meta}
		if err := kubernetes.Patch(t.Context(), gone, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Errorf("it did not wait: %v", err)
		}
	})
}

// TestUninstallNeedsTheOperator refuses to begin when it can't know whether the operator is at work.
func TestUninstallNeedsTheOperator(t *testing.T) {
	t.Parallel()
	for _, arg := range []string{"--operator=", "--operator=ocm-operator", "--operator=/ocm-operator", "--operator=ocm-system/"} {
		if err := Uninstall(t.Context(), []string{uninstallCommand, arg}, t.Output()); err == nil || !strings.Contains(err.Error(), "as in ocm-system/ocm-operator") {
			t.Errorf("%s: %v", arg, err)
		}
	}
}
