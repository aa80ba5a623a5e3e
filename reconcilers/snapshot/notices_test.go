package snapshot_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	snapshotkind "github.com/ocm-operator/ocm-operator/reconcilers/snapshot"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

// fullness is a store that takes nothing for some repositories.
type fullness map[string]string

func (f fullness) Full(repository string) string                    { return f[repository] }
func (f fullness) Follow(ctx context.Context, _ func(store.Notice)) { <-ctx.Done() }

func TestRoomIsACondition(t *testing.T) {
	t.Parallel()
	const why = "the registry holds all that --registry-max-size allows"
	w := reconcilertest.New(t)
	full := fullness{"default/other": "not this one"}
	controller := w.Install(snapshotkind.Plugin(snapshotkind.Options{Lifecycle: w.Lifecycle, Store: w.Store, Notices: full, Recheck: time.Minute}))
	s := written(t, w)
	controller.Reconcile(s)
	w.Events()
	ready := map[string]string{"Ready": "True Succeeded"}
	refused := map[string]string{"Ready": "True Succeeded", v1alpha1.StorageFullCondition: "True StorageFull"}
	for _, step := range []struct {
		name, full string
		want       map[string]string
		events     []string
	}{
		{"room", "", ready, nil},
		{"refused", why, refused, []string{"Warning StorageFull " + why}},
		{"still refused", why, refused, nil},
		{"refused for another reason", "the disk is full", refused, []string{"Warning StorageFull the disk is full"}},
		{"room again", "", ready, []string{"Normal Progressing The registry takes new content again"}},
		{"still room", "", ready, nil},
	} {
		full["default/app"] = step.full
		controller.Reconcile(s)
		if diff := cmp.Diff(step.want, reconcilertest.Conditions(s)); diff != "" {
			t.Errorf("%s: conditions (-want +got):\n%s", step.name, diff)
		}
		if diff := cmp.Diff(step.events, w.Events()); diff != "" {
			t.Errorf("%s: events (-want +got):\n%s", step.name, diff)
		}
		if got := reconcilertest.Message(s, v1alpha1.StorageFullCondition); got != step.full {
			t.Errorf("%s: message is %q", step.name, got)
		}
	}
}

// TestRoomAfterARestart: a store that was just opened knows of nobody whom it has refused. That is no news, and nobody is told.
func TestRoomAfterARestart(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	full := fullness{"default/app": "no room"}
	plugin := func() snapshotkind.Options {
		return snapshotkind.Options{Lifecycle: w.Lifecycle, Store: w.Store, Notices: full, Recheck: time.Minute}
	}
	s := written(t, w)
	w.Install(snapshotkind.Plugin(plugin())).Reconcile(s)
	w.Events()
	clear(full)
	next := w.Install(snapshotkind.Plugin(plugin()))
	next.Reconcile(s)
	if diff := cmp.Diff(map[string]string{"Ready": "True Succeeded"}, reconcilertest.Conditions(s)); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	if events := w.Events(); len(events) > 0 {
		t.Errorf("events: %q", events)
	}
	full["default/app"] = "no room"
	next.Reconcile(s)
	clear(full)
	next.Reconcile(s)
	want := []string{"Warning StorageFull no room", "Normal Progressing The registry takes new content again"}
	if diff := cmp.Diff(want, w.Events()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// TestNoRoomForWhatIsMissing has both troubles at once: each is said, and each goes by itself.
func TestNoRoomForWhatIsMissing(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	full := fullness{}
	controller := w.Install(snapshotkind.Plugin(snapshotkind.Options{Lifecycle: w.Lifecycle, Store: w.Store, Notices: full, Recheck: time.Minute}))
	s := written(t, w)
	controller.Reconcile(s)
	w.Tamper(s.Spec.Digest)
	full["default/app"] = "no room"
	controller.Reconcile(s)
	want := map[string]string{"Ready": "False ContentMissing", "Reconciling": "True ProgressingWithRetry", v1alpha1.StorageFullCondition: "True StorageFull"}
	if diff := cmp.Diff(want, reconcilertest.Conditions(s)); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	delete(full, "default/app")
	write(t, w)
	controller.Reconcile(s)
	if diff := cmp.Diff(map[string]string{"Ready": "True Succeeded"}, reconcilertest.Conditions(s)); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
}

func TestWhatIsLostAndHealedIsCounted(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	metrics := prometheus.NewRegistry()
	controller := w.Install(snapshotkind.Plugin(snapshotkind.Options{Lifecycle: w.Lifecycle, Store: w.Store, Metrics: metrics, Recheck: time.Minute}))
	s := written(t, w)
	counts := func(missing, healed string) {
		t.Helper()
		want := `
# HELP ocm_snapshot_content_healed_total How often missing content of a Snapshot was found again, because its owner has written it.
# TYPE ocm_snapshot_content_healed_total counter
ocm_snapshot_content_healed_total ` + healed + `
# HELP ocm_snapshot_content_missing_total How often the content of a Snapshot was found to be missing or damaged.
# TYPE ocm_snapshot_content_missing_total counter
ocm_snapshot_content_missing_total ` + missing + "\n"
		names := []string{"ocm_snapshot_content_healed_total", "ocm_snapshot_content_missing_total"}
		if err := testutil.GatherAndCompare(metrics, strings.NewReader(want), names...); err != nil {
			t.Error(err)
		}
	}
	controller.Reconcile(s)
	counts("0", "0")
	w.Tamper(s.Spec.Digest)
	controller.Reconcile(s)
	controller.Reconcile(s) // missing still
	counts("1", "0")
	write(t, w)
	controller.Reconcile(s)
	controller.Reconcile(s) // there still
	counts("1", "1")
	if n, err := testutil.GatherAndCount(metrics, "ocm_snapshot_healing_seconds"); err != nil || n != 1 {
		t.Errorf("the time is told %d times: %v", n, err)
	}
}
