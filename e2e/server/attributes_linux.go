package server

import "syscall"

// attributes lets a server die with its parent, and keeps the terminal's Ctrl-C away from it: the parent ends it in
// the right order.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
