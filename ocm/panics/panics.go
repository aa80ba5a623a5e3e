// Package panics makes errors of panics, so that content which nobody foresaw harms
// the object that it belongs to, and not the process. It is for goroutines that work
// on what others wrote; what a program does wrong by itself should end it.
package panics

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// Error is a panic that was recovered. It matches no other error, even if one was
// given to panic: that is no answer of whoever was asked.
type Error struct {
	// Value is what was given to panic.
	Value any
	// Stack is where that was. It is for a log, and no part of the message: that is
	// compared, and shown to people who have no use for it.
	Stack []byte
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Recover turns a panic into an error that says what was done, which is not in it if
// the format is empty. It must be deferred itself, as nothing is recovered by what a
// deferred function calls.
func Recover(err *error, format string, args ...any) {
	value := recover()
	if value == nil {
		return
	}
	*err = &Error{Value: value, Stack: debug.Stack()}
	if format != "" {
		*err = fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), *err)
	}
}

// Stack returns where the panic was that an error is about, or nothing if there was
// none.
func Stack(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return string(e.Stack)
	}
	return ""
}
