package main

import (
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/measure/measuretest"
)

func TestMain(m *testing.M) { measuretest.Main(m, &newBench().Program) }

// TestQuick runs every part with tiny sizes, so that the program works when somebody needs it.
func TestQuick(t *testing.T) {
	b := newBench()
	b.Quick()
	measuretest.Run(t, &b.Program, "durable small push", "durable small image push", "small pull", "large push", "large push, sink without sync", "first large pull",
		"large pull", "large pull, TLS", "growth of memory", "growth of memory, TLS", "start", "idle memory")
	for _, r := range b.Report.Rows {
		if _, measured := r.Results[other]; !measured {
			t.Errorf("%s was not measured of %s", r.Name, other)
		}
	}
}
