package artifact

import "time"

// Meter counts requests, as registry.Metrics does.
type Meter interface {
	// Begin counts a request; what it returns is called at its end.
	Begin() func(operation, method string, status int, received, sent int64, took time.Duration)
}

// Measure sets who counts the requests. It is called before the first one.
func (h *Handler) Measure(meter Meter) { h.meter = meter }

// nobody counts nothing.
type nobody struct{}

// Begin implements Meter.
func (nobody) Begin() func(string, string, int, int64, int64, time.Duration) {
	return func(string, string, int, int64, int64, time.Duration) {}
}
