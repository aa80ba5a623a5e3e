// Package cuemap evaluates the programs of mappings: a localization rule can have a program in CUE that
// computes a value from the descriptor of the component.
//
// CUE cannot be interrupted, and a few lines of it can ask for any amount of time and memory. A Runner
// therefore evaluates in a process of its own, which is the same program started anew: the
// operating system bounds its time and its memory and ends it whatever it does. The main
// function of the program calls Serve if Requested says so, before anything else.
package cuemap

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/parser"
	cuejson "cuelang.org/go/encoding/json"
)

const (
	// MaxProgram is the size of the largest program.
	MaxProgram = 64 << 10
	// MaxComponent is the size of the largest component, as JSON.
	MaxComponent = 8 << 20
	// DefaultOutput is the size of the largest value, as JSON, where nothing else was said.
	DefaultOutput = 1 << 20

	// title is what the program is called in positions such as "transform:3:5".
	title = "transform"
)

// Errors that tell which limit a program passed. They are matched with errors.Is; there is a
// *ProgramError around them.
var (
	// ErrTooLarge says that a program, or what it computes, is too large.
	ErrTooLarge = errors.New("too large")
	// ErrOutput says that what a program computes is too large. It matches ErrTooLarge too.
	ErrOutput = fmt.Errorf("the field out: %w", ErrTooLarge)
	// ErrTime says that a program takes too much time.
	ErrTime = errors.New("the evaluation takes too much time")
	// ErrMemory says that a program takes too much memory, or is nested too deep.
	ErrMemory = errors.New("the evaluation takes too much memory")
)

// ProgramError says that it is the program that fails, and will again with the same component.
type ProgramError struct {
	// Err is the reason.
	Err error
}

// Error implements error.
func (e *ProgramError) Error() string { return fmt.Sprintf("CUE program: %v", e.Err) }

// Unwrap makes errors.Is see the reason.
func (e *ProgramError) Unwrap() error { return e.Err }

func failf(format string, args ...any) error {
	return &ProgramError{Err: fmt.Errorf(format, args...)}
}

// packages are those that a program may import: they compute and nothing else. Those for files, the
// network, commands and the environment are not among them, nor are those whose results depend
// on the machine.
var packages = []string{
	"crypto/md5", "crypto/sha1", "crypto/sha256", "crypto/sha512", "encoding/base64", "encoding/csv", "encoding/hex", "encoding/json", "encoding/yaml",
	"list", "math", "math/bits", "path", "regexp", "strconv", "strings", "struct", "text/template",
}

// Evaluate evaluates a program with the component in its scope, and returns the value that is in its
// field out as JSON. Numbers are json.Number.
//
// It bounds neither time nor memory; a Runner does. Errors are *ProgramError, or say that the
// component cannot be written as JSON.
func Evaluate(program string, component map[string]any) (any, error) {
	raw, err := encode(component)
	if err != nil {
		return nil, err
	}
	out, err := evaluate(program, raw, DefaultOutput)
	if err != nil {
		return nil, err
	}
	return decode(out)
}

func encode(component map[string]any) ([]byte, error) {
	raw, err := json.Marshal(component)
	if err != nil {
		return nil, fmt.Errorf("write the component as JSON: %w", err)
	}
	if len(raw) > MaxComponent {
		return nil, fmt.Errorf("the component with all that it refers to: %w for a mapping: more than %d bytes", ErrTooLarge, MaxComponent)
	}
	return raw, nil
}

// evaluate returns the JSON in the field out, which may have as many bytes as most says.
func evaluate(program string, component []byte, most int64) (text []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			text, err = nil, failf("the evaluator panicked: %.200v", p)
		}
	}()
	file, err := parse(program)
	if err != nil {
		return nil, err
	}
	data, err := cuejson.Extract("component", component)
	if err != nil {
		return nil, fmt.Errorf("read the component: %w", err)
	}
	ctx := cuecontext.New(cuecontext.EvaluatorVersion(cuecontext.EvalStable))
	scope := ctx.BuildExpr(ast.NewStruct("component", data))
	result := ctx.BuildFile(file, cue.Scope(scope))
	if err := result.Err(); err != nil {
		return nil, describe(err)
	}
	out := result.LookupPath(cue.ParsePath("out"))
	if !out.Exists() {
		return nil, failf("it has no field out: write the value to it, such as out: json.Marshal(component.version)")
	}
	if err := out.Err(); err != nil {
		return nil, describe(err)
	}
	text, err = out.Bytes()
	if err != nil {
		return nil, failf("the field out must be the value as JSON, a text or bytes, such as json.Marshal(value): %w", short(err))
	}
	if int64(len(text)) > most {
		return nil, failf("%w: more than %d bytes", ErrOutput, most)
	}
	return text, nil
}

func errProgram() error { return failf("the program: %w: more than %d bytes", ErrTooLarge, MaxProgram) }

// parse parses a program and refuses what is not for mappings.
func parse(program string) (*ast.File, error) {
	if len(program) > MaxProgram {
		return nil, errProgram()
	}
	file, err := parser.ParseFile(title, program)
	if err != nil {
		return nil, describe(err)
	}
	for spec := range file.ImportSpecs() {
		name := strings.Trim(spec.Path.Value, `"`)
		if !slices.Contains(packages, name) {
			return nil, failf("line %d: the package %q can't be imported here; those that can: %s", spec.Pos().Line(), name, strings.Join(packages, ", "))
		}
	}
	var refused error
	ast.Walk(file, func(n ast.Node) bool {
		if a, ok := n.(*ast.Attribute); ok && refused == nil {
			refused = failf("line %d: attributes such as %.20q have no use here: remove it", a.Pos().Line(), a.Text)
		}
		return refused == nil
	}, nil)
	return file, refused
}

// decode reads the JSON in the field out.
func decode(out []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(out))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, failf("the field out is no JSON: %w: write it with json.Marshal", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, failf("the field out has more than one JSON value")
	}
	return value, nil
}

// describe turns the errors of CUE into one with the first few of them.
func describe(err error) error { return &ProgramError{Err: short(err)} }

func short(err error) error {
	const most, longest = 3, 500
	var parts []string
	for _, e := range cueerrors.Errors(err) {
		if len(parts) == most {
			parts = append(parts, "...")
			break
		}
		text := strings.ToValidUTF8(e.Error(), "?")
		if len(text) > longest {
			text = strings.ToValidUTF8(text[:longest], "") + "..."
		}
		if line := lineOf(e); line > 0 {
			text = fmt.Sprintf("line %d: %s", line, text)
		}
		if !slices.Contains(parts, text) {
			parts = append(parts, text)
		}
	}
	return errors.New(strings.Join(parts, "; "))
}

// lineOf returns the line of the program that an error is about, 0 if it is about none.
func lineOf(err cueerrors.Error) int {
	for _, position := range cueerrors.Positions(err) {
		if position.Filename() == title {
			return position.Line()
		}
	}
	return 0
}
