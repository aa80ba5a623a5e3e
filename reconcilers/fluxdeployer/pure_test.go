package fluxdeployer

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

func TestContains(t *testing.T) {
	t.Parallel()
	type object = map[string]any
	type list = []any
	for name, tc := range map[string]struct {
		found, want any
		contained   bool
		reason      string
	}{
		"same":              {object{"a": "x"}, object{"a": "x"}, true, "nothing to do"},
		"defaults added":    {object{"a": "x", "b": "y"}, object{"a": "x"}, true, "what the server adds is none of ours"},
		"nested":            {object{"a": object{"b": "x", "c": int64(1)}}, object{"a": object{"b": "x"}}, true, "in any depth"},
		"changed":           {object{"a": "y"}, object{"a": "x"}, false, "somebody changed it"},
		"removed":           {object{}, object{"a": "x"}, false, "somebody removed it"},
		"integer and float": {object{"a": int64(3)}, object{"a": float64(3)}, true, "decoders differ"},
		"number and text":   {object{"a": "3"}, object{"a": float64(3)}, false, "that is another value"},
		"other type":        {object{"a": "x"}, object{"a": object{"b": "x"}}, false, "that is another value"},
		"lists":             {object{"a": list{"x", object{"b": int64(1), "c": "d"}}}, object{"a": list{"x", object{"b": float64(1)}}}, true, "items are compared in order"},
		"list grew":         {object{"a": list{"x", "y"}}, object{"a": list{"x"}}, false, "lists are owned as a whole"},
		"list reordered":    {object{"a": list{"y", "x"}}, object{"a": list{"x", "y"}}, false, "the order of a list means something"},
		"list is text":      {object{"a": "x"}, object{"a": list{"x"}}, false, "that is another value"},
		"null wanted":       {object{}, object{"a": nil}, true, "the server drops nulls"},
		"false wanted":      {object{}, object{"a": false}, false, "false is a value"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := contains(tc.found, tc.want); got != tc.contained {
				t.Errorf("contains is %t, want %t: %s", got, tc.contained, tc.reason)
			}
		})
	}
}

// fluxObject returns an object of Flux with a status.
func fluxObject(gvk schema.GroupVersionKind, generation, observed int64, ready, revision string) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{Object: map[string]any{"status": map[string]any{"observedGeneration": observed}}}
	obj.SetGroupVersionKind(gvk)
	obj.SetGeneration(generation)
	if ready != "" {
		_ = unstructured.SetNestedSlice(obj.Object, []any{
			map[string]any{"type": "Other", "status": "False", "message": "other"},
			map[string]any{"type": "Ready", "status": ready, "message": "says " + ready},
		}, "status", "conditions")
	}
	if revision != "" {
		path := map[string][]string{
			"OCIRepository": {"status", "artifact", "revision"}, "Kustomization": {"status", "lastAppliedRevision"}, "HelmRelease": {"status", "lastAttemptedRevisionDigest"},
		}[gvk.Kind]
		_ = unstructured.SetNestedField(obj.Object, revision, path...)
	}
	return obj
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	const wanted, old = "sha256:new", "sha256:old"
	for name, tc := range map[string]struct {
		obj     *unstructured.Unstructured
		want    state
		message string
		reason  string
	}{
		"missing":              {nil, statePending, "does not exist yet", "the cache may be behind"},
		"no conditions":        {fluxObject(ociRepositoryKind, 1, 1, "", ""), statePending, "", "Flux has not looked yet"},
		"old generation":       {fluxObject(kustomizationKind, 2, 1, "False", wanted), statePending, "is being reconciled", "it speaks of what was wanted before"},
		"failed":               {fluxObject(kustomizationKind, 1, 1, "False", wanted), stateFailed, "says False", "Flux says so"},
		"in progress":          {fluxObject(kustomizationKind, 1, 1, "Unknown", wanted), statePending, "says Unknown", "Flux is at it"},
		"ready":                {fluxObject(kustomizationKind, 1, 1, "True", "1.0.0@"+wanted), stateReady, "says True", "with this very content"},
		"ready with other":     {fluxObject(kustomizationKind, 1, 1, "True", "1.0.0@"+old), statePending, "has other content still", "it is ready with what was before"},
		"repository":           {fluxObject(ociRepositoryKind, 1, 1, "True", wanted), stateReady, "says True", "with this very content"},
		"repository, other":    {fluxObject(ociRepositoryKind, 1, 1, "True", old), statePending, "has other content still", "it is ready with what was before"},
		"repository, none":     {fluxObject(ociRepositoryKind, 1, 1, "True", ""), statePending, "has other content still", "ready without content is not ready"},
		"release":              {fluxObject(helmReleaseKind, 1, 1, "True", wanted), stateReady, "says True", "with this very content"},
		"release, other":       {fluxObject(helmReleaseKind, 1, 1, "True", old), statePending, "has other content still", "it is ready with what was before"},
		"release says nothing": {fluxObject(helmReleaseKind, 1, 1, "True", ""), stateReady, "says True", "not every helm-controller tells the digest"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, message := readiness(tc.obj, wanted)
			if got != tc.want || message != tc.message {
				t.Errorf("state is %d, %q; want %d, %q: %s", got, message, tc.want, tc.message, tc.reason)
			}
		})
	}
}

func TestOutcomeChanged(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*unstructured.Unstructured)
		want   bool
		reason string
	}{
		"heartbeat": {func(u *unstructured.Unstructured) {
			u.SetResourceVersion("2")
			u.SetLabels(map[string]string{"a": "b"})
		}, false, "Flux writes at every interval"},
		"ready": {func(u *unstructured.Unstructured) {
			u.Object["status"] = fluxObject(kustomizationKind, 1, 1, "False", "").Object["status"]
		}, true, "the deployer mirrors it"},
		"generation": {func(u *unstructured.Unstructured) { u.SetGeneration(2) }, true, "somebody changed the spec"},
		"annotation": {func(u *unstructured.Unstructured) { u.SetAnnotations(map[string]string{appliedAnnotation: "x"}) }, true, "somebody changed our mark"},
		"revision": {func(u *unstructured.Unstructured) {
			_ = unstructured.SetNestedField(u.Object, "x", "status", "lastAppliedRevision")
		}, true, "the content is there"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := fluxObject(kustomizationKind, 1, 1, "True", "")
			after := before.DeepCopy()
			tc.change(after)
			if got := outcomeChanged().Update(event.UpdateEvent{ObjectOld: before, ObjectNew: after}); got != tc.want {
				t.Errorf("passed is %t, want %t: %s", got, tc.want, tc.reason)
			}
		})
	}
	if outcomeChanged().Create(event.CreateEvent{Object: fluxObject(kustomizationKind, 1, 1, "", "")}) {
		t.Error("our own creation wakes us")
	}
	if !outcomeChanged().Delete(event.DeleteEvent{Object: fluxObject(kustomizationKind, 1, 1, "", "")}) {
		t.Error("what somebody deleted is not made again")
	}
}

func TestWakeAll(t *testing.T) {
	t.Parallel()
	other := deployerObject()
	other.Name, other.Namespace = "other", "team"
	w := reconcilertest.New(t, deployerObject(), other)
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer queue.ShutDown()
	if err := wakeAll(w.Client)(t.Context(), queue); err != nil || queue.Len() != 2 {
		t.Errorf("%d objects were woken (%v), want both", queue.Len(), err)
	}
}

func deployerObject() *v1alpha1.FluxDeployer {
	return &v1alpha1.FluxDeployer{ObjectMeta: reconcilertest.Named("app"), Spec: v1alpha1.FluxDeployerSpec{Schedule: reconcilertest.Schedule()}}
}

// desk hands out credentials that say for what and for how long.
type desk struct {
	issued []string
	valid  map[string]bool
}

func (d *desk) registry() Registry {
	return Registry{
		Address: "registry.example.com:5000",
		CA:      func() []byte { return []byte("ca") },
		Issue: func(repository string, ttl time.Duration) (username, password string, err error) {
			d.issued = append(d.issued, repository+" "+ttl.String())
			d.valid[repository+" word"] = true
			return repository, "word", nil
		},
		Valid: func(_ context.Context, repository, username, password string) bool {
			return username == repository && d.valid[repository+" "+password]
		},
	}
}

func TestCredentialIsRenewedInTime(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	obj := deployerObject()
	w.Create(obj)
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	now, office := start, &desk{valid: map[string]bool{}}
	d := &deployer{client: w.Client, live: w.Client, registry: office.registry(), now: func() time.Time { return now }}
	r := &run{obj: obj, repository: "default/app-abc"}
	secret := &corev1.Secret{ObjectMeta: reconcilertest.Named(pullSecretName(obj))}
	for _, step := range []struct {
		name   string
		before func()
		issued []string
		reason string
	}{
		{"first", func() {}, []string{"default/app-abc 24h0m0s"}, "Flux can't pull without"},
		{"at once again", func() {}, nil, "it is good"},
		{"before half of its time", func() { now = start.Add(11 * time.Hour) }, nil, "it is good for long enough"},
		{"after half of its time", func() { now = start.Add(13 * time.Hour) }, []string{"default/app-abc 24h0m0s"}, "the next look may be too late"},
		{"key was rotated", func() { office.valid = map[string]bool{} }, []string{"default/app-abc 24h0m0s"}, "the registry refuses the old one"},
		{"other repository", func() { r.repository = "default/web-abc" }, []string{"default/web-abc 24h0m0s"}, "it is for one repository alone"},
		{"long interval", func() { obj.Spec.Interval.Duration = 10 * time.Hour; now = now.Add(5 * time.Hour) }, []string{"default/web-abc 40h0m0s"}, "it has to last for several intervals"},
		{"other address", func() { d.registry.Address = "other.example.com:5000" }, []string{"default/web-abc 40h0m0s"}, "Flux looks it up by the address"},
		{"emptied", func() { w.Change(secret, func() { secret.Data = nil }) }, []string{"default/web-abc 40h0m0s"}, "somebody broke it"},
		{"no date", func() { w.Change(secret, func() { secret.Annotations = nil }) }, []string{"default/web-abc 40h0m0s"}, "nobody knows how long it is good"},
	} {
		office.issued = nil
		step.before()
		if err := d.provideCredential(t.Context(), r); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if diff := cmp.Diff(step.issued, office.issued); diff != "" {
			t.Errorf("%s: issued, because %s (-want +got):\n%s", step.name, step.reason, diff)
		}
	}
	w.Get(secret)
	if secret.Type != corev1.SecretTypeDockerConfigJson || !strings.Contains(string(secret.Data[corev1.DockerConfigJsonKey]), `"other.example.com:5000"`) {
		t.Errorf("Secret is %s with %s", secret.Type, secret.Data)
	}
	broken := errors.New("no key")
	d.registry.Issue = func(string, time.Duration) (string, string, error) { return "", "", broken }
	r.repository = "default/new"
	if err := d.provideCredential(t.Context(), r); !errors.Is(err, broken) || !strings.Contains(err.Error(), "default/new") {
		t.Errorf("error is %v, want the registry's with the repository", err)
	}
}
