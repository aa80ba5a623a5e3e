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

// What answers of repositories are about.
const (
	aboutVersions = "versions"
	aboutDigests  = "digests"
)

// metrics count verifications, and what repositories are asked.
type metrics struct {
	results  *prometheus.CounterVec
	duration prometheus.Histogram
	answers  *prometheus.CounterVec
	wakes    *prometheus.CounterVec
	traffic  *traffic
}

// boardMetrics count the answers about one thing.
type boardMetrics struct{ asked, shared, news, due prometheus.Counter }

// board returns the metrics of answers.
func (m *metrics) board(about string) *boardMetrics {
	return &boardMetrics{
		asked: m.answers.WithLabelValues(about, "asked"), shared: m.answers.WithLabelValues(about, "shared"),
		news: m.wakes.WithLabelValues(about, "news"), due: m.wakes.WithLabelValues(about, "due"),
	}
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
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ocm_repository_answers_total",
			Help: "Answers about component repositories that objects were given, by what they are about and whether the repository was asked for it or an answer was shared.",
		}, []string{"about", "origin"}),
		wakes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ocm_repository_wakes_total",
			Help: "Objects that were woken because of a shared answer, by whether there is another one or it is due to ask again.",
		}, []string{"about", "cause"}),
		traffic: newTraffic(),
	}
	for _, result := range []string{resultVerified, resultRefused, resultFailed, resultRemembered} {
		m.results.WithLabelValues(result)
	}
	if registerer == nil {
		return m, nil
	}
	var failed []error
	for _, collector := range append([]prometheus.Collector{m.results, m.duration, m.answers, m.wakes}, m.traffic.collectors()...) {
		failed = append(failed, registerer.Register(collector))
	}
	return m, errors.Join(failed...)
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
