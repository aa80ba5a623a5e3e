package snapshot

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count what was lost and what came back. A nil *metrics counts nothing.
type metrics struct {
	lost, back prometheus.Counter
	gap        prometheus.Histogram
}

// newMetrics returns the metrics, registered; without a registerer there are none.
func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	if registerer == nil {
		return nil, nil //nolint:nilnil // nil metrics count nothing
	}
	m := &metrics{
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ocm_snapshot_content_missing_total",
			Help: "How often the content of a Snapshot was found to be missing or damaged.",
		}),
		back: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ocm_snapshot_content_healed_total",
			Help: "How often missing content of a Snapshot was found again, because its owner has written it.",
		}),
		gap: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "ocm_snapshot_healing_seconds",
			Help:    "Time from when content of a Snapshot was found missing until it was found again.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 8), // 1 s to 4.5 h; the status has the begin by the second
		}),
	}
	for _, c := range []prometheus.Collector{m.lost, m.back, m.gap} {
		if err := registerer.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) missing() {
	if m != nil {
		m.lost.Inc()
	}
}

func (m *metrics) healed(after time.Duration) {
	if m != nil {
		m.back.Inc()
		m.gap.Observe(max(0, after.Seconds()))
	}
}
