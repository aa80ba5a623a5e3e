package replica

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

// opForward is a request that is answered by the leader.
const opForward = "forward"

// Metrics counts what goes on between replicas. It is a prometheus.Collector; whoever makes it registers it. A nil *Metrics
// counts nothing.
type Metrics struct {
	requests *prometheus.CounterVec
	received prometheus.Counter
	copies   *prometheus.CounterVec
	missing  prometheus.Gauge
}

// NewMetrics returns the metrics of a replica.
func NewMetrics() *Metrics {
	opts := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "ocm", Subsystem: "registry", Name: name, Help: help}
	}
	return &Metrics{
		requests: prometheus.NewCounterVec(opts("peer_requests_total",
			"Requests of this replica to the one that leads, by kind (forward, blob, manifest) and result (ok, missing, wrong, full, unavailable)."), []string{"kind", "result"}),
		received: prometheus.NewCounter(opts("peer_received_bytes_total", "Bytes of content that this replica has fetched from the one that leads.")),
		copies: prometheus.NewCounterVec(opts("mirror_copies_total",
			"Artifacts that this replica copied before anybody asked for them, by result (ok, missing, wrong, full, unavailable)."), []string{"result"}),
		missing: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "ocm", Subsystem: "registry", Name: "mirror_missing", Help: "Artifacts that this replica lacked when it last looked; 0 in the one that leads.",
		}),
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range m.all() {
		c.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range m.all() {
		c.Collect(ch)
	}
}

func (m *Metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.requests, m.received, m.copies, m.missing}
}

// Missing tells how many artifacts a look at all of them has found missing.
func (m *Metrics) Missing(n int) {
	if m != nil {
		m.missing.Set(float64(n))
	}
}

func (m *Metrics) asked(kind string, err error, received int64) {
	if m == nil || errors.Is(err, errLeading) {
		return
	}
	m.requests.WithLabelValues(kind, result(err)).Inc()
	m.received.Add(float64(received))
}

func (m *Metrics) mirrored(err error) {
	if m != nil {
		m.copies.WithLabelValues(result(err)).Inc()
	}
}

func result(err error) string {
	_, wrong := errors.AsType[*store.DigestMismatchError](err)
	_, full := errors.AsType[*storeError](err)
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, ErrMissing):
		return "missing"
	case full:
		return "full"
	case wrong:
		return "wrong"
	default:
		return "unavailable"
	}
}
