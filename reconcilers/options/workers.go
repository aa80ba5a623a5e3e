package options

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// maxConcurrent bounds how many objects of a kind are reconciled at once.
const maxConcurrent = 1000

// Kinds whose work differs from that of the others. The names are those of their features.
var (
	// cheap kinds hardly do more than to compare what is there.
	cheap = []string{"Snapshot", "FluxDeployer"}
	// busy kinds need a processor for as long as they work, and memory for what they edit.
	busy = []string{"Localization", "Configuration"}
)

func (o *Options) bindWorkers(f *pflag.FlagSet) {
	f.IntVar(&o.Concurrent, "concurrent", 4, "How many objects of a kind are reconciled at once, 1 to 1000.")
	f.StringToIntVar(&o.ConcurrentKinds, "concurrent-kinds", nil, "The same by `kind=n`, as in Resource=8,Localization=2. "+
		"By default Snapshot and FluxDeployer have twice as many, and Localization and Configuration at most two for a processor.")
	o.Transfers.bind(f)
}

// Workers returns how many objects of a kind are reconciled at once: what --concurrent-kinds says, or what follows from
// --concurrent. Cheap kinds have twice as many, and kinds that need a processor no more than can get one.
func (o *Options) Workers(kind string) int {
	if n, ok := o.ConcurrentKinds[kind]; ok {
		return n
	}
	switch {
	case slices.Contains(cheap, kind):
		return min(2*o.Concurrent, maxConcurrent)
	case slices.Contains(busy, kind):
		return min(o.Concurrent, max(2, 2*runtime.GOMAXPROCS(0)))
	}
	return o.Concurrent
}

// CheckKinds refuses kinds that are set and not known.
func (o *Options) CheckKinds(known []string) error {
	for _, kind := range slices.Sorted(maps.Keys(o.ConcurrentKinds)) {
		if !slices.Contains(known, kind) {
			return fmt.Errorf("--concurrent-kinds: unknown kind %q, known are %s", kind, strings.Join(known, ", "))
		}
	}
	return nil
}

func (o *Options) checkWorkers() error {
	if o.Concurrent < 1 || o.Concurrent > maxConcurrent {
		return fmt.Errorf("--concurrent is %d, want 1 to %d", o.Concurrent, maxConcurrent)
	}
	for _, kind := range slices.Sorted(maps.Keys(o.ConcurrentKinds)) {
		if n := o.ConcurrentKinds[kind]; n < 1 || n > maxConcurrent {
			return fmt.Errorf("--concurrent-kinds: %s is %d, want 1 to %d", kind, n, maxConcurrent)
		}
	}
	return nil
}
