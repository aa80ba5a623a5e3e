package transfer

import "sync"

// progress reports what changes, one call at a time.
type progress struct {
	report func(Progress)

	mu  sync.Mutex
	now Progress
}

func (p *progress) set(change func(*Progress)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.now)
	if p.report != nil {
		p.report(p.now)
	}
}

// step tells that something moved.
func (p *progress) step() { p.set(func(now *Progress) { now.Steps++ }) }
