package store

import (
	"context"
	"time"
)

// lookForRoom is how often a collector looks whether the disk has filled, and whether there is room for those who were refused.
const lookForRoom = 5 * time.Second

// Collector collects again and again, and at once when there is no room. While one runs, writes that find no room wait for it.
type Collector struct {
	// Store is the store to collect in.
	Store *Store
	// Roots tells what must stay.
	Roots Roots
	// Interval is the time between two collections.
	Interval time.Duration
	// Report is told the outcome of each; it may be nil.
	Report func(CollectStats, error)
}

// Run collects until the context is over.
func (c *Collector) Run(ctx context.Context) error {
	pressure := c.Store.pressure
	pressure.attach(1)
	defer pressure.attach(-1)
	ticker, look := time.NewTicker(c.Interval), time.NewTicker(lookForRoom)
	defer ticker.Stop()
	defer look.Stop()
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		due := false
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			due = true
		case <-pressure.wake:
		case <-again.C:
		case <-look.C:
			c.Store.offerRoom()
		}
		if !due && !c.due() {
			continue
		}
		if pause := pressure.pause(); !due && pause > 0 {
			again.Reset(pause) // room is offered meanwhile
			continue
		}
		stats, err := c.Store.Collect(ctx, c.Roots)
		c.Store.offerRoom()
		if c.Report != nil && ctx.Err() == nil {
			c.Report(stats, err)
		}
	}
}

// due tells whether there is a reason for a collection: somebody waits for room, or the high mark is passed.
// Passing the mark is no reason again before there may be something new to free.
func (c *Collector) due() bool {
	p := c.Store.pressure
	return p.waited() || c.Store.room.above(c.Store.room.high) && p.rested(c.Store.leases.grace)
}

func (s *Store) offerRoom() { s.refusals.offer(s.room.left) }
