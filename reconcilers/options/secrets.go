package options

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/labels"
)

// watchLabel is the label that Flux's controllers watch Secrets by, too.
const watchLabel = "reconcile.fluxcd.io/watch=Enabled"

// minSecretInterval is how short the time between two looks at a Secret may be.
const minSecretInterval = 100 * time.Millisecond

// Secrets says how changes of the Secrets are noticed that objects refer to.
type Secrets struct {
	// CheckInterval is the time between two looks at a Secret, and ChecksPerSecond how many there are in a second at most.
	CheckInterval   time.Duration
	ChecksPerSecond int
	// Watch tells whether Secrets are watched, and WatchSelector which ones.
	Watch         bool
	WatchSelector string
}

func (s *Secrets) bind(f *pflag.FlagSet) {
	f.DurationVar(&s.CheckInterval, "secret-check-interval", 10*time.Second,
		"Time between two looks at the metadata of each Secret that objects refer to, by name. It is longer while there are too many of them.")
	f.IntVar(&s.ChecksPerSecond, "secret-checks-per-second", 20, "How many Secrets are looked at in a second at most.")
	f.BoolVar(&s.Watch, "watch-secrets", false,
		"Watch the metadata of Secrets with the label of --watch-secrets-label-selector, so that their changes are noticed at once. The operator must be allowed to list and watch Secrets.")
	f.StringVar(&s.WatchSelector, "watch-secrets-label-selector", watchLabel,
		"Labels of the Secrets that are watched with --watch-secrets, as in app=web,tier!=test; empty watches all.")
}

// Selector returns the selector of the Secrets that are watched; nil watches none.
func (s *Secrets) Selector() (labels.Selector, error) {
	if !s.Watch {
		return nil, nil //nolint:nilnil // documented: none are watched
	}
	selector, err := labels.Parse(s.WatchSelector)
	if err != nil {
		return nil, fmt.Errorf("--watch-secrets-label-selector %q is no selector of labels, want for example %s: %w", s.WatchSelector, watchLabel, err)
	}
	return selector, nil
}

func (s *Secrets) check() error {
	if s.CheckInterval < minSecretInterval || s.ChecksPerSecond < 1 {
		return fmt.Errorf("--secret-check-interval is %s and --secret-checks-per-second %d: the first must be at least %s and the second at least 1",
			s.CheckInterval, s.ChecksPerSecond, minSecretInterval)
	}
	_, err := s.Selector()
	return err
}
