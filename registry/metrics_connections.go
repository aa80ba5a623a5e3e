package registry

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	openDesc    = prometheus.NewDesc("ocm_registry_connections", "Connections that are open, by server.", []string{"server"}, nil)
	refusedDesc = prometheus.NewDesc("ocm_registry_refused_connections_total", "Connections that were refused because their client had too many, by server.", []string{"server"}, nil)
)

// doors counts the connections of servers.
type doors struct {
	mu      sync.Mutex
	servers map[string]*Server
}

// Watch counts the connections of a server under that name.
func (m *Metrics) Watch(name string, s *Server) {
	if m == nil {
		return
	}
	m.doors.mu.Lock()
	defer m.doors.mu.Unlock()
	if m.doors.servers == nil {
		m.doors.servers = map[string]*Server{}
	}
	m.doors.servers[name] = s
}

// Describe implements prometheus.Collector.
func (d *doors) Describe(ch chan<- *prometheus.Desc) {
	ch <- openDesc
	ch <- refusedDesc
}

// Collect implements prometheus.Collector.
func (d *doors) Collect(ch chan<- prometheus.Metric) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, server := range d.servers {
		open, refused := server.Connections()
		ch <- prometheus.MustNewConstMetric(openDesc, prometheus.GaugeValue, float64(open), name)
		ch <- prometheus.MustNewConstMetric(refusedDesc, prometheus.CounterValue, float64(refused), name)
	}
}
