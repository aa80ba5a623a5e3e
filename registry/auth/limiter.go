package auth

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// failureBurst is how many credentials a client may get wrong at once, and failureRate how many a second after that.
	failureBurst = 20
	failureRate  = rate.Limit(0.5)
	// maxClients bounds how many clients are remembered for their failures; only who has failed is.
	maxClients = 4096
	// networkBits is how much of an IPv6 address tells one client from another; the rest a client chooses by itself.
	networkBits = 64
)

// LimitedError says that a client has failed too often to be listened to now.
type LimitedError struct {
	// After is when it may try again.
	After time.Duration
}

// Error implements error.
func (e *LimitedError) Error() string {
	return fmt.Sprintf("too many wrong credentials from this address: try again in %s", e.After)
}

// Limiter bounds how often a client may be wrong. It is safe for use by many goroutines; a nil *Limiter never limits.
type Limiter struct {
	now func() time.Time

	mu      sync.Mutex
	clients *recent[netip.Prefix, *rate.Limiter]
}

// NewLimiter returns a limiter that nobody has failed at. A nil now is time.Now.
func NewLimiter(now func() time.Time) *Limiter {
	if now == nil {
		now = time.Now
	}
	return &Limiter{now: now, clients: newRecent[netip.Prefix, *rate.Limiter](maxClients)}
}

// Check returns a *LimitedError when the client has to wait.
func (l *Limiter) Check(client string) error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	failures, found := l.clients.get(network(client))
	if !found {
		return nil
	}
	missing := 1 - failures.TokensAt(l.now())
	if missing <= 0 {
		return nil
	}
	wait := time.Duration(missing / float64(failureRate) * float64(time.Second))
	return &LimitedError{After: wait.Truncate(time.Second) + time.Second}
}

// Failed counts a wrong credential.
func (l *Limiter) Failed(client string) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	key := network(client)
	failures, found := l.clients.get(key)
	if !found {
		failures = rate.NewLimiter(failureRate, failureBurst)
		l.clients.put(key, failures)
	}
	failures.AllowN(l.now(), 1)
}

// network returns what stands for a client: its IPv4 address, or the network of its IPv6 address. Those whose address can't be
// read are one client.
func network(client string) netip.Prefix {
	address, err := netip.ParseAddr(client)
	if withPort, e := netip.ParseAddrPort(client); e == nil {
		address, err = withPort.Addr(), nil
	}
	if err != nil {
		return netip.Prefix{}
	}
	address = address.Unmap().WithZone("")
	prefix, err := address.Prefix(min(address.BitLen(), networkBits))
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}
