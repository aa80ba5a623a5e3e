//go:build !linux

package store

import "io/fs"

// state tells one state of a file from another, as far as the system keeps track of it.
type state struct{ size, modified int64 }

func stateOf(info fs.FileInfo) state {
	return state{size: info.Size(), modified: info.ModTime().UnixNano()}
}
