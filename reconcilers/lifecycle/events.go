package lifecycle

import (
	"errors"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ReportingComponent is the name under which events are reported. It is the name of the controller that this operator
// replaces, because people and alerts filter by it.
const ReportingComponent = "ocm-controller"

// +kubebuilder:rbac:roleName=operator,groups="",resources=events,verbs=create;patch

// Events reports what happened to an object: as an event for `kubectl events`, and as one log line with the same text, so
// that searching the log for a kind shows its history.
type Events struct {
	recorder record.EventRecorder
	// log names the object.
	log logr.Logger
}

// Normal reports a change.
func (e Events) Normal(obj client.Object, reason, message string) {
	e.log.Info(message, "reason", reason)
	e.recorder.Event(obj, corev1.EventTypeNormal, reason, message)
}

// Delivered reports the end of a reconciliation, with annotations for notifications.
func (e Events) Delivered(obj client.Object, annotations map[string]string, reason, message string) {
	e.log.Info(message, "reason", reason)
	e.recorder.AnnotatedEventf(obj, annotations, corev1.EventTypeNormal, reason, "%s", message)
}

// Warning reports a failure.
func (e Events) Warning(obj client.Object, reason, message string) {
	e.log.Error(errors.New(reason), message, "reason", reason)
	e.recorder.Event(obj, corev1.EventTypeWarning, reason, message)
}
