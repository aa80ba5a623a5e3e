package transfers_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"go.uber.org/goleak"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/ocm-operator/ocm-operator/ocm/panics"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
	"github.com/ocm-operator/ocm-operator/reconcilers/transfers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const kind = "ComponentSubscription"

func owner(name string) transfers.Owner { return ownerIn("default", name) }

func ownerIn(namespace, name string) transfers.Owner {
	return transfers.Owner{Kind: kind, NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}

// world is a pool that runs, in a bubble where time is made up.
type world struct {
	*transfers.Pool
	stop func()

	mu    sync.Mutex
	begun []string
	woken map[string]int
}

// newWorld starts a pool of some workers.
func newWorld(t *testing.T, workers, perHost int) *world {
	t.Helper()
	pool, err := transfers.New(transfers.Options{Workers: workers, PerHost: perHost})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Pool: pool, woken: map[string]int{}}
	ctx, cancel := context.WithCancel(ctrl.LoggerInto(t.Context(), logr.Discard()))
	done := make(chan error, 1)
	go func() { done <- pool.Start(ctx) }()
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	if err := pool.Source(kind).Start(ctx, queue); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			request, over := queue.Get()
			if over {
				return
			}
			w.mu.Lock()
			w.woken[request.Name]++
			w.mu.Unlock()
			queue.Done(request)
		}
	}()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the pool ended with %v", err)
		}
		queue.ShutDown()
		synctest.Wait()
	})
	t.Cleanup(w.stop)
	synctest.Wait()
	return w
}

// holds is a job that runs until it is let go, or its context is over.
func (w *world) holds(name string, letGo <-chan struct{}, hosts ...string) transfers.Job {
	return transfers.Job{Key: name, Hosts: hosts, Run: func(ctx context.Context, _ func(transfer.Progress)) (*transfer.Result, error) {
		w.mu.Lock()
		w.begun = append(w.begun, name)
		w.mu.Unlock()
		select {
		case <-letGo:
			return &transfer.Result{Copied: 1, CopiedBytes: 7}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
}

// inOrder returns the jobs that have begun, in their order.
func (w *world) inOrder() []string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.begun)
}

// wakes returns how often an owner was woken.
func (w *world) wakes(name string) int {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.woken[name]
}

func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func TestJobIsDoneOnceAndToldOnce(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		w, letGo := newWorld(t, 1, 1), make(chan struct{})
		job := w.holds("v1", letGo, "a:1", "b:1")
		if s := w.Ask(owner("x"), job); !s.Running || s.Ended() {
			t.Errorf("asked first: %+v, want a job that runs", s)
		}
		if s := w.Ask(owner("x"), job); !s.Running {
			t.Errorf("asked again: %+v, want the same job", s)
		}
		if got := w.wakes("x"); got != 0 {
			t.Errorf("woken %d times before anything was new", got)
		}
		close(letGo)
		if got := w.wakes("x"); got != 1 {
			t.Errorf("woken %d times at the end, want once", got)
		}
		if key, s, known := w.Look(owner("x")); key != "v1" || !known || !s.Ended() || s.Result == nil {
			t.Errorf("looked at: %q %+v %v, want the outcome", key, s, known)
		}
		s := w.Ask(owner("x"), job)
		if !s.Ended() || s.Err != nil || s.Result.CopiedBytes != 7 {
			t.Errorf("asked at the end: %+v, want the outcome", s)
		}
		if _, _, known := w.Look(owner("x")); known {
			t.Error("an outcome that was told is still there")
		}
		if got := w.inOrder(); len(got) != 1 {
			t.Errorf("began %v, want one job", got)
		}
		w.Ask(owner("x"), job)
		if got := w.inOrder(); len(got) != 2 {
			t.Errorf("began %v, want one more after the outcome was told", got)
		}
	})
}

// TestSlowHost holds that who waits for a slow registry keeps nobody else waiting, not even those that share the other side.
func TestSlowHost(t *testing.T) {
	t.Parallel()
	for name, slow := range map[string]func(i int) []string{
		"slow source":                    func(int) []string { return []string{"slow:1", "mirror:1"} },
		"slow source, many destinations": func(i int) []string { return []string{"slow:1", fmt.Sprintf("mirror%d:1", i)} },
		"slow destination":               func(int) []string { return []string{"fast:1", "slow:1"} },
		"slow destination, many sources": func(i int) []string { return []string{fmt.Sprintf("fast%d:1", i), "slow:1"} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				w, never, at := newWorld(t, 5, 2), make(chan struct{}), time.Now()
				for i := range 50 {
					w.Ask(owner(fmt.Sprint("slow", i)), w.holds("slow", never, slow(i)...))
				}
				ended := make(chan struct{})
				close(ended)
				for i := range 50 {
					name := fmt.Sprint("fast", i)
					w.Ask(owner(name), w.holds("fast", ended, "fast:1", "mirror:1"))
					synctest.Wait()
					if s := w.Ask(owner(name), w.holds("fast", ended, "fast:1", "mirror:1")); !s.Ended() || s.Err != nil {
						t.Fatalf("%s: %+v, want an outcome beside 50 slow jobs", name, s)
					}
				}
				if took := time.Since(at); took > 0 {
					t.Errorf("50 fast jobs took %s, want no wait at all", took)
				}
			})
		})
	}
}

func TestBoundsHold(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		const workers, perHost = 5, 2
		w := newWorld(t, workers, perHost)
		var mu sync.Mutex
		running, routes, most, mostOfRoute, done := 0, map[string]int{}, 0, 0, 0
		for i := range 200 {
			hosts := []string{fmt.Sprintf("s%d:1", i%3), fmt.Sprintf("d%d:1", i%2)}
			route := strings.Join(hosts, " ")
			w.Ask(ownerIn(fmt.Sprint("team", i%2), strconv.Itoa(i)), transfers.Job{Key: "k", Hosts: hosts, Run: func(ctx context.Context, _ func(transfer.Progress)) (*transfer.Result, error) {
				mu.Lock()
				running++
				routes[route]++
				most, mostOfRoute = max(most, running), max(mostOfRoute, routes[route])
				mu.Unlock()
				<-time.After(time.Second)
				mu.Lock()
				defer mu.Unlock()
				running--
				routes[route]--
				done++
				return &transfer.Result{}, nil
			}})
		}
		for range 200 {
			synctest.Wait()
			<-time.After(time.Second)
		}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if done != 200 || most != workers || mostOfRoute != perHost {
			t.Errorf("%d of 200 done, at most %d at once, %d between the same hosts; want all, %d, %d", done, most, mostOfRoute, workers, perHost)
		}
	})
}

// TestNamespacesTakeTurns holds that one who asks for much does not keep another waiting until all of it is done.
func TestNamespacesTakeTurns(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		w, letGo := newWorld(t, 1, 1), make(chan struct{})
		ask := func(namespace string, i int) {
			name := fmt.Sprintf("%s%d", namespace, i)
			w.Ask(ownerIn(namespace, name), w.holds(name, letGo, "a:1", "b:1"))
		}
		for i := range 10 {
			ask("many", i)
		}
		ask("few", 0)
		ask("few", 1)
		close(letGo)
		want := []string{"many0", "few0", "many1", "few1", "many2"}
		if got := w.inOrder(); len(got) != 12 || !slices.Equal(got[:5], want) {
			t.Errorf("began %v, want %v first and all in the end", got, want)
		}
	})
}

// TestOneNamespaceHasNotEverything holds that one who has many slow hosts leaves room for the others, and that neither more hosts nor
// new ones are a way to the front.
func TestOneNamespaceHasNotEverything(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		w, never, ended := newWorld(t, 4, 2), make(chan struct{}), make(chan struct{})
		close(ended)
		for i := range 8 {
			name := fmt.Sprint("many", i)
			w.Ask(ownerIn("many", name), w.holds(name, never, fmt.Sprintf("h%d.many:1", i)))
		}
		if got := w.inOrder(); len(got) != 3 {
			t.Errorf("%v run, want all workers but one", got)
		}
		for i := range 20 {
			few := ownerIn("few", fmt.Sprint("few", i))
			w.Ask(few, w.holds(few.Name, ended, "few:1"))
			synctest.Wait()
			if _, s, _ := w.Look(few); !s.Ended() {
				t.Fatalf("%s: %s, want an outcome beside slow jobs of another namespace", few.Name, s)
			}
		}
	})
}

// TestNewHostsComeLast holds that a line which never had a turn waits for those that came before it.
func TestNewHostsComeLast(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		w := newWorld(t, 1, 1)
		ask := func(namespace, name, host string) chan struct{} {
			letGo := make(chan struct{})
			w.Ask(ownerIn(namespace, name), w.holds(name, letGo, host))
			synctest.Wait()
			return letGo
		}
		first := ask("few", "few0", "few:1")
		next := ask("few", "few1", "few:1")
		var many []chan struct{}
		for i := range 3 {
			many = append(many, ask("many", fmt.Sprint("many", i), fmt.Sprintf("h%d.many:1", i)))
		}
		close(first)
		synctest.Wait()
		for i, letGo := range many {
			many = append(many, ask("many", fmt.Sprint("late", i), fmt.Sprintf("late%d.many:1", i)))
			close(letGo)
		}
		close(next)
		want := []string{"few0", "many0", "few1", "many1", "many2"}
		if got := w.inOrder(); len(got) < 5 || !slices.Equal(got[:5], want) {
			t.Errorf("began %v, want %v first", got, want)
		}
		for _, letGo := range many[3:] {
			close(letGo)
		}
		if got := w.inOrder(); len(got) != 8 {
			t.Errorf("began %v, want all in the end", got)
		}
	})
}

// TestOneAtATime holds that who waits for what another one has alone keeps no worker from others, whatever the hosts are.
func TestOneAtATime(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		w, letGo, ended := newWorld(t, 4, 4), make(chan struct{}), make(chan struct{})
		close(ended)
		for i := range 5 {
			name := fmt.Sprint("archive", i)
			job := w.holds(name, letGo, fmt.Sprintf("h%d:1", i))
			job.Alone = "default/app.tgz"
			w.Ask(owner(name), job)
		}
		if got := w.inOrder(); !slices.Equal(got, []string{"archive0"}) {
			t.Errorf("%v run, want one at a time", got)
		}
		w.Ask(owner("other"), w.holds("other", ended, "h1:1"))
		synctest.Wait()
		if _, s, _ := w.Look(owner("other")); !s.Ended() {
			t.Errorf("the other one is %s, want an outcome", s)
		}
		close(letGo)
		if got := w.inOrder(); len(got) != 6 {
			t.Errorf("began %v, want all in the end", got)
		}
	})
}

func TestAnotherKeyTakesThePlace(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		w, never := newWorld(t, 4, 4), make(chan struct{})
		ending := make(chan struct{})
		var cause error
		slow := transfers.Job{Key: "old", Hosts: []string{"a:1"}, Run: func(ctx context.Context, _ func(transfer.Progress)) (*transfer.Result, error) {
			<-ctx.Done()
			cause = context.Cause(ctx)
			<-ending
			return nil, ctx.Err()
		}}
		w.Ask(owner("x"), slow)
		synctest.Wait()
		if s := w.Ask(owner("x"), w.holds("new", never, "a:1")); s.Running || s.Queued != 1 {
			t.Errorf("the new job: %+v, want it to wait for the end of the old one", s)
		}
		if got := w.inOrder(); len(got) != 0 || cause == nil {
			t.Errorf("began %v while the old job, cancelled because of %v, has not ended", got, cause)
		}
		close(ending)
		if got := w.inOrder(); !slices.Equal(got, []string{"new"}) {
			t.Errorf("began %v, want the new job", got)
		}
		if s := w.Ask(owner("x"), w.holds("new", never, "a:1")); !s.Running {
			t.Errorf("the new job: %+v, want it to run", s)
		}
		if got := w.wakes("x"); got != 0 {
			t.Errorf("woken %d times for an outcome that nobody wants", got)
		}
	})
}

func TestDrop(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		w, never := newWorld(t, 1, 1), make(chan struct{})
		w.Ask(owner("runs"), w.holds("runs", never, "a:1"))
		w.Ask(owner("waits"), w.holds("waits", never, "a:1"))
		w.Drop(owner("waits"))
		w.Drop(owner("runs"))
		w.Drop(owner("never asked"))
		if got := w.inOrder(); !slices.Equal(got, []string{"runs"}) {
			t.Errorf("began %v, want nothing that was dropped", got)
		}
		for _, name := range []string{"runs", "waits"} {
			if _, s, known := w.Look(owner(name)); known {
				t.Errorf("%s is known after it was dropped: %+v", name, s)
			}
		}
		if got := w.wakes("runs"); got != 0 {
			t.Errorf("woken %d times, want never", got)
		}
		if s := w.Ask(owner("next"), w.holds("next", never, "a:1")); !s.Running {
			t.Errorf("next: %+v, want the room of what was dropped", s)
		}
	})
}

func TestProgressWakes(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		w := newWorld(t, 1, 1)
		job := transfers.Job{Key: "k", Run: func(ctx context.Context, report func(transfer.Progress)) (*transfer.Result, error) {
			ticker := time.NewTicker(time.Second)
			defer ticker.Stop()
			for i := 1; i <= 600; i++ { // ten minutes, but never without a byte
				<-ticker.C
				report(transfer.Progress{Bytes: int64(i), TotalBytes: 600})
			}
			return &transfer.Result{}, nil
		}}
		w.Ask(owner("x"), job)
		<-time.After(5*time.Minute + 500*time.Millisecond)
		if got := w.wakes("x"); got != 30 {
			t.Errorf("woken %d times in five minutes, want every 10 s", got)
		}
		if s := w.Ask(owner("x"), job); !s.Running || s.Progress.Bytes != 300 {
			t.Errorf("half way: %+v", s)
		}
		<-time.After(5 * time.Minute)
		synctest.Wait()
		if s := w.Ask(owner("x"), job); !s.Ended() || s.Err != nil || s.Progress.Bytes != 600 {
			t.Errorf("at the end: %+v", s)
		}
	})
}

func TestStall(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		w := newWorld(t, 1, 1)
		job := transfers.Job{Key: "k", Hosts: []string{"source:1", "mirror:1"}, Run: func(ctx context.Context, report func(transfer.Progress)) (*transfer.Result, error) {
			for range 10 {
				report(transfer.Progress{Bytes: 4096, Blobs: 1})
				select {
				case <-time.After(time.Minute):
				case <-ctx.Done():
					return &transfer.Result{CopiedBytes: 4096}, fmt.Errorf("read a blob: %w", ctx.Err())
				}
			}
			return &transfer.Result{}, nil
		}}
		w.Ask(owner("x"), job)
		<-time.After(3 * time.Minute)
		synctest.Wait()
		s := w.Ask(owner("x"), job)
		stall, ok := errors.AsType[*transfers.StallError](s.Err)
		if !ok || stall.Progress.Bytes != 4096 || s.Result == nil {
			t.Fatalf("a job that hears nothing new: %+v, want a StallError beside what was done", s)
		}
		if want := "the transfer was cancelled because nothing moved for 2m0s; see whether the servers of mirror:1 and source:1 answer: it goes on from where it was"; stall.Error() != want {
			t.Errorf("says %q, want %q", stall, want)
		}
	})
}

func TestPanicIsAnError(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		w := newWorld(t, 1, 1)
		odd := func(context.Context, func(transfer.Progress)) (*transfer.Result, error) { panic("no such blob") }
		for name, run := range map[string]func(context.Context, func(transfer.Progress)) (*transfer.Result, error){
			"it": odd,
			"a goroutine of it": func(ctx context.Context, report func(transfer.Progress)) (result *transfer.Result, err error) {
				defer panics.Recover(&err, "copy")
				return odd(ctx, report)
			},
		} {
			job := transfers.Job{Key: name, Run: run}
			w.Ask(owner(name), job)
			synctest.Wait()
			s := w.Ask(owner(name), job)
			if s.Err == nil || !strings.Contains(s.Err.Error(), "no such blob") || !strings.Contains(s.Err.Error(), "a fault of the operator") || panics.Stack(s.Err) != "" {
				t.Errorf("%s panics: %+v, want an error with the cause that needs no second line in the log", name, s)
			}
		}
	})
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		w, never, at := newWorld(t, 2, 2), make(chan struct{}), time.Now()
		w.Ask(owner("x"), w.holds("x", never))
		w.Ask(ownerIn("other", "y"), w.holds("y", never))
		w.Ask(owner("z"), w.holds("z", never))
		w.stop()
		if took := time.Since(at); took > 0 {
			t.Errorf("the end took %s, want none: all jobs end with their context", took)
		}
		if got := w.inOrder(); len(got) != 2 {
			t.Errorf("began %v, want nothing after the end", got)
		}
		if s := w.Ask(owner("late"), w.holds("late", never)); s.Running {
			t.Errorf("asked after the end: %+v, want a job that does not run", s)
		}
	})
}

// TestShutdownWaitsNotForEver holds that a job which does not end leaves the process as soon as others would have.
func TestShutdownWaitsNotForEver(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		w, deaf, at := newWorld(t, 1, 1), make(chan struct{}), time.Now()
		w.Ask(owner("x"), transfers.Job{Key: "k", Run: func(context.Context, func(transfer.Progress)) (*transfer.Result, error) {
			<-deaf
			return &transfer.Result{}, nil
		}})
		w.stop()
		if took := time.Since(at); took != 20*time.Second {
			t.Errorf("the end took %s, want 20 s", took)
		}
		close(deaf)
		synctest.Wait()
	})
}

func TestAskedBeforeTheStart(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		pool, err := transfers.New(transfers.Options{Workers: 1, PerHost: 1})
		if err != nil {
			t.Fatal(err)
		}
		w, letGo := &world{Pool: pool}, make(chan struct{})
		if s := pool.Ask(owner("x"), w.holds("x", letGo)); s.Queued != 1 {
			t.Errorf("before the start: %+v, want a job that waits", s)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- pool.Start(ctx) }()
		if got := w.inOrder(); len(got) != 1 {
			t.Errorf("began %v, want the job that was asked for before", got)
		}
		if err := pool.Start(ctx); err == nil {
			t.Error("started twice without an error")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		w, never := newWorld(t, 1, 1), make(chan struct{})
		for i := range 4097 {
			if s := w.Ask(owner(strconv.Itoa(i)), w.holds("k", never)); s.Again != 0 {
				t.Fatalf("job %d: %+v, want room for it", i, s)
			}
		}
		s := w.Ask(owner("late"), w.holds("k", never))
		if s.Queued != 4097 || s.Again != 30*time.Second || s.Ended() {
			t.Errorf("one too many: %+v, want it to ask again", s)
		}
		w.Drop(owner("17"))
		if s := w.Ask(owner("late"), w.holds("k", never)); s.Queued != 4096 || s.Again != 0 {
			t.Errorf("after another was dropped: %+v, want the last place", s)
		}
	})
}

func TestOutcomeThatNobodyAsksForIsForgotten(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		w, letGo := newWorld(t, 1, 1), make(chan struct{})
		close(letGo)
		w.Ask(owner("x"), w.holds("x", letGo))
		<-time.After(59 * time.Minute)
		if _, _, known := w.Look(owner("x")); !known {
			t.Error("forgotten within the hour")
		}
		<-time.After(2 * time.Minute)
		if _, _, known := w.Look(owner("x")); known {
			t.Error("known for ever")
		}
	})
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, o := range []transfers.Options{{}, {Workers: 1}, {PerHost: 1}} {
		if pool, err := transfers.New(o); err == nil || pool != nil {
			t.Errorf("New(%+v) = %v, %v; want an error", o, pool, err)
		}
	}
}

// TestStorm asks, drops and changes its mind from everywhere: no owner ever has two jobs at work, and in the end nothing is left.
func TestStorm(t *testing.T) {
	t.Parallel()
	const owners, askers, rounds = 20, 8, 300
	pool, err := transfers.New(transfers.Options{Workers: 6, PerHost: 3})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(ctrl.LoggerInto(t.Context(), logr.Discard()))
	done := make(chan error, 1)
	go func() { done <- pool.Start(ctx) }()
	var working [owners]atomic.Int32
	var begun, outcomes atomic.Int64
	job := func(i, key int) transfers.Job {
		return transfers.Job{Key: strconv.Itoa(key), Hosts: []string{fmt.Sprintf("s%d", i%3), fmt.Sprintf("d%d", key)}, Run: func(ctx context.Context, report func(transfer.Progress)) (*transfer.Result, error) {
			if n := working[i].Add(1); n != 1 {
				t.Errorf("owner %d has %d jobs at work", i, n)
			}
			defer working[i].Add(-1)
			begun.Add(1)
			report(transfer.Progress{Blobs: key})
			if key == 0 { // only ends when nobody wants it
				<-ctx.Done()
			}
			return &transfer.Result{}, ctx.Err()
		}}
	}
	for !pool.Ask(ownerIn("team0", "0"), job(0, 1)).Ended() { // the storm must not be over before the pool works
		runtime.Gosched()
	}
	outcomes.Add(1)
	var group sync.WaitGroup
	for asker := range askers {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(asker), 1))
			for range rounds {
				i, key := random.IntN(owners), random.IntN(3)
				switch random.IntN(10) {
				case 0:
					pool.Drop(ownerIn(fmt.Sprint("team", i%4), strconv.Itoa(i)))
				case 1:
					pool.Look(ownerIn(fmt.Sprint("team", i%4), strconv.Itoa(i)))
				default:
					if s := pool.Ask(ownerIn(fmt.Sprint("team", i%4), strconv.Itoa(i)), job(i, key)); s.Ended() {
						outcomes.Add(1)
					}
				}
			}
		})
	}
	group.Wait()
	for i := range owners {
		pool.Drop(ownerIn(fmt.Sprint("team", i%4), strconv.Itoa(i)))
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for i := range working {
		if n := working[i].Load(); n != 0 {
			t.Errorf("owner %d has %d jobs at work after the end", i, n)
		}
	}
	if begun.Load() == 0 || outcomes.Load() == 0 {
		t.Errorf("%d jobs began and %d outcomes were told, want some", begun.Load(), outcomes.Load())
	}
	t.Logf("%d jobs began, %d outcomes were told", begun.Load(), outcomes.Load())
}
