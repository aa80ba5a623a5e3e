package auth

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// What is counted of decisions.
const (
	methodAnonymous = "anonymous"
	methodSealed    = "sealed"
	methodToken     = "token"

	resultAllowed         = "allowed"
	resultDenied          = "denied"
	resultUnauthenticated = "unauthenticated"
	resultLimited         = "limited"
	resultUnavailable     = "unavailable"

	reviewRemembered = "remembered"
	reviewAsked      = "asked"
	reviewFailed     = "failed"
)

// Metrics counts decisions. It is a prometheus.Collector; whoever makes it registers it. A nil *Metrics counts nothing.
type Metrics struct {
	decisions, reviews *prometheus.CounterVec
}

// NewMetrics returns the metrics of decisions.
func NewMetrics() *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "ocm", Subsystem: "registry", Name: name, Help: help}, labels)
	}
	return &Metrics{
		decisions: counter("auth_total", "Decisions on requests, by the kind of credential and what came of it.", "method", "result"),
		reviews: counter("token_reviews_total",
			"Answers to questions about tokens: remembered, asked of the API server, or failed because it gave none.", "result"),
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	m.decisions.Describe(ch)
	m.reviews.Describe(ch)
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.decisions.Collect(ch)
	m.reviews.Collect(ch)
}

func (m *Metrics) decision(method string, err error) {
	if m != nil {
		m.decisions.WithLabelValues(method, resultOf(err)).Inc()
	}
}

func (m *Metrics) review(result string) {
	if m != nil {
		m.reviews.WithLabelValues(result).Inc()
	}
}

func resultOf(err error) string {
	switch {
	case err == nil:
		return resultAllowed
	case errors.Is(err, ErrDenied):
		return resultDenied
	case errors.Is(err, ErrUnauthenticated):
		return resultUnauthenticated
	}
	if _, limited := errors.AsType[*LimitedError](err); limited {
		return resultLimited
	}
	return resultUnavailable
}
