package transfer

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
)

// lacking are contents that an archive does not have.
type lacking struct {
	mu  sync.Mutex
	all []lacked
}

type lacked struct {
	version *ocm.ComponentVersion
	res     *descriptor.Resource
}

func (l *lacking) add(v *ocm.ComponentVersion, res *descriptor.Resource) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, lacked{version: v, res: res})
}

// proveRest compares contents that the source lacks, now that all of them are at
// the target, and before anything there leads to them.
func (r *run) proveRest(ctx context.Context) error {
	both, all := r.source.Beside(r.target), r.lacking.all
	return each(ctx, r.options.Concurrency, len(all), func(ctx context.Context, i int) error {
		defer r.progress.step()
		v := all[i].version
		whole, err := both.GetPinned(ctx, v.Component(), v.Version(), v.ManifestDigest())
		if err == nil {
			err = r.checked(whole, false).Check(ctx, all[i].res)
		}
		if errors.Is(err, ocm.ErrNotFound) && len(r.copies.omitted) > 0 {
			return nil // whoever reads this archive has it
		}
		if err != nil {
			return fmt.Errorf("with what the target has, before anything was tagged: %w", err)
		}
		return nil
	})
}
