package transfers

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ocm-operator/ocm-operator/ocm/transfer"
)

// Results of transfers.
const (
	resultSucceeded = "succeeded"
	resultFailed    = "failed"
	resultConflict  = "conflict"
	resultStalled   = "stalled"
	resultCancelled = "cancelled"
	// resultYielded is one that has made room for another one, and counts again when it goes on.
	resultYielded = "interrupted"
)

// Outcomes of blobs.
const (
	blobCopied  = "copied"
	blobMounted = "mounted"
	blobPresent = "present"
)

// metrics count transfers. Their labels are kinds of objects and the words above, so there are few.
type metrics struct {
	results  *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	blobs    *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// newMetrics returns the metrics; a nil registerer shows them to nobody. Counts tells how many transfers run and wait.
func newMetrics(registerer prometheus.Registerer, counts func() (running, waiting int)) (*metrics, error) {
	m := &metrics{
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ocm_transfers_total",
			Help: "Transfers of component versions by the kind of object that asked, and how they ended.",
		}, []string{"kind", "result"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ocm_transfer_bytes_total",
			Help: "Bytes that transfers have sent to destinations.",
		}, []string{"kind"}),
		blobs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ocm_transfer_blobs_total",
			Help: "Blobs of transfers: copied were sent, mounted were taken by the destination from another of its repositories, present were there.",
		}, []string{"kind", "outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "ocm_transfer_duration_seconds",
			Help:    "Time that transfers took, without their time in the queue.",
			Buckets: prometheus.ExponentialBuckets(0.05, 4, 10), // 50 ms to 3.6 hours
		}, []string{"kind"}),
	}
	if registerer == nil {
		return m, nil
	}
	return m, errors.Join(
		registerer.Register(m.results), registerer.Register(m.bytes), registerer.Register(m.blobs), registerer.Register(m.duration),
		registerer.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ocm_transfers_running", Help: "Transfers that run.",
		}, func() float64 { running, _ := counts(); return float64(running) })),
		registerer.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ocm_transfers_waiting", Help: "Transfers that wait for their turn.",
		}, func() float64 { _, waiting := counts(); return float64(waiting) })),
	)
}

// prepare shows the counters of a kind before there is anything to count, so that the first of each is seen as a change.
func (m *metrics) prepare(kind string) {
	for _, result := range []string{resultSucceeded, resultFailed, resultConflict, resultStalled, resultCancelled, resultYielded} {
		m.results.WithLabelValues(kind, result)
	}
	for _, outcome := range []string{blobCopied, blobMounted, blobPresent} {
		m.blobs.WithLabelValues(kind, outcome)
	}
	m.bytes.WithLabelValues(kind)
}

// ended counts a transfer that has ended.
func (m *metrics) ended(t *task, result *transfer.Result, err error) {
	kind := t.owner.Kind
	m.results.WithLabelValues(kind, resultOf(err)).Inc()
	m.duration.WithLabelValues(kind).Observe(time.Since(t.since).Seconds())
	if result == nil {
		return
	}
	m.bytes.WithLabelValues(kind).Add(float64(result.CopiedBytes))
	for outcome, n := range map[string]int{blobCopied: result.Copied, blobMounted: result.Mounted, blobPresent: result.Present} {
		m.blobs.WithLabelValues(kind, outcome).Add(float64(n))
	}
}

func resultOf(err error) string {
	if err == nil {
		return resultSucceeded
	}
	if _, ok := errors.AsType[*transfer.ConflictError](err); ok {
		return resultConflict
	}
	if _, ok := errors.AsType[*StallError](err); ok {
		return resultStalled
	}
	if errors.Is(err, errYielded) {
		return resultYielded
	}
	for _, cancelled := range []error{errDropped, errSuperseded, errStopped, context.Canceled} {
		if errors.Is(err, cancelled) {
			return resultCancelled
		}
	}
	return resultFailed
}
