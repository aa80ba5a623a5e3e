package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	// calm is how long no write has to happen until a fleet counts as settled.
	calm          = 5 * time.Second
	steadyTime    = time.Minute
	steadyEvery   = 30 * time.Second
	longInterval  = 10 * time.Minute
	shortInterval = 10 * time.Second
	idleTime      = 5 * time.Second
	profileTime   = 8 * time.Second
)

// one measures a pipeline alone, and the operator before it has anything to do.
func (b *bench) one(ctx context.Context, w *world) error {
	if err := b.idle(ctx, w); err != nil {
		return err
	}
	f, err := w.newFleet(ctx, 1, longInterval)
	if err != nil {
		return err
	}
	r := b.row("one pipeline")
	r.upstream = "1.06 s / 2.17 s, 0.48 CPU s, 131 API, 68 source, 142 snapshot requests"
	if err := b.arrive(ctx, f, r); err != nil {
		return err
	}
	if len(f.arrivals.sources) > 0 {
		source := f.sources(r.begun)[0]
		r.note("OCIRepository after %.2f s; source: %s", source.Seconds(), listed(r.cost.Source))
		r.aim("OCIRepository in", source.Seconds(), 0.35, "s")
	}
	r.aim("applied in", r.last().Seconds(), 1.5, "s")
	r.aim("CPU at most", r.cost.CPU.Seconds(), 0.1, "s")
	r.aim("API requests at most", float64(r.cost.requests()), 35, "")
	r.aim("source requests at most", float64(total(r.cost.Source)), 10, "")
	return nil
}

func (b *bench) idle(ctx context.Context, w *world) error {
	w.say("looking at the idle operator")
	r := b.row("idle")
	r.upstream = "84 MiB, binary 159 MB"
	before, err := w.begin(ctx)
	if err != nil {
		return err
	}
	if err := w.pause(ctx, idleTime); err != nil {
		return err
	}
	if r.cost, err = w.since(ctx, before); err != nil {
		return err
	}
	info, err := os.Stat(b.binary)
	if err != nil {
		return fmt.Errorf("read the size of the operator: %w", err)
	}
	r.note("for %s; binary %.0f MB; %.0f MiB are pages of files, mostly its own", idleTime, float64(info.Size())/1e6, mebibytes(r.cost.Files))
	r.aim("resident at most", mebibytes(r.cost.Resident), 60, "MiB")
	r.aim("binary at most", float64(info.Size())/1e6, 90, "MB")
	return nil
}

// arrive submits a fleet and waits until it has arrived.
func (b *bench) arrive(ctx context.Context, f *fleet, r *row) error {
	stop, err := f.follow(ctx)
	if err != nil {
		return err
	}
	defer stop()
	before, err := f.w.begin(ctx)
	if err != nil {
		return err
	}
	f.w.say("%d pipelines", len(f.names))
	r.begun = time.Now()
	if err := f.submit(ctx); err != nil {
		return err
	}
	submitted := time.Since(r.begun)
	if r.took, err = f.applied(ctx, 1, func(int) time.Time { return r.begun }); err != nil {
		return err
	}
	if r.cost, err = f.w.since(ctx, before); err != nil {
		return err
	}
	r.note("objects submitted within %.1f s", submitted.Seconds())
	return nil
}

// fifty measures 50 pipelines at once, then their steady state, and then a restart.
func (b *bench) fifty(ctx context.Context, w *world) error {
	f, err := w.newFleet(ctx, b.count(50), steadyEvery)
	if err != nil {
		return err
	}
	r := b.row(fmt.Sprintf("%d pipelines at once", len(f.names)))
	profiled := b.profiles(ctx, w)
	err = b.arrive(ctx, f, r)
	if profileErr := profiled(); err == nil {
		err = profileErr
	}
	if err != nil {
		return err
	}
	r.upstream = "50: 57 s, 16.5 CPU s, 126 MiB"
	if len(f.names) == 50 {
		r.aim("applied in", r.last().Seconds(), 6, "s")
	}
	r.aimMemory()
	if err := b.steady(ctx, f); err != nil {
		return err
	}
	return b.restart(ctx, f)
}

// steady measures a minute in which nothing changes.
func (b *bench) steady(ctx context.Context, f *fleet) error {
	w, r := f.w, b.row(fmt.Sprintf("%d pipelines at %s, steady", len(f.names), steadyEvery))
	r.upstream = "50, a minute: 6.2 CPU s, 796 source, 3,388 snapshot requests, 837 event writes"
	w.say("waiting until nothing is written")
	if err := w.settle(ctx); err != nil {
		return err
	}
	before, err := w.begin(ctx)
	if err != nil {
		return err
	}
	w.say("looking at them for %s", steadyTime)
	if err := w.pause(ctx, steadyTime); err != nil {
		return err
	}
	if r.cost, err = w.since(ctx, before); err != nil {
		return err
	}
	listings := float64(len(f.names)) * steadyTime.Seconds() / steadyEvery.Seconds()
	r.note("for %s; source: %s; reconciled: %s", steadyTime, listed(r.cost.Source), listed(r.cost.Reconciled))
	// Intervals differ a little, so that not all objects are due at once.
	r.aim("source requests at most", float64(total(r.cost.Source)), 1.2*listings, "")
	r.aim("writes at most", float64(r.cost.writes()), 0, "")
	r.aim("events at most", float64(r.cost.Events), 0, "")
	return nil
}

// settle waits until the operator has written nothing for a while.
func (w *world) settle(ctx context.Context) error {
	var quietSince time.Time
	var last float64
	return w.poll(ctx, time.Second, "the operator has nothing to write", func(ctx context.Context) (bool, string, error) {
		m, err := w.operator.Metrics(ctx)
		if err != nil {
			return false, "", err
		}
		writes := m.Sum("rest_client_requests_total") - m.Sum("rest_client_requests_total", `method="GET"`)
		if writes != last || quietSince.IsZero() {
			last, quietSince = writes, time.Now()
		}
		return time.Since(quietSince) > calm, fmt.Sprintf("%.0f writes", writes), nil
	})
}

// restart measures how long the operator is busy after it was started, when there is nothing to do.
func (b *bench) restart(ctx context.Context, f *fleet) error {
	w, r := f.w, b.row(fmt.Sprintf("restart with %d ready", len(f.names)))
	r.upstream = "50: 37 s, 400 source requests"
	w.say("restarting the operator")
	if err := w.operator.Stop(ctx); err != nil {
		return err
	}
	before := &reading{source: w.source.counts()}
	var err error
	if before.events, err = w.events(ctx); err != nil {
		return err
	}
	if before.others, err = w.othersCPU(); err != nil {
		return err
	}
	r.begun = time.Now()
	if err := w.operator.Restart(ctx); err != nil {
		return err
	}
	r.note("serving after %.1f s", time.Since(r.begun).Seconds())
	if err := w.quiet(ctx, len(f.names)); err != nil {
		return err
	}
	r.took = []time.Duration{time.Since(r.begun)}
	if r.cost, err = w.since(ctx, before); err != nil {
		return err
	}
	r.aim("quiet in", r.last().Seconds(), 5, "s")
	r.aim("writes at most", float64(r.cost.writes()), 0, "")
	return nil
}

// quiet waits until every object was reconciled and nothing is queued.
func (w *world) quiet(ctx context.Context, count int) error {
	return w.poll(ctx, 50*time.Millisecond, "the operator has seen to every object", func(ctx context.Context) (bool, string, error) {
		m, err := w.operator.Metrics(ctx)
		if err != nil {
			return false, "", err
		}
		for _, kind := range kinds {
			if n := m.Sum("controller_runtime_reconcile_total", controllerLabel(kind)); n < float64(count) {
				return false, fmt.Sprintf("%.0f of %d objects of kind %s", n, count, kind), nil
			}
		}
		busy := m.Sum("controller_runtime_active_workers") + m.Sum("workqueue_depth")
		return busy == 0, fmt.Sprintf("%.0f objects are queued or at work", busy), nil
	})
}

// most measures many pipelines at once.
func (b *bench) most(ctx context.Context, w *world) error {
	f, err := w.newFleet(ctx, b.count(200), longInterval)
	if err != nil {
		return err
	}
	r := b.row(fmt.Sprintf("%d pipelines at once", len(f.names)))
	r.upstream = "200: 227 s, 54 CPU s, none finishes early"
	if err := b.arrive(ctx, f, r); err != nil {
		return err
	}
	if len(f.names) == 200 {
		r.aim("applied in", r.last().Seconds(), 20, "s")
	}
	r.aimMemory()
	return nil
}

// upgrade measures the time from the publishing of a new version until it is applied.
func (b *bench) upgrade(ctx context.Context, w *world) error {
	f, err := w.newFleet(ctx, b.count(10), shortInterval)
	if err != nil {
		return err
	}
	stop, err := f.follow(ctx)
	if err != nil {
		return err
	}
	defer stop()
	if err := f.submit(ctx); err != nil {
		return err
	}
	start := time.Now()
	if _, err := f.applied(ctx, 1, func(int) time.Time { return start }); err != nil {
		return err
	}
	r := b.row(fmt.Sprintf("new version at %s (%d pipelines)", shortInterval, len(f.names)))
	r.upstream = "16.5 s"
	w.say("publishing new versions")
	before, err := w.begin(ctx)
	if err != nil {
		return err
	}
	// Not all at once: the registries are asked in turn, and each pipeline should be met at another point of its interval.
	published := make([]time.Time, len(f.names))
	for i := range f.names {
		if err := f.publish(ctx, i, 2); err != nil {
			return err
		}
		published[i] = time.Now()
		if err := w.pause(ctx, shortInterval/time.Duration(len(f.names))); err != nil {
			return err
		}
	}
	if r.took, err = f.applied(ctx, 2, func(i int) time.Time { return published[i] }); err != nil {
		return err
	}
	r.cost, err = w.since(ctx, before)
	r.note("half an interval passes on average before the operator asks")
	return err
}

// profiles takes a profile of the operator while something runs, if that was asked for.
func (b *bench) profiles(ctx context.Context, w *world) (finish func() error) {
	if b.profileDir == "" {
		return func() error { return nil }
	}
	var group sync.WaitGroup
	var failed error
	group.Go(func() {
		failed = download(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%.0f", b.pprofAddr, profileTime.Seconds()), filepath.Join(b.profileDir, "cpu.pprof"))
	})
	return func() error {
		group.Wait()
		if failed != nil {
			return failed
		}
		w.say("profiles are in %s", b.profileDir)
		return download(ctx, "http://"+b.pprofAddr+"/debug/pprof/heap?gc=1", filepath.Join(b.profileDir, "heap.pprof"))
	}
}

func download(ctx context.Context, url, path string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("get %s: %w", url, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("get %s: %w", url, err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, 64<<20))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.200s", response.Status, content)
	}
	if err != nil {
		return fmt.Errorf("get %s: %w", url, err)
	}
	return os.WriteFile(path, content, 0o600)
}
