package lifecycle

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
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
			Help: "Reconciliations by kind and the reason that they ended with; Succeeded is the good one.",
		}, []string{"kind", "reason"}),
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
	reason, ready := "Succeeded", 1.0
	if out.verdict != nil {
		reason = out.verdict.Reason
		if !out.stands {
			ready = 0
		}
	}
	m.outcomes.WithLabelValues(kind, reason).Inc()
	m.ready.WithLabelValues(kind, obj.GetNamespace(), obj.GetName()).Set(ready)
}

func (m *Metrics) forget(kind string, key types.NamespacedName) {
	if m != nil {
		m.ready.DeleteLabelValues(kind, key.Namespace, key.Name)
	}
}

func reference(kind string, req ctrl.Request) corev1.ObjectReference {
	return corev1.ObjectReference{Kind: kind, Namespace: req.Namespace, Name: req.Name}
}
