package registry

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

// roomMetrics tell how full a store is, and how sound.
func roomMetrics(s *store.Store) []prometheus.Collector {
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "ocm", Subsystem: "registry", Name: name, Help: help}
	}
	gauge := func(name, help string, value func() int64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts(opts(name, help)), func() float64 { return float64(value()) })
	}
	counter := func(o prometheus.Opts, value func(store.Counters) int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts(o), func() float64 { return float64(value(s.Counters())) })
	}
	damaged := func(kind string) prometheus.Opts {
		o := opts("damaged_total", "Content that the disk gave back other than it was written, by kind.")
		o.ConstLabels = prometheus.Labels{"kind": kind}
		return o
	}
	return []prometheus.Collector{
		gauge("max_bytes", "Bytes that blobs, uploads and quarantine may take; 0 when only the disk bounds them.", func() int64 { return s.Capacity().Max }),
		gauge("used_bytes", "Bytes of blobs, uploads and quarantine.", func() int64 { return s.Capacity().Used }),
		gauge("disk_free_bytes", "Bytes that are left of the disk.", func() int64 { return s.Capacity().Free }),
		gauge("disk_bytes", "Bytes of the disk.", func() int64 { return s.Capacity().Total }),
		gauge("quarantined_blobs", "Damaged blobs that are kept to be looked at.", func() int64 { return s.Stats().Quarantined }),
		gauge("quarantined_bytes", "Bytes of the damaged blobs that are kept to be looked at.", func() int64 { return s.Stats().QuarantinedBytes }),
		gauge("scrub_last_success_timestamp_seconds", "When all content was looked at for damage last; 0 when never.", func() int64 {
			if at, err := s.Scrubbed(); err == nil && !at.IsZero() {
				return at.Unix()
			}
			return 0
		}),
		counter(damaged("blob"), func(c store.Counters) int64 { return c.DamagedBlobs }),
		counter(damaged("manifest"), func(c store.Counters) int64 { return c.DamagedManifests }),
		counter(opts("refused_total", "Writes that found no room."), func(c store.Counters) int64 { return c.Refused }),
		counter(opts("scrubbed_bytes_total", "Bytes that were looked at for damage."), func(c store.Counters) int64 { return c.ScrubbedBytes }),
	}
}

// Scrubbed counts a look at all content for damage.
func (m *Metrics) Scrubbed(err error) {
	if m == nil {
		return
	}
	result := "success"
	if err != nil {
		result = "error"
	}
	m.scrubs.WithLabelValues(result).Inc()
}
