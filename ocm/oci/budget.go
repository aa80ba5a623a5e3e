package oci

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// BudgetOptions configure a budget. A zero field means its default.
type BudgetOptions struct {
	// PerHost is how many requests may wait for an answer of one host, 32 by
	// default.
	PerHost int
	// LongestPause bounds for how long no requests are sent to a host that asked
	// for that, a minute by default.
	LongestPause time.Duration
	// Waited is told how long a request was kept back.
	Waited func(host string, d time.Duration)
	// Paused is told for how long a host is left alone from now on.
	Paused func(host string, d time.Duration)
	// Answered is told of each request that was sent, with the status of its
	// answer, or zero if there was none.
	Answered func(host, method string, status int)
}

// Budget bounds how many requests are sent to a host at once, whoever sends them,
// and leaves a host alone for as long as it asks for. It is safe for concurrent
// use. A nil budget has no bounds.
//
// That is for those with one and the same connection. Whoever brings a proxy or a
// certificate authority decides what any host seems to say, and for how long it
// says nothing, so others are not bothered by it. With one connection it is the
// host that speaks: when it asks one of them to wait, because of one credential or
// another, all of them do, for LongestPause at most.
//
// Only the wait for the headers of an answer counts, and neither content that is
// read nor content that is sent, so that a copy which does both never waits for
// itself.
type Budget struct {
	options BudgetOptions

	mu    sync.Mutex
	hosts map[budgetKey]*hostBudget
}

// budgetKey is a host as it is seen by those with one connection.
type budgetKey struct{ connection, host string }

// maxBudgetHosts bounds the hosts that are known; component versions choose them.
const maxBudgetHosts = 1024

// hostBudget is what is known of a host.
type hostBudget struct {
	slots chan struct{}
	users int // requests that are under way or wait
	until time.Time
}

// NewBudget returns a budget.
func NewBudget(o BudgetOptions) *Budget {
	o.PerHost = or(o.PerHost, 32)
	if o.LongestPause <= 0 {
		o.LongestPause = time.Minute
	}
	if o.Waited == nil {
		o.Waited = func(string, time.Duration) {}
	}
	if o.Paused == nil {
		o.Paused = func(string, time.Duration) {}
	}
	if o.Answered == nil {
		o.Answered = func(string, string, int) {}
	}
	return &Budget{options: o, hosts: map[budgetKey]*hostBudget{}}
}

// Over returns a transport within the budget, whose connections are named as in
// Options.Connection. Clients with Options.Budget do that themselves.
func (b *Budget) Over(connection string, transport http.RoundTripper) http.RoundTripper {
	if b == nil {
		return transport
	}
	return &budgeted{budget: b, connection: connection, transport: transport}
}

type budgeted struct {
	budget     *Budget
	connection string
	transport  http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *budgeted) RoundTrip(req *http.Request) (*http.Response, error) {
	return t.budget.send(req, t.connection, t.transport)
}

// send sends a request when it is its turn.
func (b *Budget) send(req *http.Request, connection string, transport http.RoundTripper) (*http.Response, error) {
	name := strings.ToLower(req.URL.Host)
	host := b.enter(budgetKey{connection, name})
	defer b.leave(host)
	start := time.Now()
	goOn := hold(req.Context())
	kept, err := b.wait(req.Context(), host)
	goOn()
	if kept {
		b.options.Waited(name, time.Since(start))
	}
	if err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	slot := sync.OnceFunc(func() { <-host.slots })
	defer slot()
	if req.Body != nil && req.Body != http.NoBody {
		// Who sends content is no longer waiting for an answer.
		out := *req
		out.Body = &releasing{ReadCloser: req.Body, release: slot}
		req = &out
	}
	resp, err := transport.RoundTrip(req)
	if err == nil {
		b.note(name, host, resp)
		b.options.Answered(name, req.Method, resp.StatusCode)
	} else {
		b.options.Answered(name, req.Method, 0)
	}
	return resp, err
}

func (b *Budget) enter(key budgetKey) *hostBudget {
	b.mu.Lock()
	defer b.mu.Unlock()
	host := b.hosts[key]
	if host == nil {
		if len(b.hosts) >= maxBudgetHosts {
			b.forget()
		}
		host = &hostBudget{slots: make(chan struct{}, b.options.PerHost)}
		b.hosts[key] = host
	}
	host.users++
	return host
}

// forget drops the hosts that nothing is known of but their names.
func (b *Budget) forget() {
	now := time.Now()
	for key, host := range b.hosts {
		if host.users == 0 && !host.until.After(now) {
			delete(b.hosts, key)
		}
	}
}

func (b *Budget) leave(host *hostBudget) {
	b.mu.Lock()
	defer b.mu.Unlock()
	host.users--
}

// wait waits for a turn, and reports whether there was something to wait for.
func (b *Budget) wait(ctx context.Context, host *hostBudget) (kept bool, err error) {
	for {
		if pause := b.pause(host); pause > 0 {
			kept = true
			if err := sleep(ctx, pause); err != nil {
				return kept, err
			}
			continue
		}
		select {
		case host.slots <- struct{}{}:
		default:
			kept = true
			select {
			case host.slots <- struct{}{}:
			case <-ctx.Done():
				return kept, context.Cause(ctx)
			}
		}
		if b.pause(host) <= 0 {
			return kept, nil
		}
		<-host.slots
	}
}

// pause returns for how long a host is left alone.
func (b *Budget) pause(host *hostBudget) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Until(host.until)
}

// note takes notice of a host that wants to be left alone.
func (b *Budget) note(name string, host *hostBudget, resp *http.Response) {
	if resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
		return
	}
	wait, ok := retryAfter(resp.Header.Get("Retry-After"), time.Now())
	if wait = min(wait, b.options.LongestPause); !ok || wait <= 0 {
		return
	}
	b.mu.Lock()
	until := time.Now().Add(wait)
	longer := until.After(host.until)
	if longer {
		host.until = until
	}
	b.mu.Unlock()
	if longer {
		b.options.Paused(name, wait)
	}
}

// releasing gives a turn back when it is read.
type releasing struct {
	io.ReadCloser

	release func()
}

// Read implements io.Reader.
func (r *releasing) Read(p []byte) (int, error) {
	r.release()
	return r.ReadCloser.Read(p)
}
