package access

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ocm-operator/ocm-operator/ocm/verify"
)

// Results of verifications.
const (
	resultVerified   = "verified"
	resultRefused    = "refused"
	resultFailed     = "failed"
	resultRemembered = "remembered"
)

// metrics count verifications.
type metrics struct {
	results  *prometheus.CounterVec
	duration prometheus.Histogram
}

// newMetrics returns the metrics; a nil registerer shows them to nobody.
func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ocm_verifications_total",
			Help: "Verifications of component versions, by how they ended; remembered is one that did not have to be done again.",
		}, []string{"result"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "ocm_verification_duration_seconds",
			Help:    "Time that the verification of a component version with all that it refers to took.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 11), // 1 ms to 17 minutes
		}),
	}
	for _, result := range []string{resultVerified, resultRefused, resultFailed, resultRemembered} {
		m.results.WithLabelValues(result)
	}
	if registerer == nil {
		return m, nil
	}
	return m, errors.Join(registerer.Register(m.results), registerer.Register(m.duration))
}

// verified counts a verification that was done.
func (m *metrics) verified(err error, took time.Duration) {
	result := resultVerified
	switch {
	case errors.Is(err, verify.ErrRefused):
		result = resultRefused
	case err != nil:
		result = resultFailed
	}
	m.results.WithLabelValues(result).Inc()
	m.duration.Observe(took.Seconds())
}

// remembered counts a verification that did not have to be done.
func (m *metrics) remembered() { m.results.WithLabelValues(resultRemembered).Inc() }
