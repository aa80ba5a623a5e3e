package registry

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

// Metrics counts what a registry does. It is a prometheus.Collector; whoever makes it registers it.
// A nil *Metrics counts nothing.
type Metrics struct {
	requests  *prometheus.CounterVec
	duration  *prometheus.HistogramVec
	received  prometheus.Counter
	sent      prometheus.Counter
	inFlight  prometheus.Gauge
	collected *prometheus.CounterVec
	freed     prometheus.Counter
	runs      *prometheus.CounterVec
	scrubs    *prometheus.CounterVec
	store     []prometheus.Collector
	doors     doors
}

// NewMetrics returns the metrics of a registry over that store.
func NewMetrics(s *store.Store) *Metrics {
	const namespace, subsystem = "ocm", "registry"
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}, labels)
	}
	gauge := func(name, help string, value func() int64) prometheus.Collector {
		opts := prometheus.GaugeOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}
		return prometheus.NewGaugeFunc(opts, func() float64 { return float64(value()) })
	}
	m := &Metrics{
		requests: counter("requests_total", "Requests by operation, method and status code.", "operation", "method", "code"),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "request_duration_seconds",
			Help: "Time from the request to the end of its answer.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
		}, []string{"operation", "method"}),
		received: counter("received_bytes_total", "Bytes of request bodies.").WithLabelValues(),
		sent:     counter("sent_bytes_total", "Bytes of answers.").WithLabelValues(),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "in_flight_requests", Help: "Requests that are being answered.",
		}),
		collected: counter("collected_total", "Manifests and blobs that were removed because nothing kept them, and superseded manifests for want of room.", "kind"),
		freed:     counter("collected_bytes_total", "Bytes of the blobs that were removed because nothing kept them.").WithLabelValues(),
		runs:      counter("collections_total", "Collections by result: success or error.", "result"),
		scrubs:    counter("scrubs_total", "Looks at all content for damage by result: success or error.", "result"),
	}
	m.store = append(roomMetrics(s), []prometheus.Collector{
		gauge("blobs", "Blobs on the disk.", func() int64 { return s.Stats().Blobs }),
		gauge("stored_bytes", "Bytes of the blobs on the disk.", func() int64 { return s.Stats().Bytes }),
		gauge("uploads", "Uploads in progress.", func() int64 { return s.Stats().Staged }),
		gauge("staged_bytes", "Bytes of the uploads in progress on the disk.", func() int64 { return s.Stats().StagedBytes }),
		gauge("writable", "Whether content can be written: 0 when the last probe of the disk failed, as on a full one.", func() int64 {
			if s.Writable() != nil {
				return 0
			}
			return 1
		}),
	}...)
	return m
}

func (m *Metrics) all() []prometheus.Collector {
	return append([]prometheus.Collector{m.requests, m.duration, m.received, m.sent, m.inFlight, m.collected, m.freed, m.runs, m.scrubs, &m.doors}, m.store...)
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

// Collected counts a garbage collection. It fits store.Collector.Report.
func (m *Metrics) Collected(stats store.CollectStats, err error) {
	if m == nil {
		return
	}
	result := "success"
	if err != nil {
		result = "error"
	}
	m.runs.WithLabelValues(result).Inc()
	m.collected.WithLabelValues("manifest").Add(float64(stats.Manifests - stats.Superseded))
	m.collected.WithLabelValues("superseded").Add(float64(stats.Superseded))
	m.collected.WithLabelValues("blob").Add(float64(stats.Blobs))
	m.freed.Add(float64(stats.Bytes))
}

// RequestEnd is told how a request ended.
type RequestEnd = func(operation, method string, status int, received, sent int64, took time.Duration)

// Begin counts a request; what it returns is called at its end.
func (m *Metrics) Begin() RequestEnd {
	if m == nil {
		return func(string, string, int, int64, int64, time.Duration) {}
	}
	m.inFlight.Inc()
	return func(operation, method string, status int, received, sent int64, took time.Duration) {
		m.inFlight.Dec()
		method = known(method)
		m.requests.WithLabelValues(operation, method, strconv.Itoa(status)).Inc()
		m.duration.WithLabelValues(operation, method).Observe(took.Seconds())
		m.received.Add(float64(received))
		m.sent.Add(float64(sent))
	}
}

// known keeps strangers from making a time series for each word that they think of.
func known(method string) string {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE":
		return method
	default:
		return "other"
	}
}
