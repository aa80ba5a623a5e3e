package v1alpha1_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
)

// object is what every kind offers to the code that reconciles all of them.
type object interface {
	metav1.Object
	runtime.Object
	GetConditions() []metav1.Condition
	SetConditions(conditions []metav1.Condition)
	GetSchedule() v1alpha1.Schedule
	GetStatus() *v1alpha1.CommonStatus
}

func TestEveryKindSharesItsStatus(t *testing.T) {
	t.Parallel()
	kinds := map[string]object{
		v1alpha1.ComponentSubscriptionKind: &v1alpha1.ComponentSubscription{},
		v1alpha1.ComponentVersionKind:      &v1alpha1.ComponentVersion{},
		v1alpha1.ComponentDescriptorKind:   &v1alpha1.ComponentDescriptor{},
		v1alpha1.ResourceKind:              &v1alpha1.Resource{},
		v1alpha1.SnapshotKind:              &v1alpha1.Snapshot{},
		v1alpha1.LocalizationKind:          &v1alpha1.Localization{},
		v1alpha1.ConfigurationKind:         &v1alpha1.Configuration{},
		v1alpha1.FluxDeployerKind:          &v1alpha1.FluxDeployer{},
		v1alpha1.GitSyncKind:               &v1alpha1.GitSync{},
	}
	scheme := newScheme(t)
	for kind, obj := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			known, _, err := scheme.ObjectKinds(obj)
			if err != nil || len(known) != 1 || known[0] != v1alpha1.GroupVersion.WithKind(kind) {
				t.Errorf("got the kinds %v (%v), want %s", known, err, kind)
			}
			want := []metav1.Condition{{Type: "Ready", Status: metav1.ConditionTrue}}
			obj.SetConditions(want)
			obj.GetStatus().ObservedGeneration = 3
			obj.GetStatus().LastHandledReconcileAt = "now"
			if diff := cmp.Diff(want, obj.GetConditions()); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(want, obj.GetStatus().Conditions); diff != "" {
				t.Error(diff)
			}
			content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
			if err != nil {
				t.Fatal(err)
			}
			status, _ := content["status"].(map[string]any)
			if status["observedGeneration"] != int64(3) || status["lastHandledReconcileAt"] != "now" {
				t.Errorf("got the status %v, want what was set through GetStatus", status)
			}
		})
	}
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	minute, hour := &metav1.Duration{Duration: time.Minute}, metav1.Duration{Duration: time.Hour}
	tests := map[string]struct {
		reason         string
		schedule       v1alpha1.Schedule
		retry, timeout time.Duration
	}{
		"defaults": {"retries wait for the interval", v1alpha1.Schedule{Interval: hour}, time.Hour, v1alpha1.DefaultTimeout},
		"set":      {"what is set holds", v1alpha1.Schedule{Interval: hour, RetryInterval: minute, Timeout: minute}, time.Minute, time.Minute},
		"zero": {
			"an object from before the rules must not be retried without pause",
			v1alpha1.Schedule{Interval: hour, RetryInterval: &metav1.Duration{}, Timeout: &metav1.Duration{}},
			time.Hour, v1alpha1.DefaultTimeout,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := tt.schedule.GetRetryInterval(); got != tt.retry {
				t.Errorf("%s: got a retry after %s, want %s", tt.reason, got, tt.retry)
			}
			if got := tt.schedule.GetTimeout(); got != tt.timeout {
				t.Errorf("%s: got a timeout of %s, want %s", tt.reason, got, tt.timeout)
			}
		})
	}
}

func TestSnapshotHasNoInterval(t *testing.T) {
	t.Parallel()
	snapshot := &v1alpha1.Snapshot{Spec: v1alpha1.SnapshotSpec{Suspend: true}}
	if diff := cmp.Diff(v1alpha1.Schedule{Suspend: true}, snapshot.GetSchedule()); diff != "" {
		t.Error(diff)
	}
}

func TestSnapshotWriters(t *testing.T) {
	t.Parallel()
	origins := []v1alpha1.Origin{{Namespace: "default", Name: "podinfo", Version: "6.3.6"}}
	status := v1alpha1.MutationStatus{
		SnapshotName: "a-bcdefgh", LatestSnapshotDigest: "sha256:a", LatestManifestDigest: "sha256:b", LatestSourceVersion: "6.3.6", Origins: origins,
	}
	writers := map[string]v1alpha1.SnapshotWriter{
		"Localization":  &v1alpha1.Localization{Status: status},
		"Configuration": &v1alpha1.Configuration{Status: status},
		"Resource": &v1alpha1.Resource{Status: v1alpha1.ResourceStatus{
			SnapshotName: "a-bcdefgh", LatestSnapshotDigest: "sha256:a", LatestManifestDigest: "sha256:b", LatestSourceVersion: "6.3.6", Origins: origins,
		}},
	}
	for name, writer := range writers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := []string{writer.GetSnapshotName(), writer.GetSnapshotDigest(), writer.GetManifestDigest(), writer.GetSourceVersion()}
			if diff := cmp.Diff([]string{"a-bcdefgh", "sha256:a", "sha256:b", "6.3.6"}, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(origins, writer.GetOrigins()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestObjectReferenceWithDefaults(t *testing.T) {
	t.Parallel()
	written := v1alpha1.ObjectReference{Name: "podinfo"}
	want := v1alpha1.ObjectReference{APIVersion: "delivery.ocm.software/v1alpha1", Kind: "ComponentVersion", Name: "podinfo", Namespace: "default"}
	if diff := cmp.Diff(want, written.WithDefaults("default")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(v1alpha1.ObjectReference{Name: "podinfo"}, written); diff != "" {
		t.Errorf("the spec was written to: %s", diff)
	}
	full := v1alpha1.ObjectReference{APIVersion: "a/v1", Kind: "B", Name: "c", Namespace: "d", ResourceRef: &v1alpha1.ResourceReference{Name: "e"}}
	if diff := cmp.Diff(full, full.WithDefaults("default")); diff != "" {
		t.Errorf("what is written holds: %s", diff)
	}
}

func TestAnyVersion(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{"": true, "latest": true, "1.0.0": false, "Latest": false} {
		if got := (v1alpha1.ResourceReference{Version: version}).AnyVersion(); got != want {
			t.Errorf("%q: got %t, want %t", version, got, want)
		}
	}
}

func TestGetValuesSources(t *testing.T) {
	t.Parallel()
	one := v1alpha1.ValuesSource{SecretSource: &v1alpha1.SecretSource{Key: "one"}}
	two := v1alpha1.ValuesSource{SecretSource: &v1alpha1.SecretSource{Key: "two"}}
	tests := map[string]struct {
		reason string
		spec   v1alpha1.MutationSpec
		want   []v1alpha1.ValuesSource
	}{
		"none": {"values may be written in the spec", v1alpha1.MutationSpec{}, nil},
		"one":  {"one place", v1alpha1.MutationSpec{ValuesFrom: &one}, []v1alpha1.ValuesSource{one}},
		"list": {"the order is kept", v1alpha1.MutationSpec{ValuesSources: []v1alpha1.ValuesSource{two, one}}, []v1alpha1.ValuesSource{two, one}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, tt.spec.GetValuesSources()); diff != "" {
				t.Errorf("%s: %s", tt.reason, diff)
			}
		})
	}
}

// TestSpecDigest: how often an object is looked at says nothing about what it asks for.
func TestSpecDigest(t *testing.T) {
	t.Parallel()
	spec := v1alpha1.ComponentVersionSpec{Component: "acme.org/app", Version: v1alpha1.Version{Semver: "1.0.0"}}
	before := spec.Digest()
	spec.Interval.Duration, spec.Suspend = time.Hour, true
	if got := spec.Digest(); got != before || !strings.HasPrefix(got, "sha256:") || len(got) != 71 {
		t.Errorf("with another schedule the digest is %q, was %q", got, before)
	}
	if !spec.Suspend {
		t.Error("the spec was changed")
	}
	spec.Verify = []v1alpha1.Signature{{Name: "dev"}}
	if spec.Digest() == before {
		t.Error("with a signature to verify the digest is the same")
	}
}

func TestAccess(t *testing.T) {
	t.Parallel()
	const written = `{"type":"localBlob","size":18446744073709551615,"globalAccess":{"type":"ociBlob"}}`
	access, err := v1alpha1.NewAccess([]byte(written))
	if err != nil {
		t.Fatal(err)
	}
	if access.Type != "localBlob" {
		t.Errorf("got the type %q", access.Type)
	}
	if read, err := json.Marshal(access); err != nil || string(read) != written {
		t.Errorf("got %s (%v), want it as it was written", read, err)
	}
	if read, err := json.Marshal(v1alpha1.Access{Type: "none"}); err != nil || string(read) != `{"type":"none"}` {
		t.Errorf("got %s (%v), want the type alone", read, err)
	}
	if _, err := v1alpha1.NewAccess([]byte(`{}`)); !errors.Is(err, v1alpha1.ErrAccessWithoutType) {
		t.Errorf("got %v, want ErrAccessWithoutType", err)
	}
	if _, err := v1alpha1.NewAccess([]byte(`[1]`)); err == nil {
		t.Error("a list is no access")
	}
}

func FuzzNewAccess(f *testing.F) {
	f.Add([]byte(`{"type":"ociArtifact","imageReference":"ghcr.io/a/b:1"}`))
	f.Add([]byte(`{"type":1}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		access, err := v1alpha1.NewAccess(data)
		if err != nil {
			return
		}
		written, err := json.Marshal(access)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := v1alpha1.NewAccess(written)
		if err != nil || again.Type != access.Type {
			t.Errorf("got the type %q (%v) after %q", again.Type, err, access.Type)
		}
	})
}
