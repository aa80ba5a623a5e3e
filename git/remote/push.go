package remote

import (
	"context"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
)

// Update is one change of one branch.
type Update struct {
	// Branch is the short name of the branch.
	Branch string
	// Old is the commit that the branch must have, zero if it must not exist. It is compared by the server itself.
	Old plumbing.Hash
	// New is the commit that the branch gets.
	New plumbing.Hash
	// Pack opens the pack with the objects that the server does not have, and tells its size, negative if that is not
	// known. It is called again if the pack has to be sent again.
	Pack func() (pack io.ReadCloser, size int64, err error)
}

// Push sends a pack and updates a branch, all or nothing, if it still is where the update says. It returns ErrMoved if it
// is not, *RejectedError if the server refuses, and ErrInterrupted if the server did not say what became of it.
func (r *Remote) Push(ctx context.Context, u Update) error {
	return nil
}
