package ctf

import (
	"errors"
	"fmt"
	"sync"
)

// ErrNoRoom says that archives take all the room there is for temporary files.
var ErrNoRoom = errors.New("no room")

// Room bounds what several archives take of the temporary directory together.
type Room struct {
	max int64
	// spare closes an archive that nobody reads, and tells whether there was one.
	spare func() bool

	mu   sync.Mutex
	used int64
}

// NewRoom returns room for so many bytes.
func NewRoom(size int64) *Room { return &Room{max: size} }

// Used returns how many bytes are taken.
func (r *Room) Used() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.used
}

func (r *Room) take(n int64) error {
	for {
		if r.fits(n) {
			return nil
		}
		if r.spare == nil || !r.spare() {
			return fmt.Errorf("%w: opened transport archives may take %d bytes of temporary files together", ErrNoRoom, r.max)
		}
	}
}

func (r *Room) fits(n int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.used+n > r.max {
		return false
	}
	r.used += n
	return true
}

func (r *Room) give(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used -= n
}
