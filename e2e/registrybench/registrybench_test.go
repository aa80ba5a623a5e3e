package main

import (
	"os"
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/measure/measuretest"
)

// TestMain lets this program be its own servers.
func TestMain(m *testing.M) {
	if b := newBench(); b.IsChild(os.Args[1:]) {
		b.Main()
		return
	}
	os.Exit(m.Run())
}

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
