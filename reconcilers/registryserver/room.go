package registryserver

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ocm-operator/ocm-operator/reconcilers/options"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

// refusedAgain is how often the log says that content is refused: all Snapshots may be, and each says so itself.
const refusedAgain = time.Minute

// storeOptions are those of the store, which tells what happens.
func storeOptions(o options.Registry, hear func(store.Notice), log func(string)) store.Options {
	return store.Options{
		MaxBlobBytes: o.MaxBlobBytes, MaxStagedBytes: o.MaxStagedBytes,
		MaxBytes: o.Room.MaxBytes, HighWater: o.Room.HighWater, LowWater: o.Room.LowWater, Grace: o.Room.Grace,
		Notify: hear, Log: log,
	}
}

// complaints says in the log what the store tells, but not the same all the time.
type complaints struct {
	mu      sync.Mutex
	refused time.Time
}

// hear passes on what the store tells. It must not wait for anybody.
func (r *Registry) hear(n store.Notice) {
	r.notices.notify(n)
	switch n.Kind {
	case store.Lost:
		r.log.Error(errors.New(n.Detail), "The registry has lost content, whoever wrote it writes it again", "repository", n.Repository)
	case store.Refused:
		if r.complaints.due(time.Now()) {
			r.log.Error(errors.New(n.Detail), "The registry refuses content, and serves what it has; those who are refused try again when there is room",
				"repository", n.Repository, "directory", r.options.Dir)
		}
	case store.Room:
		r.log.V(1).Info("The registry has room again", "repository", n.Repository)
	}
}

func (c *complaints) due(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.refused) < refusedAgain {
		return false
	}
	c.refused = now
	return true
}

// scrub looks for damage of the disk, again and again.
func (r *Registry) scrub(ctx context.Context) error {
	scrubber := store.Scrubber{Store: r.store, Interval: r.options.Room.ScrubInterval, Rate: r.options.Room.ScrubRate, Report: r.scrubbed}
	return scrubber.Run(ctx)
}

func (r *Registry) scrubbed(stats store.ScrubStats, err error) {
	r.metrics.Scrubbed(err)
	log := r.log.WithValues("blobs", stats.Blobs, "manifests", stats.Manifests, "bytes", stats.Bytes, "damaged", stats.Damaged, "missing", stats.Missing)
	switch {
	case err != nil:
		log.Error(err, "Content was not looked at for damage, the next run tries again")
	case stats.Damaged+stats.Missing > 0:
		log.Error(errors.New("content is damaged or missing"), "The disk of the registry does not keep what was written: look at it; what was lost is written again", "directory", r.options.Dir)
	default:
		log.Info("Looked at all content for damage, and found none")
	}
}
