//go:build !linux

package cuemap

import "syscall"

// attributes are none: elsewhere the process ends with its evaluation.
func attributes() *syscall.SysProcAttr { return nil }
