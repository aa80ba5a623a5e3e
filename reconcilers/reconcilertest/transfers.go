package reconcilertest

import (
	"context"
	"testing"

	"github.com/ocm-operator/ocm-operator/reconcilers/transfers"
)

// Transfers returns the pool of this cluster in which component versions are copied. It runs as long as the test.
func (w *World) Transfers() *transfers.Pool {
	w.t.Helper()
	if w.transfers == nil {
		w.transfers = StartTransfers(w.t)
	}
	return w.transfers
}

// StartTransfers returns a pool in which component versions are copied, which runs as long as the test.
func StartTransfers(t testing.TB) *transfers.Pool {
	t.Helper()
	pool, err := transfers.New(transfers.Options{Workers: 4, PerHost: 4})
	if err != nil {
		t.Fatalf("make the pool of transfers: %v", err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- pool.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("transfers: %v", err)
		}
	})
	return pool
}
