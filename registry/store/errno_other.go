//go:build !linux

package store

import "syscall"

// errCorrupt is what file systems say of what they find damaged themselves; others than Linux have no word of its own for that.
const errCorrupt = syscall.EIO
