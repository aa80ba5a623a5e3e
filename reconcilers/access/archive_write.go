package access

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ctf"
)

// writePatience is how long another writer of the same archive is waited for.
const writePatience = time.Minute

// archiveTarget is a file or a folder that a transport archive is written to.
type archiveTarget struct {
	archives *archives
	// name is the path below the folder of all archives.
	name, label string
	options     ocm.Options
}

// write calls a function with a repository in the archive, which is made if there is none.
func (t *archiveTarget) write(ctx context.Context, write func(context.Context, *ocm.Repository) error) error {
	waiting, cancel := context.WithTimeout(ctx, writePatience)
	defer cancel()
	done, err := t.archives.writers.take(waiting, t.name)
	switch {
	case err != nil && ctx.Err() == nil:
		return &ctf.BusyError{Path: t.label}
	case err != nil:
		return err
	}
	defer done()
	root, err := os.OpenRoot(t.archives.options.Dir)
	if err != nil {
		return fmt.Errorf("folder of archives, as in --archives-dir: %w", err)
	}
	err = ctf.UpdateBelow(ctx, root, t.name, t.label, t.archives.stores, func(store *ctf.Store) error {
		target, err := ocm.InCTF(store, t.options)
		if err != nil {
			return err
		}
		return write(ctx, target)
	})
	return errors.Join(err, root.Close())
}
