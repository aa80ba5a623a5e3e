package options

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"
)

// slowestScrub is what a disk is not asked less than: a scrub has to end some day.
const slowestScrub = 64 << 10

// Room configures how much the embedded registry keeps, and how it watches over that.
type Room struct {
	// MaxBytes bounds what it keeps; zero is what the disk has.
	MaxBytes int64
	// HighWater and LowWater are percentages of that: above the first, content that can be spared goes until the second is reached.
	HighWater, LowWater int
	// Grace is how long content that nothing refers to stays when there is no room, after it was pushed or asked for.
	Grace time.Duration
	// ScrubInterval is the time between two scrubs, zero for none, and ScrubRate how many bytes a second each reads.
	ScrubInterval time.Duration
	ScrubRate     int64
}

func (r *Room) bind(f *pflag.FlagSet) {
	f.Int64Var(&r.MaxBytes, "registry-max-size", 0,
		"Bytes that all content of the embedded registry may take, with what is being written; 0 is what its disk has.")
	f.IntVar(&r.HighWater, "registry-high-water-mark", 85,
		"`percent` of --registry-max-size, or else of the disk, above which the embedded registry gives up what can be spared: content "+
			"that nothing refers to, then that of before.")
	f.IntVar(&r.LowWater, "registry-low-water-mark", 75, "`percent` of the same at which that is enough.")
	f.DurationVar(&r.Grace, "registry-grace", time.Minute,
		"How long content that nothing refers to stays in the embedded registry when there is no room, after it was pushed or asked for. "+
			"A push that pauses for longer may have to begin again.")
	f.DurationVar(&r.ScrubInterval, "registry-scrub-interval", 24*time.Hour,
		"Time between two looks of the embedded registry at all its content for damage of the disk; 0 is never.")
	f.Int64Var(&r.ScrubRate, "registry-scrub-rate", 16<<20, "Bytes that such a look reads in a second.")
}

func (r *Room) check() error {
	switch {
	case r.MaxBytes < 0:
		return fmt.Errorf("--registry-max-size is %d: it must be a number of bytes, or 0 for what the disk has", r.MaxBytes)
	case r.LowWater < 1 || r.HighWater < r.LowWater || r.HighWater > 100:
		return fmt.Errorf("--registry-low-water-mark is %d and --registry-high-water-mark %d: they must be percentages from 1 to 100, and the first not above the second",
			r.LowWater, r.HighWater)
	case r.Grace <= 0:
		return fmt.Errorf("--registry-grace is %s: it must be more than 0, or pushes would lose what they have just written", r.Grace)
	case r.ScrubInterval < 0:
		return errors.New("--registry-scrub-interval must not be negative; 0 switches the look for damage off")
	case r.ScrubRate < slowestScrub:
		return fmt.Errorf("--registry-scrub-rate is %d: it must be at least %d bytes a second", r.ScrubRate, slowestScrub)
	}
	return nil
}
