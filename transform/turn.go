package transform

import "context"

// largeFile is the size from which on files are edited one at a time in a process. A parsed file takes up to two hundred
// times the memory of its text: one of a mebibyte took 200 MiB. Smaller ones may be edited at once by all who like to.
const largeFile = 64 << 10

// turn has room for the one who edits a large file.
var turn = make(chan struct{}, 1)

// takeTurn waits until a file of that size may be edited. The returned function is called afterwards.
func takeTurn(ctx context.Context, size int) (done func(), err error) {
	if size < largeFile {
		return func() {}, nil
	}
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
