package store

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
)

// keyScrubbed is where the index remembers when a scrub has ended.
var keyScrubbed = []byte("scrubbed")

// scrubbed counts what scrubs have read.
type scrubbed struct{ bytes atomic.Int64 }

// end remembers that everything was looked at.
func (*scrubbed) end(s *Store) error {
	at, err := s.now().MarshalBinary()
	if err == nil {
		err = s.update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketState).Put(keyScrubbed, at) })
	}
	if err != nil {
		return fmt.Errorf("remember the end of the scrub: %w", err)
	}
	return nil
}

// Scrubbed returns when everything was looked at last; zero when never.
func (s *Store) Scrubbed() (at time.Time, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		if saved := tx.Bucket(bucketState).Get(keyScrubbed); saved != nil && at.UnmarshalBinary(saved) != nil {
			at = time.Time{} // damaged, so it is time
		}
		return nil
	})
	return at, err
}

// firstScrub is how long after its start a store is left alone: everybody looks at everything then.
const firstScrub = 10 * time.Minute

// Scrubber scrubs again and again. A restart does not put it off.
type Scrubber struct {
	// Store is the store to scrub.
	Store *Store
	// Interval is the time from the end of one scrub to the next; zero is never.
	Interval time.Duration
	// Rate is how many bytes a second are read at most; zero is as many as the disk gives.
	Rate int64
	// Report is told the outcome of each; it may be nil.
	Report func(ScrubStats, error)
}

// Run scrubs until the context is over.
func (c *Scrubber) Run(ctx context.Context) error {
	if c.Interval <= 0 {
		<-ctx.Done()
		return nil
	}
	for wait := c.first(); ; wait = c.Interval {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		stats, err := c.Store.Scrub(ctx, c.Rate)
		if c.Report != nil && ctx.Err() == nil {
			c.Report(stats, err)
		}
	}
}

// first returns when the first scrub is due.
func (c *Scrubber) first() time.Duration {
	soon := min(c.Interval, firstScrub)
	at, err := c.Store.Scrubbed()
	if err != nil || at.IsZero() {
		return soon
	}
	return min(c.Interval, max(soon, at.Add(c.Interval).Sub(c.Store.now())))
}

// paceTick is how often a pacer gives out bytes.
const paceTick = 100 * time.Millisecond

// pacer lets so many bytes a second pass. What is not used is not kept for later.
type pacer struct {
	rate int64
	left int64
	// sleep waits for the next tick.
	sleep func(ctx context.Context, d time.Duration) error
}

func newPacer(rate int64) *pacer { return &pacer{rate: rate, sleep: sleep} }

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// take returns how many of n bytes may be read now: at least one.
func (p *pacer) take(ctx context.Context, n int64) (int64, error) {
	if p.rate <= 0 {
		return n, context.Cause(ctx)
	}
	if p.left <= 0 {
		if err := p.sleep(ctx, paceTick); err != nil {
			return 0, err
		}
		p.left = max(1, int64(float64(p.rate)*paceTick.Seconds()))
	}
	n = min(n, p.left)
	p.left -= n
	return n, nil
}

// giveBack returns what was taken and not used.
func (p *pacer) giveBack(n int64) { p.left += n }

// Counters are totals since the store was opened.
type Counters struct {
	// DamagedBlobs and DamagedManifests are those that had other content than their digests say.
	DamagedBlobs, DamagedManifests int64
	// Refused are writes that found no room.
	Refused int64
	// ScrubbedBytes are what scrubs have read.
	ScrubbedBytes int64
}

// Counters returns the totals.
func (s *Store) Counters() Counters {
	return Counters{
		DamagedBlobs: s.blobs.damaged.total.Load(), DamagedManifests: s.losses.manifests.Load(),
		Refused: s.refusals.total.Load(), ScrubbedBytes: s.scrubbed.bytes.Load(),
	}
}
