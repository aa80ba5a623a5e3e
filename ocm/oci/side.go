package oci

import "errors"

// Side is one of the places that have a part in a copy.
type Side string

// Sides of a copy.
const (
	// Source is where content is read.
	Source Side = "source"
	// Target is where it is stored.
	Target Side = "target"
	// Here is who copies, as with temporary files.
	Here Side = "here"
)

// SideError says on which side of a copy something is wrong. Its message is that
// of the error, which names the place.
type SideError struct {
	Side Side
	Err  error
}

// Error implements error.
func (e *SideError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong.
func (e *SideError) Unwrap() error { return e.Err }

// SideOf returns the side that an error is about, or nothing if none is known.
func SideOf(err error) Side {
	if e, ok := errors.AsType[*SideError](err); ok {
		return e.Side
	}
	return ""
}

// at notes the side of an error, unless it has one already.
func at(side Side, err error) error {
	if err == nil || SideOf(err) != "" {
		return err
	}
	return &SideError{Side: side, Err: err}
}
