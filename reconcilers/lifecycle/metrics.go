package lifecycle

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/fluxcd/pkg/apis/meta"
)

// Results of reconciliations. Alerts have to tell what waits for its turn, and what a server did not answer, from a judgement.
const (
	resultSucceeded = "succeeded"
	resultWaiting   = "waiting"
	resultFault     = "fault"
	resultRefused   = "refused"
)

// Metrics are the lifecycle's own metrics. A nil *Metrics records nothing.
type Metrics struct {
	steps    *prometheus.HistogramVec
	outcomes *prometheus.CounterVec
	ready    *prometheus.GaugeVec
}

// NewMetrics returns the metrics, registered with the registerer.
func NewMetrics(registerer prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		steps: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "ocm_step_duration_seconds",
			Help:    "Time that one step of a reconciliation took.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 9), // 1 ms to 65 s
		}, []string{"kind", "step"}),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ocm_reconcile_total",
			Help: "Reconciliations by kind, the reason that they ended with, and whether they succeeded, waited, met a fault that passes, or came to a refusal.",
		}, []string{"kind", "reason", "result"}),
		ready: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ocm_resource_ready",
			Help: "Whether an object is Ready (1) or not (0).",
		}, []string{"kind", "namespace", "name"}),
	}
	for _, c := range []prometheus.Collector{m.steps, m.outcomes, m.ready} {
		if err := registerer.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *Metrics) step(kind, step string, took time.Duration) {
	if m != nil {
		m.steps.WithLabelValues(kind, step).Observe(took.Seconds())
	}
}

func (m *Metrics) outcome(kind string, obj Object, out outcome) {
	if m == nil {
		return
	}
	reason, result, ready := meta.SucceededReason, resultSucceeded, 1.0
	if out.verdict != nil {
		reason, result = out.verdict.Reason, out.verdict.result()
		if !out.stands {
			ready = 0
		}
	}
	m.outcomes.WithLabelValues(kind, reason, result).Inc()
	m.ready.WithLabelValues(kind, obj.GetNamespace(), obj.GetName()).Set(ready)
}

func (v *Verdict) result() string {
	switch {
	case v.kind == wait || v.kind == busy:
		return resultWaiting
	case v.Final():
		return resultRefused
	default:
		return resultFault
	}
}

// forget drops what is known of an object that is gone or suspended: nobody looks whether it is ready any more.
func (m *Metrics) forget(kind string, key types.NamespacedName) {
	if m != nil {
		m.ready.DeleteLabelValues(kind, key.Namespace, key.Name)
	}
}

func reference(kind string, req ctrl.Request) corev1.ObjectReference {
	return corev1.ObjectReference{Kind: kind, Namespace: req.Namespace, Name: req.Name}
}
