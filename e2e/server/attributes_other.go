//go:build !linux

package server

import "syscall"

// attributes keeps the terminal's Ctrl-C away from a server: the parent ends it in the right order.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
