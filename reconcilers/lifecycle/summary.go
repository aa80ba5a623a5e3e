package lifecycle

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
)

// maxMessage bounds the text of a condition; the API server refuses more than 32 KiB, and nobody reads that much.
const maxMessage = 4096

// outcome is what a reconciliation came to, for its report.
type outcome struct {
	verdict *Verdict
	// stands is set when the object stays Ready by its last verdict.
	stands bool
	// message is the text of the Ready condition, or of what keeps the object from being reconciled.
	message string
	// event is the text of the event that reports a failure.
	event string
}

// summarise turns the outcome of the steps into conditions. It doesn't touch conditions that say the same already.
func (r *Reconciler[T, R]) summarise(obj, before T, run R, verdict *Verdict) outcome {
	out := outcome{verdict: verdict}
	status := obj.GetStatus()
	// While work goes on nothing is looked at anew, so who asks for that has no answer yet.
	if at, ok := meta.ReconcileAnnotationValue(obj.GetAnnotations()); ok && (verdict == nil || verdict.kind != busy) {
		status.SetLastHandledReconcileRequest(at)
	}
	if verdict == nil {
		out.message = r.kind.Ready(run)
		conditions.Delete(obj, meta.ReconcilingCondition)
		conditions.Delete(obj, meta.StalledCondition)
		conditions.MarkTrue(obj, meta.ReadyCondition, meta.SucceededReason, "%s", out.message)
		status.ObservedGeneration = obj.GetGeneration()
		return out
	}

	out.message = clip(verdict.Error())
	out.event = cmp.Or(clip(verdict.Event), out.message)
	out.stands = readyAt(before) && !verdict.Final()
	switch {
	case verdict.kind == busy:
		conditions.Delete(obj, meta.StalledCondition)
		conditions.MarkReconciling(obj, verdict.Reason, "%s", out.message)
		if !slices.ContainsFunc(before.GetConditions(), concerns(obj)) {
			conditions.MarkUnknown(obj, meta.ReadyCondition, verdict.Reason, "%s", r.kind.Progress(obj))
		}
		return out
	case verdict.kind == stall:
		conditions.Delete(obj, meta.ReconcilingCondition)
		conditions.MarkStalled(obj, verdict.Reason, "%s", out.message)
		status.ObservedGeneration = obj.GetGeneration()
	case out.stands:
		conditions.Delete(obj, meta.StalledCondition)
		conditions.MarkReconciling(obj, progressReason(verdict), "%s", out.message)
		return out
	default:
		conditions.Delete(obj, meta.StalledCondition)
		conditions.MarkReconciling(obj, progressReason(verdict), "%s", r.kind.Progress(obj))
	}
	conditions.MarkFalse(obj, meta.ReadyCondition, verdict.Reason, "%s", out.message)
	return out
}

// progressReason is the reason of Reconciling: what is waited for, or that there will be another try.
func progressReason(v *Verdict) string {
	if v.kind == wait || v.kind == busy {
		return v.Reason
	}
	return meta.ProgressingWithRetryReason
}

// report emits the events of a reconciliation, only for what changed.
func (r *Reconciler[T, R]) report(ctx context.Context, obj, before T, out outcome) {
	events := r.events(ctx)
	interval := obj.GetSchedule().Interval.Duration
	r.opts.Metrics.outcome(r.kind.Name, obj, out)
	if out.verdict == nil || out.verdict.kind != busy {
		defer r.interrupted.forget(client.ObjectKeyFromObject(obj))
	}
	switch {
	case out.verdict == nil:
		if !readyAt(before) || !sameCondition(obj, before, meta.ReadyCondition) {
			message := "Reconciliation finished"
			if interval > 0 {
				message += fmt.Sprintf(", next run in %s", interval)
			}
			events.Delivered(obj, r.kind.Delivered(obj), meta.SucceededReason, message)
		}
	case out.verdict.kind == busy:
		r.interrupted.note(before)
	case out.verdict.kind == wait:
		// Waiting is no event: what is waited for reports itself.
	case out.stands:
		if !sameCondition(obj, before, meta.ReconcilingCondition) && !r.interrupted.reported(obj) {
			events.Warning(obj, out.verdict.Reason, out.event)
		}
	case !sameCondition(obj, before, meta.ReadyCondition):
		r.reportFailure(events, obj, out)
	}
}

// reportFailure emits the cause and the closing event of a failed reconciliation.
func (r *Reconciler[T, R]) reportFailure(events Events, obj T, out outcome) {
	if out.verdict.kind == stall {
		events.Warning(obj, out.verdict.Reason, out.event)
		return
	}
	suffix := fmt.Sprintf("retrying in %s", cmp.Or(obj.GetSchedule().GetRetryInterval(), r.kind.Every))
	if out.verdict.backsOff() {
		suffix = "retrying with backoff"
	}
	events.Warning(obj, out.verdict.Reason, out.event+", "+suffix)
	events.Warning(obj, out.verdict.Reason, "Reconciliation did not succeed, "+suffix)
}

// readyAt tells whether the object is Ready at its current generation.
func readyAt(obj Object) bool {
	return conditions.IsTrue(obj, meta.ReadyCondition) && obj.GetStatus().ObservedGeneration == obj.GetGeneration()
}

// concerns tells conditions that speak of the object's current generation.
func concerns(obj Object) func(metav1.Condition) bool {
	return func(c metav1.Condition) bool {
		return c.Type == meta.ReadyCondition && c.ObservedGeneration == obj.GetGeneration()
	}
}

// sameCondition compares what a condition says, not when it was said.
func sameCondition(a, b Object, conditionType string) bool {
	left, right := conditions.Get(a, conditionType), conditions.Get(b, conditionType)
	if left == nil || right == nil {
		return left == right
	}
	return left.Status == right.Status && left.Reason == right.Reason && left.Message == right.Message &&
		left.ObservedGeneration == right.ObservedGeneration
}

func clip(message string) string {
	message = strings.TrimSpace(message)
	if len(message) <= maxMessage {
		return message
	}
	return strings.ToValidUTF8(message[:maxMessage], "") + "..."
}
