package auth

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

const (
	// failureBurst is how many credentials a client may get wrong at once, and failureRate how many a second after that.
	failureBurst = 20
	failureRate  = 0.5
	// addressBurst and addressRate are the same for all tokens that come from one address. They are more, because many clients
	// may have one address.
	addressBurst = 200
	addressRate  = 5
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
//
// A client is an address and, for a token, whom it says that it stands for: behind one address there may be a whole node, and
// one of its pods that fails must not lock out the others. As anybody can say anything, there is a bound for the address too.
// What costs nothing to refuse, such as a wrong password, does not count towards that.
type Limiter struct {
	now func() time.Time

	mu        sync.Mutex
	clients   *recent[client, *bucket]
	addresses *recent[client, *bucket]
}

// client is whom failures are counted for.
type client struct {
	network netip.Prefix
	// subject is a digest of what a token says; zero for other credentials, and for all clients of an address.
	subject [sha256.Size]byte
}

// bucket is what a client may still get wrong.
type bucket struct {
	burst, rate float64
	left        float64
	filled      time.Time
}

// NewLimiter returns a limiter that nobody has failed at. A nil now is time.Now.
func NewLimiter(now func() time.Time) *Limiter {
	if now == nil {
		now = time.Now
	}
	return &Limiter{now: now, clients: newRecent[client, *bucket](maxClients), addresses: newRecent[client, *bucket](maxClients)}
}

// Check returns a *LimitedError when the client has to wait. The subject is what a token says of whom it stands for, and empty
// for other credentials.
func (l *Limiter) Check(address, subject string) error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.buckets(address, subject, false) {
		if err := b.limited(l.now()); err != nil {
			return err
		}
	}
	return nil
}

// Reserve counts a failure before it is known whether there is one, so that no more questions are on their way than there may
// be failures. The function that it returns takes that back. It returns a *LimitedError when the client has to wait.
func (l *Limiter) Reserve(address, subject string) (giveBack func(), err error) {
	if l == nil {
		return func() {}, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	buckets := l.buckets(address, subject, true)
	for _, b := range buckets {
		if err := b.limited(l.now()); err != nil {
			return nil, err
		}
	}
	for _, b := range buckets {
		b.left--
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, b := range buckets {
			b.left = min(b.left+1, b.burst)
		}
	}, nil
}

// buckets returns what a client has left: those that are known, or all, which are made then.
func (l *Limiter) buckets(address, subject string, all bool) []*bucket {
	who := client{network: network(address)}
	wide := who
	if subject != "" {
		who.subject = sha256.Sum256([]byte(subject))
	}
	var found []*bucket
	take := func(from *recent[client, *bucket], key client, burst, rate float64) {
		b, known := from.get(key)
		if !known && all {
			b, known = &bucket{burst: burst, rate: rate, left: burst, filled: l.now()}, true
			from.put(key, b)
		}
		if known {
			found = append(found, b)
		}
	}
	take(l.clients, who, failureBurst, failureRate)
	if subject != "" {
		take(l.addresses, wide, addressBurst, addressRate)
	}
	return found
}

func (b *bucket) fill(now time.Time) {
	b.left = min(b.left+max(now.Sub(b.filled), 0).Seconds()*b.rate, b.burst)
	b.filled = now
}

func (b *bucket) limited(now time.Time) error {
	b.fill(now)
	if b.left >= 1 {
		return nil
	}
	wait := time.Duration((1 - b.left) / b.rate * float64(time.Second))
	return &LimitedError{After: wait.Truncate(time.Second) + time.Second}
}

// network returns what stands for a client: its IPv4 address, or the network of its IPv6 address. Those whose address can't be
// read are one client.
func network(address string) netip.Prefix {
	ip, err := netip.ParseAddr(address)
	if withPort, e := netip.ParseAddrPort(address); e == nil {
		ip, err = withPort.Addr(), nil
	}
	if err != nil {
		return netip.Prefix{}
	}
	ip = ip.Unmap().WithZone("")
	prefix, err := ip.Prefix(min(ip.BitLen(), networkBits))
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}
