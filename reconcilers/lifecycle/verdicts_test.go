package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

var errUnreachable = errors.New("registry is unreachable")

// Histories that an object may have before the step ends with an error.
const (
	neverReady  = "never ready"
	readyBefore = "ready before"
	specChanged = "spec changed"
)

// wanted is what a verdict comes to.
type wanted struct {
	conditions map[string]string
	observed   int64
	events     []string
	after      time.Duration
	writes     int
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	const reason = v1alpha1.GetResourceFailedReason
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "snapshots"}, "app", errors.New("newer"))
	failed := func(reason string) map[string]string {
		return map[string]string{"Ready": "False " + reason, "Reconciling": "True ProgressingWithRetry"}
	}
	stalled := map[string]string{"Ready": "False " + reason, "Stalled": "True " + reason}
	inProgress := map[string]string{"Ready": "Unknown Progressing", "Reconciling": "True Progressing"}
	succeeded := map[string]string{"Ready": "True Succeeded"}
	stands := func(reason string) map[string]string {
		return map[string]string{"Ready": "True Succeeded", "Reconciling": "True " + reason}
	}
	finished := []string{"Normal Succeeded Reconciliation finished, next run in 10m0s"}
	backoff := func(reason string) []string {
		return []string{
			"Warning " + reason + " registry is unreachable, retrying with backoff",
			"Warning " + reason + " Reconciliation did not succeed, retrying with backoff",
		}
	}
	late := []string{
		"Warning " + reason + " registry is unreachable, retrying in 10m0s",
		"Warning " + reason + " Reconciliation did not succeed, retrying in 10m0s",
	}
	const first, interval = 750 * time.Millisecond, reconcilertest.Interval

	for name, tc := range map[string]struct {
		err    error
		reason string
		want   map[string]wanted
	}{
		"success": {nil, "the object is ready, and says so once", map[string]wanted{
			neverReady:  {succeeded, 1, finished, interval, 2},
			readyBefore: {succeeded, 1, nil, interval, 0},
			specChanged: {succeeded, 2, finished, interval, 2},
		}},
		"wait": {lifecycle.Wait(reason, 0, errUnreachable), "what is waited for reports itself, and what was delivered is good still", map[string]wanted{
			neverReady:  {map[string]string{"Ready": "False " + reason, "Reconciling": "True " + reason}, 0, nil, interval, 2},
			readyBefore: {stands(reason), 1, nil, interval, 1},
			specChanged: {map[string]string{"Ready": "False " + reason, "Reconciling": "True " + reason}, 1, nil, interval, 2},
		}},
		"wait for a time": {lifecycle.Wait(reason, 7*time.Second, errUnreachable), "the step knows when to look again", map[string]wanted{
			neverReady:  {map[string]string{"Ready": "False " + reason, "Reconciling": "True " + reason}, 0, nil, 7 * time.Second, 2},
			readyBefore: {stands(reason), 1, nil, 7 * time.Second, 1},
		}},
		"busy": {lifecycle.Busy(meta.ProgressingReason, errUnreachable), "work that goes on is no verdict", map[string]wanted{
			neverReady:  {inProgress, 0, nil, interval, 2},
			readyBefore: {stands(meta.ProgressingReason), 1, nil, interval, 1},
			specChanged: {inProgress, 1, nil, interval, 2},
		}},
		"fail": {lifecycle.Fail(reason, errUnreachable), "a verdict clears Ready", map[string]wanted{
			neverReady:  {failed(reason), 0, late, interval, 2},
			readyBefore: {failed(reason), 1, late, interval, 1},
			specChanged: {failed(reason), 1, late, interval, 2},
		}},
		"stall": {lifecycle.Stall(reason, errUnreachable), "the user has to act, so there is no other try to announce", map[string]wanted{
			neverReady:  {stalled, 1, []string{"Warning " + reason + " registry is unreachable"}, interval, 2},
			readyBefore: {stalled, 1, []string{"Warning " + reason + " registry is unreachable"}, interval, 1},
			specChanged: {stalled, 2, []string{"Warning " + reason + " registry is unreachable"}, interval, 2},
		}},
		"hinder": {lifecycle.Hinder(reason, errUnreachable), "a verdict that passes by itself clears Ready, and is retried with backoff", map[string]wanted{
			neverReady:  {failed(reason), 0, backoff(reason), first, 2},
			readyBefore: {failed(reason), 1, backoff(reason), first, 1},
			specChanged: {failed(reason), 1, backoff(reason), first, 2},
		}},
		"retry": {lifecycle.Retry(reason, errUnreachable), "a passing fault is retried with backoff", map[string]wanted{
			neverReady:  {failed(reason), 0, backoff(reason), first, 2},
			readyBefore: {stands("ProgressingWithRetry"), 1, []string{"Warning " + reason + " registry is unreachable"}, first, 1},
			specChanged: {failed(reason), 1, backoff(reason), first, 2},
		}},
		"plain error": {errUnreachable, "an error without a verdict is a passing fault", map[string]wanted{
			neverReady:  {failed("Failed"), 0, backoff("Failed"), first, 2},
			readyBefore: {stands("ProgressingWithRetry"), 1, []string{"Warning Failed registry is unreachable"}, first, 1},
		}},
		"retry of a verdict": {lifecycle.Retry("Other", lifecycle.Stall(reason, errUnreachable)), "a verdict stays what it is", map[string]wanted{
			neverReady: {stalled, 1, []string{"Warning " + reason + " registry is unreachable"}, interval, 2},
		}},
		"conflict": {lifecycle.Retry(reason, fmt.Errorf("write the Snapshot: %w", conflict)), "meeting a newer version says nothing about the object", map[string]wanted{
			neverReady:  {inProgress, 0, nil, first, 1},
			readyBefore: {succeeded, 1, nil, first, 0},
		}},
		"already exists": {apierrors.NewAlreadyExists(schema.GroupResource{Resource: "snapshots"}, "app"), "the cache was behind", map[string]wanted{
			readyBefore: {succeeded, 1, nil, first, 0},
		}},
	} {
		for history, want := range tc.want {
			t.Run(name+"/"+history, func(t *testing.T) {
				t.Parallel()
				b := newBench(t)
				if history != neverReady {
					b.settle(t)
				}
				if history == specChanged {
					b.changeSpec()
				}
				b.fails(tc.err)
				result := b.reconcile(t)
				got := wanted{reconcilertest.Conditions(b.obj), b.obj.Status.ObservedGeneration, b.Events(), result.RequeueAfter, len(b.Writes())}
				if diff := cmp.Diff(want, got, cmp.AllowUnexported(wanted{})); diff != "" {
					t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
				}
			})
		}
	}
}

// TestUnchangedWorldIsSilent repeats every outcome: what was said once is neither written nor reported again.
func TestUnchangedWorldIsSilent(t *testing.T) {
	t.Parallel()
	const reason = v1alpha1.GetResourceFailedReason
	for name, err := range map[string]error{
		"success": nil,
		"wait":    lifecycle.Wait(reason, 0, errUnreachable),
		"busy":    lifecycle.Busy(meta.ProgressingReason, errUnreachable),
		"fail":    lifecycle.Fail(reason, errUnreachable),
		"stall":   lifecycle.Stall(reason, errUnreachable),
		"retry":   lifecycle.Retry(reason, errUnreachable),
	} {
		for _, settled := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/ready before %t", name, settled), func(t *testing.T) {
				t.Parallel()
				b := newBench(t)
				if settled {
					b.settle(t)
				}
				b.fails(err)
				b.reconcile(t)
				b.Writes()
				b.Events()
				version := b.obj.ResourceVersion
				for range 3 {
					b.reconcile(t)
				}
				if writes, events := b.Writes(), b.Events(); len(writes) > 0 || len(events) > 0 || b.obj.ResourceVersion != version {
					t.Errorf("three more times in the same world: writes %v, events %v, want none", writes, events)
				}
			})
		}
	}
}

func TestRecovery(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault  error
		events []string
	}{
		"from a stall":            {lifecycle.Stall("Reason", errUnreachable), []string{"Normal Succeeded Reconciliation finished, next run in 10m0s"}},
		"from a failure":          {lifecycle.Fail("Reason", errUnreachable), []string{"Normal Succeeded Reconciliation finished, next run in 10m0s"}},
		"from a fault that stood": {lifecycle.Retry("Reason", errUnreachable), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.settle(t)
			b.fails(tc.fault)
			b.reconcile(t)
			b.Events()
			b.step = nil
			b.reconcile(t)
			if diff := cmp.Diff(map[string]string{"Ready": "True Succeeded"}, reconcilertest.Conditions(b.obj)); diff != "" {
				t.Errorf("conditions after recovery (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.events, b.Events()); diff != "" {
				t.Errorf("events of recovery (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadyMessageChanges(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.settle(t)
	b.ready = "Applied version: 2.0.0"
	b.reconcile(t)
	if got := reconcilertest.Message(b.obj, "Ready"); got != b.ready {
		t.Errorf("message of Ready is %q, want %q", got, b.ready)
	}
	if diff := cmp.Diff([]string{"Normal Succeeded Reconciliation finished, next run in 10m0s"}, b.Events()); diff != "" {
		t.Errorf("an upgrade is one event (-want +got):\n%s", diff)
	}
}

func TestRetryInterval(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Change(b.obj, func() { b.obj.Spec.RetryInterval = &metav1.Duration{Duration: time.Minute} })
	b.fails(lifecycle.Fail("Reason", errUnreachable))
	if got := b.reconcile(t).RequeueAfter; got != time.Minute {
		t.Errorf("a failure is asked again after %s, want spec.retryInterval", got)
	}
	if events := b.Events(); len(events) != 2 || !strings.HasSuffix(events[1], "retrying in 1m0s") {
		t.Errorf("events %q, want them to name the retry interval", events)
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Change(b.obj, func() { b.obj.Spec.Timeout = &metav1.Duration{Duration: time.Millisecond} })
	b.step = func(ctx context.Context, _ *v1alpha1.Resource) error {
		<-ctx.Done()
		return lifecycle.Stall("Reason", fmt.Errorf("read the resource: %w", ctx.Err()))
	}
	b.reconcile(t)
	want := map[string]string{"Ready": "False Failed", "Reconciling": "True ProgressingWithRetry"}
	if diff := cmp.Diff(want, reconcilertest.Conditions(b.obj)); diff != "" {
		t.Errorf("running out of time is a passing fault, whatever the step made of it (-want +got):\n%s", diff)
	}
	if got := reconcilertest.Message(b.obj, "Ready"); !strings.Contains(got, `step "work"`) || !strings.Contains(got, "spec.timeout") {
		t.Errorf("message %q names neither the step nor what to change", got)
	}
}

func TestWrappedVerdictKeepsText(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.fails(fmt.Errorf("resource manifests: %w", lifecycle.Fail("Reason", errUnreachable)))
	b.reconcile(t)
	if got, want := reconcilertest.Message(b.obj, "Ready"), "resource manifests: registry is unreachable"; got != want {
		t.Errorf("message is %q, want %q", got, want)
	}
}

// TestEventSaysSomethingElse has a verdict whose event is a line that people look for, while the condition tells more.
func TestEventSaysSomethingElse(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		verdict error
		want    []string
	}{
		"fail": {lifecycle.Fail("Reason", errUnreachable), []string{
			"Warning Reason it is away, retrying in 10m0s", "Warning Reason Reconciliation did not succeed, retrying in 10m0s",
		}},
		"stall":      {lifecycle.Stall("Reason", errUnreachable), []string{"Warning Reason it is away"}},
		"no verdict": {errUnreachable, []string{"Warning Failed registry is unreachable, retrying with backoff", "Warning Failed Reconciliation did not succeed, retrying with backoff"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.fails(fmt.Errorf("resource manifests: %w", lifecycle.WithEvent("it is away", tc.verdict)))
			b.reconcile(t)
			if got, want := reconcilertest.Message(b.obj, "Ready"), "resource manifests: registry is unreachable"; got != want {
				t.Errorf("message is %q, want %q", got, want)
			}
			got := b.Events()
			for i := range got {
				got[i] = strings.Replace(got[i], "resource manifests: ", "", 1) // what wraps an error is part of its text
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLongMessageIsClipped(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.fails(errors.New("  " + strings.Repeat("é", 5000) + "  "))
	b.reconcile(t)
	got := reconcilertest.Message(b.obj, "Ready")
	if len(got) > 4100 || !strings.HasSuffix(got, "é...") || strings.ContainsRune(got, '\uFFFD') {
		t.Errorf("message has %d bytes and ends with %q, want at most 4 KiB that end with a whole character and ...", len(got), got[len(got)-8:])
	}
}

// TestWithin bounds when an object is asked again while something goes on, and only then.
func TestWithin(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	for name, tc := range map[string]struct {
		err  error
		want time.Duration
	}{
		"busy":          {lifecycle.Busy("Progressing", cause), time.Minute},
		"waits longer":  {lifecycle.Wait("Progressing", time.Hour, cause), time.Minute},
		"waits shorter": {lifecycle.Wait("Progressing", time.Second, cause), time.Second},
		"fails":         {lifecycle.Fail("Failed", cause), 0},
	} {
		err := lifecycle.Within(time.Minute, tc.err)
		v, ok := errors.AsType[*lifecycle.Verdict](err)
		if !ok || v.After != tc.want || !errors.Is(err, cause) {
			t.Errorf("%s: %#v, want it again after %s", name, err, tc.want)
		}
	}
	if err := lifecycle.Within(time.Minute, cause); err != cause { //nolint:errorlint // it is the same one
		t.Errorf("another error became %v", err)
	}
}
