package expr

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ErrLimit is wrapped by the errors of evaluations that are too long, too deep or too large.
var ErrLimit = errors.New("expression exceeds a limit")

// SyntaxError says that a text is not in the language.
type SyntaxError struct {
	// Column is the 1-based column, in characters, within the text.
	Column int
	// Problem says what is wrong there.
	Problem string
}

// Error implements error.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("column %d: %s", e.Column, e.Problem)
}

// UnresolvedError says that a reference leads to nothing.
type UnresolvedError struct {
	// Reference is the reference as written.
	Reference string
	// Missing is the part of it that is not there. It never has a part of the values but keys.
	Missing string

	in map[string]any // where it was looked for; listing its keys waits for Error
}

// Error implements error.
func (e *UnresolvedError) Error() string {
	msg := fmt.Sprintf("reference %q is not resolved: %q is not there", e.Reference, e.Missing)
	const most = 12
	keys := slices.Sorted(maps.Keys(e.in))
	if len(keys) == 0 {
		return msg
	}
	if len(keys) > most {
		keys = append(keys[:most], "...")
	}
	return msg + ", only " + strings.Join(keys, ", ")
}

// ForbiddenError says that an expression uses a part of the language that does not exist here on
// purpose: it would read files, the environment, the network or randomness, or run code.
type ForbiddenError struct {
	// Name is the function or keyword.
	Name string
}

// Error implements error.
func (e *ForbiddenError) Error() string {
	return fmt.Sprintf("%q is not supported: expressions can neither read anything but the values nor define code", e.Name)
}

// evalError is a failure of an operation on resolved values, such as a wrong type.
type evalError struct{ problem string }

func (e *evalError) Error() string { return e.problem }

func failf(format string, args ...any) error {
	return &evalError{problem: fmt.Sprintf(format, args...)}
}
