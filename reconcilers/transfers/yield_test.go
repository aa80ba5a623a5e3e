package transfers_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/ocm/transfer"
	"github.com/ocm-operator/ocm-operator/reconcilers/transfers"
)

// wait is how long somebody waits at most for a place that those who have run for long make free: their time, and a look at them.
const wait = 5*time.Minute + 10*time.Second

// load counts what runs.
type load struct {
	mu            sync.Mutex
	begun         map[string]int
	running, most int
	of, mostOf    map[string]int
}

func newLoad() *load {
	return &load{begun: map[string]int{}, of: map[string]int{}, mostOf: map[string]int{}}
}

// lasts returns a job that moves a little each minute, and ends when it was let do that for a time without a break. It counts for its
// hosts and for its namespace.
func (l *load) lasts(o transfers.Owner, length time.Duration, hosts ...string) transfers.Job {
	return transfers.Job{Key: "k", Hosts: hosts, Run: func(ctx context.Context, report func(transfer.Progress)) (*transfer.Result, error) {
		names := []string{o.Namespace, strings.Join(hosts, " ")}
		l.count(o.Name, names, 1)
		defer l.count(o.Name, names, -1)
		ticker, end := time.NewTicker(time.Minute), time.After(length)
		defer ticker.Stop()
		for i := int64(1); ; i++ {
			select {
			case <-ticker.C:
				report(transfer.Progress{Bytes: i << 16})
			case <-end:
				return &transfer.Result{Blobs: 1, Copied: 1}, nil
			case <-ctx.Done():
				return &transfer.Result{Blobs: 1}, ctx.Err()
			}
		}
	}}
}

func (l *load) count(job string, names []string, by int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begun[job] += max(by, 0)
	l.running += by
	l.most = max(l.most, l.running)
	for _, name := range names {
		l.of[name] += by
		l.mostOf[name] = max(l.mostOf[name], l.of[name])
	}
}

// seen returns how many run, the most that did at once, and the most of each namespace and between the same hosts.
func (l *load) seen() (running, most int, mostOf map[string]int) {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.running, l.most, maps.Clone(l.mostOf)
}

// runs returns how often a job has begun.
func (l *load) runs(job string) int {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.begun[job]
}

const forEver = 1000 * time.Hour

// ends fails unless a quick job between some hosts is done within the wait.
func (w *world) ends(t *testing.T, o transfers.Owner, hosts ...string) {
	t.Helper()
	done := make(chan struct{})
	close(done)
	w.Ask(o, w.holds(o.Name, done, hosts...))
	for at := time.Now(); time.Since(at) <= wait; <-time.After(10 * time.Second) {
		synctest.Wait()
		if _, s, _ := w.Look(o); s.Ended() {
			return
		}
	}
	_, s, _ := w.Look(o)
	t.Fatalf("%s at %v is %s after %s, want it done", o, hosts, s, wait)
}

// TestSlowRegistries holds that registries which send next to nothing, however many, keep nobody waiting who does not use them: neither
// other namespaces nor others of the same, and no matter for how long that goes on.
func TestSlowRegistries(t *testing.T) {
	t.Parallel()
	for name, slow := range map[string]func(i int) (namespace, source, mirror string){
		"two, of two namespaces": func(i int) (string, string, string) {
			return []string{"a", "a", "b"}[i%3], []string{"slow1:1", "slow2:1", "slow2:1"}[i%3], fmt.Sprintf("m%d:1", i)
		},
		"two, and one mirror for all": func(i int) (string, string, string) {
			return []string{"a", "b"}[i%2], fmt.Sprintf("slow%d:1", i%2), "mirror:1"
		},
		"many, of many namespaces": func(i int) (string, string, string) {
			return fmt.Sprint("n", i), fmt.Sprintf("slow%d:1", i), fmt.Sprintf("m%d:1", i)
		},
		"many, of one namespace": func(i int) (string, string, string) {
			return "a", fmt.Sprintf("slow%d:1", i), fmt.Sprintf("m%d:1", i)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				w, l := newWorld(t, 5, 2), newLoad()
				for i := range 24 {
					namespace, source, mirror := slow(i)
					o := ownerIn(namespace, fmt.Sprint("slow", i))
					w.Ask(o, l.lasts(o, forEver, source, mirror))
				}
				<-time.After(2 * time.Hour) // each has its time before it is known to be slow
				for i := range 50 {
					w.ends(t, ownerIn("c", fmt.Sprint("other namespace", i)), "fast:1", "mirror:1")
					w.ends(t, ownerIn("a", fmt.Sprint("same namespace", i)), "fast:1", "mirror:1")
				}
				if _, most, _ := l.seen(); most > 10 {
					t.Errorf("%d ran at once, want twice the workers at most", most)
				}
				for i := range 24 {
					if l.runs(fmt.Sprint("slow", i)) == 0 && name != "two, and one mirror for all" {
						t.Errorf("slow%d had no turn", i)
					}
				}
			})
		})
	}
}

// TestAllComeToAnEnd holds that a job which begins anew whenever it is interrupted is done in the end, however many others there are,
// and that all bounds hold meanwhile.
func TestAllComeToAnEnd(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				const jobs, workers, perHost = 40, 5, 2
				random, w, l := rand.New(rand.NewPCG(seed, 1)), newWorld(t, workers, perHost), newLoad()
				all := map[transfers.Owner]bool{}
				var work time.Duration
				for i := range jobs {
					o := ownerIn(fmt.Sprint("n", random.IntN(4)), fmt.Sprint("job", i))
					length := time.Duration(random.ExpFloat64() * float64(time.Hour))
					if i < 4 {
						length = forEver
					} else {
						all[o] = true
						work += length
					}
					w.Ask(o, l.lasts(o, length, fmt.Sprintf("s%d:1", random.IntN(4)), fmt.Sprintf("d%d:1", random.IntN(2))))
				}
				at := time.Now()
				for len(all) > 0 && time.Since(at) < 4*work {
					<-time.After(time.Minute)
					synctest.Wait()
					for o := range all {
						if _, s, _ := w.Look(o); s.Ended() {
							if s.Err != nil || s.Result.Copied != 1 {
								t.Fatalf("%s ended with %+v", o, s)
							}
							delete(all, o)
						}
					}
				}
				if len(all) > 0 {
					t.Errorf("%d of %d had no end after %s", len(all), jobs, time.Since(at))
				}
				t.Logf("%s of work took %s", work, time.Since(at))
				_, most, mostOf := l.seen()
				if most > 2*workers {
					t.Errorf("%d ran at once, want twice the workers at most", most)
				}
				for name, most := range mostOf {
					if strings.HasPrefix(name, "n") && most > 2*(workers-1) || strings.HasPrefix(name, "s") && most > 2*perHost {
						t.Errorf("%d of %s ran at once", most, name)
					}
				}
			})
		})
	}
}

// TestNamespacesShareARoute holds that the long jobs of one namespace keep no other one from the same hosts.
func TestNamespacesShareARoute(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		w, l := newWorld(t, 5, 2), newLoad()
		for i := range 10 {
			o := ownerIn("a", fmt.Sprint("a", i))
			w.Ask(o, l.lasts(o, forEver, "source:1", "mirror:1"))
		}
		synctest.Wait()
		for i := range 20 {
			w.ends(t, ownerIn("b", fmt.Sprint("b", i)), "source:1", "mirror:1")
			w.ends(t, ownerIn("c", fmt.Sprint("c", i)), "source:1", "mirror:1")
		}
		if _, _, most := l.seen(); most["source:1 mirror:1"] > 4 {
			t.Errorf("%d ran between the same hosts, want twice the bound at most", most["source:1 mirror:1"])
		}
	})
}

// TestNobodyInterruptsItsOwnLine holds that much to copy between two hosts is copied one after the other, and nothing of it twice.
func TestNobodyInterruptsItsOwnLine(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		w, l := newWorld(t, 5, 2), newLoad()
		for i := range 10 {
			o := owner(fmt.Sprint("big", i))
			w.Ask(o, l.lasts(o, time.Hour, "source:1", "mirror:1"))
		}
		<-time.After(5 * time.Hour)
		for i := range 10 {
			name := fmt.Sprint("big", i)
			_, most, _ := l.seen()
			if _, s, _ := w.Look(owner(name)); l.runs(name) != 1 || most != 2 || !s.Ended() && !s.Running {
				t.Errorf("%s began %d times and is %s, and %d ran at once; want one run, and two at once", name, l.runs(name), s, most)
			}
		}
	})
}

// TestNobodyIsInterruptedForAnArchive holds that who waits for an archive waits until it is written: one that is cut off is lost.
func TestNobodyIsInterruptedForAnArchive(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		w, l := newWorld(t, 1, 1), newLoad()
		for _, o := range []transfers.Owner{ownerIn("a", "first"), ownerIn("b", "second")} {
			job := l.lasts(o, time.Hour, o.Name+":1")
			job.Alone = "app.tgz"
			w.Ask(o, job)
			synctest.Wait()
		}
		<-time.After(59 * time.Minute)
		if l.runs("first") != 1 || l.runs("second") != 0 {
			t.Errorf("the first began %d times, and the second %d, before the archive was written", l.runs("first"), l.runs("second"))
		}
		<-time.After(2 * time.Minute)
		if l.runs("second") != 1 {
			t.Error("the second does not run when the archive is written")
		}
	})
}

// TestInterrupted follows a job that makes room: its owner hears that it waits, what it did before counts, and a stall later is noticed.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		w, l := newWorld(t, 1, 1), newLoad()
		var begun atomic.Int64
		job := transfers.Job{Key: "k", Hosts: []string{"x:1"}, Run: func(ctx context.Context, report func(transfer.Progress)) (*transfer.Result, error) {
			runs := begun.Add(1)
			for i := int64(0); ; i++ {
				select {
				case <-time.After(time.Minute):
				case <-ctx.Done():
					return &transfer.Result{Copied: 2, Mounted: 1, Present: int(3 * (runs - 1)), CopiedBytes: 20}, ctx.Err()
				}
				if runs < 3 {
					report(transfer.Progress{Bytes: i<<16 + runs})
				}
			}
		}}
		w.Ask(owner("x"), job)
		for _, other := range []transfers.Owner{ownerIn("b", "second"), ownerIn("c", "third")} {
			synctest.Wait()
			w.Ask(other, l.lasts(other, forEver, other.Name+":1"))
		}
		at := time.Now()
		for _, want := range []struct {
			after   time.Duration
			running bool
			runs    int64
			reason  string
		}{
			{5 * time.Minute, true, 1, "it moves, and the second one begins"},
			{10 * time.Minute, true, 1, "the second one has had its time, and makes room for the third one"},
			{15 * time.Minute, false, 1, "it has had its time, and the second one goes on"},
			{25 * time.Minute, true, 2, "the second one has had as much time"},
			{45 * time.Minute, false, 2, "it has had twice as much time as before"},
			{65 * time.Minute, true, 3, "so has the second one"},
		} {
			<-time.After(time.Until(at.Add(want.after + time.Second)))
			synctest.Wait()
			if _, s, _ := w.Look(owner("x")); s.Running != want.running || s.Ended() || begun.Load() != want.runs {
				t.Fatalf("after %s: %s, %d runs; want running %t and %d runs, as %s", want.after, s, begun.Load(), want.running, want.runs, want.reason)
			}
		}
		heard := w.wakes("x")
		<-time.After(2*time.Minute + 10*time.Second)
		if w.wakes("x") <= heard {
			t.Error("the owner did not hear of the end")
		}
		s := w.Ask(owner("x"), job)
		if _, ok := errors.AsType[*transfers.StallError](s.Err); !ok {
			t.Fatalf("the third run moved nothing: %s %v, want a StallError", s, s.Err)
		}
		if diff := cmp.Diff(&transfer.Result{Copied: 6, Mounted: 3, CopiedBytes: 60}, s.Result); diff != "" {
			t.Errorf("the result is not that of three runs (-want +got):\n%s", diff)
		}
	})
}

// TestBorrowedPlaces holds that a job which was interrupted goes on where there is room, gives that back within a minute, and comes to an
// end however often it must.
func TestBorrowedPlaces(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		w, l := newWorld(t, 1, 1), newLoad()
		for name, length := range map[string]time.Duration{"drip": forEver, "big": 3 * time.Hour} {
			o := ownerIn(name, name)
			w.Ask(o, l.lasts(o, length, name+":1"))
		}
		big, at, asked := ownerIn("big", "big"), time.Now(), 0
		for ended := false; !ended && time.Since(at) < 48*time.Hour; asked++ {
			quick := ownerIn("quick", fmt.Sprint("quick", asked))
			w.Ask(quick, l.lasts(quick, time.Second, "quick:1"))
			begun := time.Now()
			for done := false; !done; {
				<-time.After(3 * time.Second)
				_, s, _ := w.Look(quick)
				done = s.Ended()
			}
			if took := time.Since(begun); took > 75*time.Second && time.Since(at) > time.Hour {
				t.Fatalf("a quick job took %s after %s, want no more than the minute that a place is borrowed for", took, time.Since(at))
			}
			_, s, _ := w.Look(big)
			ended = s.Ended()
		}
		if _, s, _ := w.Look(big); !s.Ended() || s.Err != nil {
			t.Errorf("after %s, %d quick jobs and %d runs it is %s, want an end", time.Since(at), asked, l.runs("big"), s)
		}
	})
}

// TestInterruptedAndDropped holds that nothing goes on that nobody wants, whenever that comes to be.
func TestInterruptedAndDropped(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		w, l := newWorld(t, 1, 1), newLoad()
		names := []string{"first", "second", "third"}
		for _, name := range names {
			o := ownerIn(name, name)
			w.Ask(o, l.lasts(o, forEver, name+":1"))
			<-time.After(wait)
		}
		var waits []string
		for _, name := range names {
			if _, s, _ := w.Look(ownerIn(name, name)); s.Queued > 0 {
				waits = append(waits, name)
			}
			w.Drop(ownerIn(name, name))
		}
		<-time.After(time.Hour)
		if running, _, _ := l.seen(); len(waits) != 1 || running != 0 {
			t.Errorf("%v waited and %d run after all were dropped, want one and none", waits, running)
		}
		if began := slices.Max([]int{l.runs("first"), l.runs("second"), l.runs("third")}); began > 2 {
			t.Errorf("one began %d times within %s", began, 3*wait)
		}
	})
}
