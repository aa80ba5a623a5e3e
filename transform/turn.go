package transform

import "context"

// largeFile is the size from which on files are edited one at a time. A parsed file takes up to a hundred times the
// memory of its text. Smaller ones may be edited at once by all who like to.
const largeFile = 64 << 10

// Turn makes all who share it parse large files one after the other. A nil *Turn lets them do so at once.
type Turn struct {
	// room is for the one whose turn it is.
	room chan struct{}
}

// NewTurn returns a turn that nobody has.
func NewTurn() *Turn { return &Turn{room: make(chan struct{}, 1)} }

// Take waits until a file of that size may be parsed. The returned function is called when it isn't needed any more.
func (t *Turn) Take(ctx context.Context, size int) (done func(), err error) {
	if t == nil || size < largeFile {
		return func() {}, nil
	}
	select {
	case t.room <- struct{}{}:
		return func() { <-t.room }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
