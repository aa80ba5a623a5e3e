package cuemap

import "syscall"

// attributes end the process together with this one, however this one ends.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
