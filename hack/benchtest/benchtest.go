// Package benchtest measures work on large content against what the same machine does with the same bytes at the same
// time: shared machines vary severalfold between minutes, a ratio does not.
package benchtest

import (
	"compress/gzip"
	"crypto/sha256"
	"io"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"testing"
	"time"
)

const (
	// live is the heap that the last collection has left.
	live = "/gc/heap/live:bytes"

	// sample is how much of the content is compressed to know the speed: all of it would take most of the time.
	sample = 4 << 20
)

// Run benchmarks work on content. Beside the throughput it reports
//   - x/sha256 and x/gzip: how fast it is, with 1 for the speed of hashing, and of compressing, the content.
//   - MiB-live: what was alive on the heap at most, beyond what was so before.
func Run(b *testing.B, content []byte, work func() error) {
	b.Helper()
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	heap := watch()
	var spent, hashed, zipped time.Duration
	for b.Loop() {
		spent += clock(b, work)
		b.StopTimer()
		hashed += clock(b, func() error { sha256.Sum256(content); return nil })
		part := content[:min(len(content), sample)]
		zipped += clock(b, func() error { return compress(part) }) * time.Duration(len(content)) / time.Duration(len(part))
		b.StartTimer()
	}
	b.ReportMetric(hashed.Seconds()/spent.Seconds(), "x/sha256")
	b.ReportMetric(zipped.Seconds()/spent.Seconds(), "x/gzip")
	b.ReportMetric(float64(heap.stop())/(1<<20), "MiB-live")
}

// Live returns how many bytes were alive on the heap at most while work was done, beyond what was so before. It collects
// much more often than a program does, and sees what other tests do at the same time.
func Live(work func()) uint64 {
	const often = 20 // percent of growth
	defer debug.SetGCPercent(debug.SetGCPercent(often))
	heap := watch()
	work()
	return heap.stop()
}

func clock(b *testing.B, work func() error) time.Duration {
	b.Helper()
	start := time.Now()
	if err := work(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

// compress is what `gzip` does: the standard library at its default level.
func compress(content []byte) error {
	w := gzip.NewWriter(io.Discard)
	if _, err := w.Write(content); err != nil {
		return err
	}
	return w.Close()
}

// watcher looks at the heap again and again.
type watcher struct {
	before, most uint64
	done         chan struct{}
	group        sync.WaitGroup
}

func watch() *watcher {
	runtime.GC()
	runtime.GC() // what is kept for reuse goes with the second one
	w := &watcher{before: heap(), done: make(chan struct{})}
	w.group.Go(func() {
		ticker := time.NewTicker(2 * time.Millisecond)
		defer ticker.Stop()
		for {
			w.most = max(w.most, heap())
			select {
			case <-ticker.C:
			case <-w.done:
				return
			}
		}
	})
	return w
}

func (w *watcher) stop() uint64 {
	close(w.done)
	w.group.Wait()
	return max(w.most, w.before) - w.before
}

func heap() uint64 {
	samples := []metrics.Sample{{Name: live}}
	metrics.Read(samples)
	return samples[0].Value.Uint64()
}
