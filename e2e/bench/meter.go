package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/operator"
)

// verbs of requests to the API server, in the order of the table. Watches are GETs that the client doesn't count apart.
var verbs = []string{"GET", "POST", "PUT", "PATCH", "DELETE"}

// cost is what a measurement has cost.
type cost struct {
	// CPU is that of the operator's process.
	CPU time.Duration
	// Others is the CPU time of the processes around it, by their names.
	Others map[string]time.Duration
	// API are requests of the operator to the API server by verb.
	API map[string]int
	// Source are requests to the source registry by method and class.
	Source map[string]int
	// Snapshots are requests to the snapshot registry, which are Flux's.
	Snapshots int
	// Reconciled is how often objects of each kind were seen to.
	Reconciled map[string]int
	// Events is how many events the operator has reported.
	Events int
	// Peak and Resident are the operator's resident memory in bytes: at most, and in the end. Files is how much of that in
	// the end are pages of files.
	Peak, Resident, Files int64
}

// writes are requests that change something, without the events.
func (c cost) writes() int { return max(0, c.requests()-c.API["GET"]-c.Events) }

func (c cost) requests() int { return total(c.API) }

func total(counts map[string]int) int {
	sum := 0
	for _, n := range counts {
		sum += n
	}
	return sum
}

// listed writes counts in the order of their names.
func listed(counts map[string]int) string {
	parts := make([]string, 0, len(counts))
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		if counts[name] > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
		}
	}
	return strings.Join(parts, ", ")
}

// reading is the state of all counters at a moment.
type reading struct {
	pid     int
	usage   operator.Usage
	others  map[string]time.Duration
	metrics operator.Metrics
	source  map[string]int
	events  int
}

// begin reads the counters and makes the peak of the memory begin anew.
func (w *world) begin(ctx context.Context) (*reading, error) {
	r, err := w.read(ctx)
	if err != nil {
		return nil, err
	}
	return r, w.operator.ResetPeak()
}

func (w *world) read(ctx context.Context) (*reading, error) {
	r := &reading{pid: w.operator.PID(), source: w.source.counts()}
	var err error
	if r.usage, err = w.operator.Usage(); err != nil {
		return nil, err
	}
	if r.metrics, err = w.operator.Metrics(ctx); err != nil {
		return nil, err
	}
	if r.events, err = w.events(ctx); err != nil {
		return nil, err
	}
	if r.others, err = w.othersCPU(); err != nil {
		return nil, err
	}
	return r, nil
}

// since returns what was spent since an earlier reading. A restart of the operator in between counts from zero.
func (w *world) since(ctx context.Context, before *reading) (cost, error) {
	now, err := w.read(ctx)
	if err != nil {
		return cost{}, err
	}
	if now.pid != before.pid {
		before.usage, before.metrics = operator.Usage{}, operator.Metrics{}
	}
	grown := now.metrics.Since(before.metrics)
	c := cost{
		CPU: now.usage.CPU - before.usage.CPU, Others: map[string]time.Duration{}, API: map[string]int{}, Reconciled: map[string]int{},
		Source: map[string]int{}, Snapshots: int(grown.Sum("ocm_registry_requests_total")),
		Events: now.events - before.events, Peak: now.usage.Peak, Resident: now.usage.Resident, Files: now.usage.Files,
	}
	for _, verb := range verbs {
		c.API[verb] = int(grown.Sum("rest_client_requests_total", `method="`+verb+`"`))
	}
	for _, kind := range kinds {
		c.Reconciled[kind] = int(grown.Sum("controller_runtime_reconcile_total", controllerLabel(kind)))
	}
	for class, n := range now.source {
		c.Source[class] = n - before.source[class]
	}
	for name, spent := range now.others {
		c.Others[name] = spent - before.others[name]
	}
	return c, nil
}

func controllerLabel(kind string) string { return `controller="` + strings.ToLower(kind) + `"` }

// events returns how many events the operator has reported in all. Events that repeat are one object with a number.
func (w *world) events(ctx context.Context) (int, error) {
	list := &corev1.EventList{}
	if err := w.client.List(ctx, list); err != nil {
		return 0, fmt.Errorf("list events: %w", err)
	}
	sum := 0
	for i := range list.Items {
		e := &list.Items[i]
		if e.Source.Component != v1alpha1.ControllerName && e.ReportingController != v1alpha1.ControllerName {
			continue
		}
		n := max(1, int(e.Count))
		if e.Series != nil {
			n = max(n, int(e.Series.Count))
		}
		sum += n
	}
	return sum, nil
}

// othersCPU returns the CPU time of the processes around the operator.
func (w *world) othersCPU() (map[string]time.Duration, error) {
	processes := map[string]int{"this program": os.Getpid()}
	for _, p := range w.cluster.State().Processes {
		processes[p.Name] = p.PID
	}
	spent := map[string]time.Duration{}
	for name, pid := range processes {
		u, err := operator.UsageOf(pid)
		if err != nil {
			return nil, err
		}
		spent[name] = u.CPU
	}
	return spent, nil
}
