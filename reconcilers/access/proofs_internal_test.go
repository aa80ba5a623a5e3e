package access

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/ocm-operator/ocm-operator/ocm/turns"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
)

// testProofs returns an empty memory whose clock the caller may move.
func testProofs(t *testing.T) (*proofs, *atomic.Pointer[time.Time]) {
	t.Helper()
	m, err := newMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	clock := &atomic.Pointer[time.Time]{}
	start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	clock.Store(&start)
	return &proofs{
		now: func() time.Time { return *clock.Load() }, metrics: m, verdicts: newMemory[verdict](8), contents: newMemory[struct{}](8),
		slots: turns.New[slotKey](2), running: map[string]*verification{},
	}, clock
}

// results are how verifications ended so far.
func results(p *proofs) map[string]int {
	all := map[string]int{}
	for _, result := range []string{resultVerified, resultRefused, resultFailed, resultRemembered} {
		all[result] = int(testutil.ToFloat64(p.metrics.results.WithLabelValues(result)))
	}
	return all
}

func TestVerificationIsShared(t *testing.T) {
	t.Parallel()
	p, _ := testProofs(t)
	const callers = 100
	var begun atomic.Int64
	proof, told := &verify.Proof{}, make(chan struct{}, callers)
	finish := make(chan struct{})
	prove := func(ctx context.Context, report func(verify.Progress)) (*verify.Proof, error) {
		begun.Add(1)
		// Each is told sooner or later, however late it comes.
		for {
			select {
			case <-finish:
				return proof, ctx.Err()
			default:
				report(verify.Progress{Checked: 1})
			}
		}
	}
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			once := sync.OnceFunc(func() { told <- struct{}{} })
			got, err := p.get(t.Context(), "key", prove, func(verify.Progress) { once() })
			if err != nil || got != proof {
				t.Errorf("proof is %p, %v, want the one of all", got, err)
			}
		})
	}
	for range callers {
		<-told
	}
	close(finish)
	group.Wait()
	if n := begun.Load(); n != 1 {
		t.Errorf("%d callers began %d verifications, want one", callers, n)
	}
	if len(p.running) != 0 {
		t.Errorf("%d verifications are kept as if they went on", len(p.running))
	}
	if diff := cmp.Diff(map[string]int{resultVerified: 1, resultRefused: 0, resultFailed: 0, resultRemembered: 0}, results(p)); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
}

func TestVerdictsThatAreRemembered(t *testing.T) {
	t.Parallel()
	large := &verify.Proof{Versions: make([]verify.Proven, maxProofParts), Unprotected: make([]verify.Unprotected, 1)}
	for name, tc := range map[string]struct {
		proof  *verify.Proof
		err    error
		result string
		again  bool
		reason string
	}{
		"proof":           {&verify.Proof{}, nil, resultVerified, false, "what is pinned can't change"},
		"large proof":     {large, nil, resultVerified, true, "memory is bounded"},
		"lasting refusal": {nil, &verify.Error{Err: errors.New("no signature"), Lasting: true}, resultRefused, false, "the bytes are pinned"},
		"refused content": {nil, &verify.Error{Err: errors.New("wrong bytes")}, resultRefused, true, "content may be repaired"},
		"passing fault":   {nil, errors.New("registry is away"), resultFailed, true, "it may be back"},
		"nothing":         {nil, nil, resultFailed, true, "no proof is no verdict"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := testProofs(t)
			done := 0
			for range 2 {
				got, err := p.get(t.Context(), "key", func(context.Context, func(verify.Progress)) (*verify.Proof, error) {
					done++
					return tc.proof, tc.err
				}, nil)
				if got != tc.proof || (err == nil) != (tc.result == resultVerified) || (tc.err != nil && !errors.Is(err, tc.err)) {
					t.Errorf("verdict is %p, %v", got, err)
				}
			}
			want := map[string]int{resultVerified: 0, resultRefused: 0, resultFailed: 0, resultRemembered: 0}
			want[tc.result]++
			want[resultRemembered]++
			if tc.again {
				want[tc.result]++
				want[resultRemembered]--
			}
			if diff := cmp.Diff(want, results(p)); diff != "" || (done == 2) != tc.again {
				t.Errorf("verified %d times: %s; results (-want +got):\n%s", done, tc.reason, diff)
			}
		})
	}
}

func TestProofExpires(t *testing.T) {
	t.Parallel()
	p, clock := testProofs(t)
	start := *clock.Load()
	done := 0
	prove := func(context.Context, func(verify.Progress)) (*verify.Proof, error) {
		done++
		return &verify.Proof{Expires: start.Add(time.Hour)}, nil
	}
	for _, step := range []struct {
		at   time.Duration
		want int
	}{{0, 1}, {time.Hour - time.Second, 1}, {time.Hour, 2}} {
		now := start.Add(step.at)
		clock.Store(&now)
		if _, err := p.get(t.Context(), "key", prove, nil); err != nil || done != step.want {
			t.Errorf("after %s it was verified %d times, %v, want %d", step.at, done, err, step.want)
		}
	}
}

func TestPanicOfVerification(t *testing.T) {
	t.Parallel()
	p, _ := testProofs(t)
	_, err := p.get(t.Context(), "key", func(context.Context, func(verify.Progress)) (*verify.Proof, error) { panic("foreign bytes") }, nil)
	if err == nil || !strings.Contains(err.Error(), "foreign bytes") || errors.Is(err, verify.ErrRefused) {
		t.Errorf("error is %v, want the panic", err)
	}
}

// TestVerificationEndsWithItsLastWaiter: one who gives up doesn't matter to others, and when all have, nothing goes on.
func TestVerificationEndsWithItsLastWaiter(t *testing.T) {
	t.Parallel()
	p, _ := testProofs(t)
	begun, ended, release := make(chan struct{}), make(chan error), make(chan struct{})
	prove := func(ctx context.Context, _ func(verify.Progress)) (*verify.Proof, error) {
		close(begun)
		<-ctx.Done()
		ended <- context.Cause(ctx)
		<-release // as something that is slow to stop
		return nil, ctx.Err()
	}
	wait := func() (context.CancelFunc, <-chan error) {
		ctx, cancel := context.WithCancel(t.Context())
		gaveUp := make(chan error, 1)
		_, v, w := p.join(ctx, "key", prove)
		go func() {
			<-ctx.Done()
			p.leave("key", v, w)
			gaveUp <- ctx.Err()
		}()
		return cancel, gaveUp
	}
	first, firstGone := wait()
	second, secondGone := wait()
	<-begun
	first()
	<-firstGone
	if len(p.running) != 1 {
		t.Error("the verification ended, but somebody waits for it")
	}
	second()
	<-secondGone
	if cause := <-ended; !errors.Is(cause, errNobodyWaits) {
		t.Errorf("the verification ended by %v, want because nobody waits", cause)
	}
	// Who comes now must not get what was given up.
	proof := &verify.Proof{}
	got, err := p.get(t.Context(), "key", func(context.Context, func(verify.Progress)) (*verify.Proof, error) { return proof, nil }, nil)
	if got != proof || err != nil {
		t.Errorf("a later caller got %p, %v", got, err)
	}
	close(release)
}

func TestCallerOfVerificationMayGiveUp(t *testing.T) {
	t.Parallel()
	p, _ := testProofs(t)
	cause := errors.New("object was deleted")
	ctx, cancel := context.WithCancelCause(t.Context())
	_, err := p.get(ctx, "key", func(inner context.Context, report func(verify.Progress)) (*verify.Proof, error) {
		report(verify.Progress{Resources: 1})
		<-inner.Done()
		return nil, inner.Err()
	}, func(verify.Progress) { cancel(cause) })
	if !errors.Is(err, cause) {
		t.Errorf("error is %v, want that of the caller", err)
	}
}

func TestMetricsAreRegisteredOnce(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	m, err := newMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	m.verified(nil, time.Second)
	if n, err := testutil.GatherAndCount(registry); err != nil || n != 5 {
		t.Errorf("%d series, %v, want one of each result, and the duration", n, err)
	}
	if _, err := newMetrics(registry); err == nil {
		t.Error("metrics were registered twice without an error")
	}
}
