package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ocm-operator/ocm-operator/ocm/credentials"
)

// trip is a transport made of a function.
type trip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f trip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func reply(code int, header ...string) *http.Response {
	resp := &http.Response{StatusCode: code, Header: http.Header{}, Body: http.NoBody}
	for i := 0; i < len(header); i += 2 {
		resp.Header.Set(header[i], header[i+1])
	}
	return resp
}

func request(ctx context.Context, t *testing.T, host string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://"+host, body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// TestBudgetPerHost lets so many requests of a host wait, and keeps nobody from others.
func TestBudgetPerHost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var waited atomic.Int32
		b := NewBudget(BudgetOptions{PerHost: 2, Waited: func(host string, _ time.Duration) {
			if host != "a.example" {
				t.Errorf("%s was kept back", host)
			}
			waited.Add(1)
		}})
		answers := make(chan struct{})
		var toA, toB atomic.Int32
		slow := b.Over("", trip(func(req *http.Request) (*http.Response, error) {
			if strings.EqualFold(req.URL.Host, "a.example") {
				toA.Add(1)
			} else {
				toB.Add(1)
			}
			<-answers
			return reply(http.StatusOK), nil
		}))
		var all sync.WaitGroup
		for _, host := range []string{"A.example", "b.example", "a.example", "a.example", "b.example", "A.Example"} {
			all.Go(func() {
				if _, err := slow.RoundTrip(request(t.Context(), t, host, nil)); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if toA.Load() != 2 || toB.Load() != 2 {
			t.Errorf("%d and %d requests were sent, want 2 to each host", toA.Load(), toB.Load())
		}
		close(answers)
		all.Wait()
		if toA.Load() != 4 || waited.Load() != 2 {
			t.Errorf("%d requests were sent, %d of them kept back, want 4 and 2", toA.Load(), waited.Load())
		}
		if len(b.hosts) != 2 || b.hosts[budgetKey{"", "a.example"}].users != 0 || len(b.hosts[budgetKey{"", "a.example"}].slots) != 0 {
			t.Errorf("%d hosts, %+v", len(b.hosts), b.hosts[budgetKey{"", "a.example"}])
		}
	})
}

// TestBudgetContent counts no request that sends its content or whose answer is read.
func TestBudgetContent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		over := NewBudget(BudgetOptions{PerHost: 1}).Over("", trip(func(req *http.Request) (*http.Response, error) {
			if req.Body == nil {
				return reply(http.StatusOK), nil
			}
			_, err := io.Copy(io.Discard, req.Body)
			return reply(http.StatusCreated), err
		}))
		content, send := io.Pipe()
		done := make(chan error)
		go func() {
			_, err := over.RoundTrip(request(t.Context(), t, "a.example", content))
			done <- err
		}()
		if _, err := send.Write([]byte("half")); err != nil {
			t.Fatal(err)
		}
		// The answer to this one is what the other sends.
		if _, err := over.RoundTrip(request(t.Context(), t, "a.example", nil)); err != nil {
			t.Error(err)
		}
		send.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestBudgetPauses leaves a host alone for as long as it says, but not for ever.
func TestBudgetPauses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		code int
		says string
		want time.Duration
	}{
		"seconds":        {http.StatusTooManyRequests, "7", 7 * time.Second},
		"unavailable":    {http.StatusServiceUnavailable, "7", 7 * time.Second},
		"a date":         {http.StatusTooManyRequests, "Sat, 01 Jan 2000 00:00:09 GMT", 9 * time.Second},
		"too long":       {http.StatusTooManyRequests, "86400", time.Minute},
		"nothing":        {http.StatusTooManyRequests, "", 0},
		"no time":        {http.StatusTooManyRequests, "soon", 0},
		"past":           {http.StatusTooManyRequests, "Sat, 01 Jan 1999 00:00:09 GMT", 0},
		"another answer": {http.StatusNotFound, "7", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var told []string
				first := true
				over := NewBudget(BudgetOptions{
					Waited: func(host string, d time.Duration) { told = append(told, fmt.Sprint("waited ", host, " ", d)) },
					Paused: func(host string, d time.Duration) { told = append(told, fmt.Sprint("paused ", host, " ", d)) },
				}).Over("", trip(func(*http.Request) (*http.Response, error) {
					if !first {
						return reply(http.StatusOK), nil
					}
					first = false
					return reply(tc.code, "Retry-After", tc.says), nil
				}))
				start := time.Now()
				for _, host := range []string{"a.example", "b.example", "a.example"} {
					if _, err := over.RoundTrip(request(t.Context(), t, host, nil)); err != nil {
						t.Fatal(err)
					}
				}
				if got := time.Since(start); got != tc.want {
					t.Errorf("waited %s, want %s", got, tc.want)
				}
				want := fmt.Sprintf("[paused a.example %s waited a.example %s]", tc.want, tc.want)
				if got := fmt.Sprint(told); tc.want > 0 && got != want || tc.want == 0 && len(told) > 0 {
					t.Errorf("told %s, want %s", got, want)
				}
			})
		})
	}
}

// TestBudgetCanceled ends waiting with its context, and closes what would have been sent.
func TestBudgetCanceled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answers := make(chan struct{})
		b := NewBudget(BudgetOptions{PerHost: 1})
		over := b.Over("", trip(func(req *http.Request) (*http.Response, error) {
			if req.Header.Get("Slow") == "" {
				return reply(http.StatusTooManyRequests, "Retry-After", "30"), nil
			}
			<-answers
			return reply(http.StatusOK), nil
		}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() {
			req := request(t.Context(), t, "busy.example", nil)
			req.Header.Set("Slow", "yes")
			_, _ = over.RoundTrip(req)
		}()
		if _, err := over.RoundTrip(request(ctx, t, "paused.example", nil)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, host := range []string{"busy.example", "paused.example"} {
			content := &closing{Reader: strings.NewReader("x")}
			if _, err := over.RoundTrip(request(ctx, t, host, content)); !errors.Is(err, context.DeadlineExceeded) || !content.closed {
				t.Errorf("%s: %v, closed: %t", host, err, content.closed)
			}
		}
		close(answers)
	})
}

type closing struct {
	io.Reader

	closed bool
}

// Close implements io.Closer.
func (c *closing) Close() error {
	c.closed = true
	return nil
}

// TestBudgetConnections keeps nobody from a host because of those who decide themselves what it seems to say.
func TestBudgetConnections(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		theirs string
		shared bool
	}{
		"the same":                  {"usual", true},
		"a password":                {ConnectionWith("usual", credentials.Credential{Username: "me", Password: "x"}), true},
		"a proxy":                   {"by a proxy", false},
		"an authority":              {ConnectionWith("usual", credentials.Credential{CertificateAuthority: "own"}), false},
		"a certificate":             {ConnectionWith("usual", credentials.Credential{Certificate: "own"}), false},
		"an authority with a proxy": {ConnectionWith("by a proxy", credentials.Credential{CertificateAuthority: "own"}), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := NewBudget(BudgetOptions{PerHost: 1})
				theirs := b.Over(tc.theirs, trip(func(req *http.Request) (*http.Response, error) {
					<-req.Context().Done()
					return reply(http.StatusTooManyRequests, "Retry-After", "30"), nil
				}))
				hangs, stop := context.WithTimeout(t.Context(), time.Minute)
				defer stop()
				var hanging sync.WaitGroup
				hanging.Go(func() {
					if _, err := theirs.RoundTrip(request(hangs, t, "a.example", nil)); err != nil {
						t.Error(err)
					}
				})
				synctest.Wait()
				start := time.Now()
				ours := b.Over("usual", trip(func(*http.Request) (*http.Response, error) { return reply(http.StatusOK), nil }))
				if _, err := ours.RoundTrip(request(t.Context(), t, "a.example", nil)); err != nil {
					t.Error(err)
				}
				want := time.Duration(0)
				if tc.shared {
					want = 90 * time.Second // until it hangs no longer, and what it said then
				}
				if got := time.Since(start); got != want {
					t.Errorf("kept back for %s, want %s", got, want)
				}
				hanging.Wait()
			})
		})
	}
}

// TestBudgetIsNobodysFault blames neither side of a copy for the time that its requests are kept back.
func TestBudgetIsNobodysFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		busy := true
		over := NewBudget(BudgetOptions{}).Over("", trip(func(req *http.Request) (*http.Response, error) {
			if busy {
				busy = false
				return reply(http.StatusTooManyRequests, "Retry-After", "50"), nil
			}
			_, err := io.Copy(io.Discard, req.Body)
			return reply(http.StatusCreated), err
		}))
		if _, err := over.RoundTrip(request(t.Context(), t, "a.example", nil)); err != nil {
			t.Fatal(err)
		}
		ctx, f := newFlow(t.Context(), 20*time.Second, nil)
		defer f.stop(nil)
		f.over(io.NopCloser(strings.NewReader("text")), 4)
		<-time.After(15 * time.Second) // of its patience
		if _, err := over.RoundTrip(request(ctx, t, "a.example", f)); err != nil {
			t.Errorf("%v, %v", err, f.failure())
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		// Who hangs is to blame still.
		ctx, f = newFlow(t.Context(), 20*time.Second, nil)
		defer f.stop(nil)
		f.over(io.NopCloser(strings.NewReader("text")), 4)
		hold(ctx)()
		<-ctx.Done()
		if err := f.failure(); SideOf(err) != Target || !errors.Is(err, ErrUnreachable) {
			t.Errorf("failure is %v, want the target's", err)
		}
	})
}

// TestBudgetForgets hosts, whose number others decide.
func TestBudgetForgets(t *testing.T) {
	t.Parallel()
	b := NewBudget(BudgetOptions{})
	over := b.Over("", trip(func(req *http.Request) (*http.Response, error) {
		if req.URL.Host == "paused.example" {
			return reply(http.StatusTooManyRequests, "Retry-After", "30"), nil
		}
		return reply(http.StatusOK), nil
	}))
	for i := range 2 * maxBudgetHosts {
		host := fmt.Sprintf("h%d.example", i)
		if i == 0 {
			host = "paused.example"
		}
		if _, err := over.RoundTrip(request(t.Context(), t, host, nil)); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.hosts) > maxBudgetHosts || b.hosts[budgetKey{"", "paused.example"}] == nil {
		t.Errorf("%d hosts are known; the one that wants to be left alone: %t", len(b.hosts), b.hosts[budgetKey{"", "paused.example"}] != nil)
	}
	var none *Budget
	if got := none.Over("", http.DefaultTransport); got != http.DefaultTransport {
		t.Errorf("a transport without a budget is %T", got)
	}
}

// TestBudgetOfClient is shared by all clients, and asks again when the host wants it.
func TestBudgetOfClient(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	v.instead = times(1, http.MethodHead, func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	})
	var paused atomic.Int32
	b := NewBudget(BudgetOptions{Paused: func(string, time.Duration) { paused.Add(1) }})
	r, err := NewClient(Options{Home: v.host, Budget: b}).Repository(Location{Host: v.host, Path: "a", PlainHTTP: true})
	if err != nil {
		t.Fatal(err)
	}
	desc := v.put("a", some(9))
	if has, err := r.Has(t.Context(), desc); !has || err != nil || paused.Load() != 1 {
		t.Errorf("Has = %t, %v, paused %d times", has, err, paused.Load())
	}
}
