package transfers_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ocm-operator/ocm-operator/ocm/transfer"
	"github.com/ocm-operator/ocm-operator/reconcilers/transfers"
)

// counted returns what the registry shows: numbers by name and labels, and how many observations histograms have.
func counted(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			if n := m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount()); n != 0 {
				all[family.GetName()+"{"+strings.Join(labels, ",")+"}"] = n
			}
		}
	}
	return all
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		pool, err := transfers.New(transfers.Options{Workers: 1, PerHost: 1, Metrics: registry})
		if err != nil {
			t.Fatal(err)
		}
		_ = pool.Source(kind)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- pool.Start(ctx) }()
		for i, outcome := range []error{nil, nil, errors.New("no route"), fmt.Errorf("copy: %w", &transfer.ConflictError{})} {
			pool.Ask(owner(strconv.Itoa(i)), transfers.Job{Key: "k", Run: func(context.Context, func(transfer.Progress)) (*transfer.Result, error) {
				return &transfer.Result{Copied: 3, Mounted: 2, Present: 1, CopiedBytes: 100}, outcome
			}})
		}
		synctest.Wait()
		w := &world{Pool: pool}
		for i := range 3 {
			pool.Ask(owner(fmt.Sprint("held", i)), w.holds("held", nil))
		}
		synctest.Wait()
		pool.Drop(owner("held0"))
		synctest.Wait()
		want := map[string]float64{
			"ocm_transfers_total{ComponentSubscription,succeeded}":    2,
			"ocm_transfers_total{ComponentSubscription,failed}":       1,
			"ocm_transfers_total{ComponentSubscription,conflict}":     1,
			"ocm_transfers_total{ComponentSubscription,cancelled}":    1,
			"ocm_transfer_bytes_total{ComponentSubscription}":         400,
			"ocm_transfer_blobs_total{ComponentSubscription,copied}":  12,
			"ocm_transfer_blobs_total{ComponentSubscription,mounted}": 8,
			"ocm_transfer_blobs_total{ComponentSubscription,present}": 4,
			"ocm_transfer_duration_seconds{ComponentSubscription}":    5,
			"ocm_transfers_running{}":                                 1,
			"ocm_transfers_waiting{}":                                 1,
		}
		if diff := cmp.Diff(want, counted(t, registry)); diff != "" {
			t.Errorf("metrics (-want +got):\n%s", diff)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
