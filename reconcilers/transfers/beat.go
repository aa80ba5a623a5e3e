package transfers

import (
	"sync"
	"time"

	"github.com/ocm-operator/ocm-operator/ocm/transfer"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
)

// beat reports the progress of a verification, or of a check, and that it goes on while there is none: one large content is one step.
type beat struct {
	report func(transfer.Progress)
	stop   chan struct{}
	done   sync.WaitGroup

	mu  sync.Mutex
	now transfer.Progress
}

// newBeat begins the reports.
func newBeat(phase transfer.Phase, report func(transfer.Progress)) *beat {
	b := &beat{report: report, stop: make(chan struct{}), now: transfer.Progress{Phase: phase}}
	b.done.Go(func() {
		ticker := time.NewTicker(heartbeat)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				b.tell(func(*transfer.Progress) {})
			case <-b.stop:
				return
			}
		}
	})
	return b
}

// verified takes the progress of the verification.
func (b *beat) verified(p verify.Progress) {
	b.tell(func(now *transfer.Progress) {
		now.Versions, now.Blobs, now.TotalBlobs = p.Versions, p.Checked, p.Resources
	})
}

func (b *beat) tell(change func(*transfer.Progress)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.now)
	b.now.Steps++
	b.report(b.now)
}

// end ends the reports.
func (b *beat) end() {
	close(b.stop)
	b.done.Wait()
}
