package store

import (
	"context"
	"errors"
	"fmt"
)

// maxTroubles is how many errors of one collection are told; of a disk that is going, there may be one for each file.
const maxTroubles = 8

// troubles are what has gone wrong with single repositories and files. A collection goes on beside them: what can't be freed is no
// reason to free nothing.
type troubles struct {
	errs []error
	more int
}

func (t *troubles) add(err error) {
	switch {
	case err == nil:
	case len(t.errs) < maxTroubles:
		t.errs = append(t.errs, err)
	default:
		t.more++
	}
}

func (t *troubles) err() error {
	if t.more > 0 {
		return errors.Join(append(t.errs, fmt.Errorf("and %d more errors", t.more))...)
	}
	return errors.Join(t.errs...)
}

// over tells whether nothing comes of going on: somebody has ended it, or the store is closed.
func over(ctx context.Context, err error) bool { return ctx.Err() != nil || errors.Is(err, ErrClosed) }
