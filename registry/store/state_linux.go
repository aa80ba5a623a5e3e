package store

import (
	"io/fs"
	"syscall"
)

// state tells one state of a file from another, as far as the system keeps track of it. The time of the last change is the
// one that nobody can set back.
type state struct {
	size, modified  int64
	changed, second int64
	inode           uint64
}

func stateOf(info fs.FileInfo) state {
	s := state{size: info.Size(), modified: info.ModTime().UnixNano()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.second, s.changed = sys.Ctim.Unix()
		s.inode = sys.Ino
	}
	return s
}
