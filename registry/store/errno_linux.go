package store

import "syscall"

// errCorrupt is what file systems say of what they find damaged themselves.
const errCorrupt = syscall.EUCLEAN
