//go:build !linux

package operator

import "syscall"

// attributes keeps the terminal's Ctrl-C away from the operator: the parent ends it in the right order.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
