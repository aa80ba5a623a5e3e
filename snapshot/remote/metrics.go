package remote

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics count the requests to a snapshot registry.
type Metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// NewMetrics returns the metrics, to be registered by the caller.
func NewMetrics() *Metrics {
	return &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ocm_snapshot_registry_requests_total",
			Help: "Requests to the external snapshot registry, by method and the status of the answer; error is none.",
		}, []string{"method", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "ocm_snapshot_registry_request_duration_seconds",
			Help:    "Time until the external snapshot registry began to answer, by method.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 10), // 1 ms to 4 minutes
		}, []string{"method"}),
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	m.requests.Describe(ch)
	m.duration.Describe(ch)
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.requests.Collect(ch)
	m.duration.Collect(ch)
}

// over returns a transport that counts; without metrics it is the given one.
func (m *Metrics) over(next http.RoundTripper) http.RoundTripper {
	if m == nil {
		return next
	}
	return counting{m, next}
}

type counting struct {
	metrics *Metrics
	next    http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (c counting) RoundTrip(req *http.Request) (*http.Response, error) {
	begin := time.Now()
	resp, err := c.next.RoundTrip(req)
	code := "error"
	if err == nil {
		code = strconv.Itoa(resp.StatusCode)
	}
	c.metrics.requests.WithLabelValues(req.Method, code).Inc()
	c.metrics.duration.WithLabelValues(req.Method).Observe(time.Since(begin).Seconds())
	return resp, err
}
