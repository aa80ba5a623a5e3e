package options

import (
	"fmt"

	"github.com/spf13/pflag"
)

// maxTransfers bounds how many copies are made at once: each has connections and buffers of its own.
const maxTransfers = 256

// Transfers bounds the copies of component versions between repositories.
type Transfers struct {
	// Concurrent is how many are made at once, and PerHost how many of them between the same two hosts. When others wait, as many again
	// that take long are made besides.
	Concurrent, PerHost int
}

func (t *Transfers) bind(f *pflag.FlagSet) {
	f.IntVar(&t.Concurrent, "concurrent-transfers", 5,
		fmt.Sprintf("How many component versions are copied at once, 1 to %d; each is copied with several connections. While others wait, "+
			"as many again that have taken more than five minutes go on beside them.", maxTransfers))
	f.IntVar(&t.PerHost, "transfers-per-host", 2,
		fmt.Sprintf("How many of them are copied between the same two hosts, 1 to %d, and of those that take long as many again. No host and no namespace ever takes all of "+
			"--concurrent-transfers, so that a slow one keeps nobody else waiting; let --concurrent-transfers be above this by 3.", maxTransfers))
}

func (t *Transfers) check() error {
	if t.Concurrent < 1 || t.Concurrent > maxTransfers {
		return fmt.Errorf("--concurrent-transfers is %d, want 1 to %d", t.Concurrent, maxTransfers)
	}
	if t.PerHost < 1 || t.PerHost > maxTransfers {
		return fmt.Errorf("--transfers-per-host is %d, want 1 to %d", t.PerHost, maxTransfers)
	}
	return nil
}
