package ctf

import (
	"errors"
	"fmt"
	"sync"
)

// ErrNoRoom says that temporary files take all the room that there is for them.
var ErrNoRoom = errors.New("no room")

// Room bounds what temporary files take together: those of archives that are opened, and
// of transfers. A nil Room bounds nothing.
type Room struct {
	// Advice, if set, ends messages: it says how there can be more.
	Advice string

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

// Take takes so many bytes more. The error matches ErrNoRoom.
func (r *Room) Take(n int64) error {
	for r != nil && !r.fits(n) {
		if r.spare == nil || !r.spare() {
			return r.full()
		}
	}
	return nil
}

func (r *Room) full() error {
	err := fmt.Errorf("%w: archives and transfers may take %d bytes of temporary files together", ErrNoRoom, r.max)
	if r.Advice != "" {
		err = fmt.Errorf("%w; %s", err, r.Advice)
	}
	return err
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

// Give gives bytes back.
func (r *Room) Give(n int64) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used -= n
}
