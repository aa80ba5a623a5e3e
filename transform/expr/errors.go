package expr

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
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
type evalError struct {
	problem string
	column  int // 1-based, in characters; 0 if it is not known
}

func (e *evalError) Error() string {
	if e.column == 0 {
		return e.problem
	}
	return fmt.Sprintf("column %d: %s", e.column, e.problem)
}

func failf(format string, args ...any) error {
	return &evalError{problem: fmt.Sprintf(format, args...)}
}

// located is a node that tells where it stands when it fails. The column is counted then only, as it takes time.
type located struct {
	node

	src string
	pos int
}

func (n *located) eval(e *env) (any, error) {
	v, err := n.node.eval(e)
	if bad, ok := errors.AsType[*evalError](err); ok && bad.column == 0 {
		bad.column = column(n.src, n.pos)
	}
	return v, err
}

// column is where a byte offset is, in characters from 1.
func column(src string, pos int) int { return utf8.RuneCountInString(src[:pos]) + 1 }
