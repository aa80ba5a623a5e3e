package access

import (
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

const (
	// maxHosts bounds the hosts that metrics name: components choose them, too.
	maxHosts = 64
	// otherHost stands for all others.
	otherHost = "other"
	// noAnswer is in the place of the status where there was none.
	noAnswer = "error"
	// otherMethod stands for methods that no registry knows.
	otherMethod = "OTHER"
)

// What became of questions whether something has changed.
const (
	resultSame    = "same"
	resultChanged = "changed"
)

// methods are those that registries are asked with.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// traffic counts what is sent to registries.
type traffic struct {
	requests, waits, waited, pauses, paused, conditional *prometheus.CounterVec

	mu    sync.Mutex
	hosts map[string]bool
}

func newTraffic() *traffic {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	return &traffic{
		hosts: map[string]bool{},
		requests: counter("ocm_repository_requests_total",
			"Requests to registries of components, by the status of the answer.", "host", "method", "code"),
		waits: counter("ocm_repository_waits_total",
			"Requests that were kept back because of others to the same host, or because the host is left alone.", "host"),
		waited: counter("ocm_repository_waited_seconds_total",
			"Time that those requests were kept back.", "host"),
		pauses: counter("ocm_repository_pauses_total",
			"Answers by which a host asked to be left alone.", "host"),
		paused: counter("ocm_repository_paused_seconds_total",
			"Time for which hosts asked to be left alone, as far as they were.", "host"),
		conditional: counter("ocm_repository_conditional_total",
			"Answers about listings and manifests of tags, by whether what is remembered has not changed and was not sent again.", "kind", "result"),
	}
}

func (t *traffic) collectors() []prometheus.Collector {
	return []prometheus.Collector{t.requests, t.waits, t.waited, t.pauses, t.paused, t.conditional}
}

// host returns the label of a host.
func (t *traffic) host(name string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.hosts[name] && len(t.hosts) >= maxHosts {
		return otherHost
	}
	t.hosts[name] = true
	return name
}

// answered counts a request. A registry may make up a status, but none of more than three digits.
func (t *traffic) answered(host, method string, status int) {
	code := noAnswer
	if status > 0 {
		code = strconv.Itoa(status)
	}
	if !slices.Contains(methods, method) {
		method = otherMethod
	}
	t.requests.WithLabelValues(t.host(host), method, code).Inc()
}

// budget returns what bounds the requests to each host, and tells how much it does.
func (m *metrics) budget() *oci.Budget {
	t := m.traffic
	return oci.NewBudget(oci.BudgetOptions{
		Answered: t.answered,
		Waited: func(host string, d time.Duration) {
			label := t.host(host)
			t.waits.WithLabelValues(label).Inc()
			t.waited.WithLabelValues(label).Add(d.Seconds())
		},
		Paused: func(host string, d time.Duration) {
			label := t.host(host)
			t.pauses.WithLabelValues(label).Inc()
			t.paused.WithLabelValues(label).Add(d.Seconds())
		},
	})
}

// memory returns what remembers answers that registries need not send again.
func (m *metrics) memory() *oci.Memory {
	return oci.NewMemory(oci.MemoryOptions{Answered: func(kind string, same bool) {
		result := resultChanged
		if same {
			result = resultSame
		}
		m.traffic.conditional.WithLabelValues(kind, result).Inc()
	}})
}
