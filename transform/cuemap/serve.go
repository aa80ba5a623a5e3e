package cuemap

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
)

// command is the only argument of a process that evaluates.
const command = "evaluate-cue-mapping"

const (
	// exitTime is the exit code of a process that has used up its time.
	exitTime = 75
	// exitCrash is that of a Go program whose runtime gives up.
	exitCrash = 2
)

// request is what a Runner writes to the standard input of the process.
type request struct {
	Program   string          `json:"program"`
	Component json.RawMessage `json:"component"`
	CPU       uint64          `json:"cpu"`    // seconds
	Memory    int64           `json:"memory"` // bytes
	Output    int64           `json:"output"` // bytes
}

// response is what the process writes to its standard output.
type response struct {
	Out []byte `json:"out,omitempty"`
	// Failed is what is wrong with the program.
	Failed string `json:"failed,omitempty"`
	// Large says that the value is too large.
	Large bool `json:"large,omitempty"`
	// Broken is another error.
	Broken string `json:"broken,omitempty"`
}

// Requested tells from the arguments of the program, without its name, whether a Runner started it.
func Requested(args []string) bool { return len(args) == 1 && args[0] == command }

// Serve evaluates what a Runner asks for. The process has to end afterwards: it has given up most of what
// it may use.
func Serve(in io.Reader, out io.Writer) error {
	q, err := readRequest(in)
	if err != nil {
		return err
	}
	if err := limit(q.CPU, q.Memory); err != nil {
		return fmt.Errorf("limit the evaluation: %w", err)
	}
	// Ask the collector to try hard before the limit ends the process.
	debug.SetMemoryLimit(q.Memory * 3 / 4)
	debug.SetMaxStack(int(min(q.Memory/4, 1<<30)))
	return json.NewEncoder(out).Encode(q.answer())
}

// maxRequest bounds a request: a program with every character escaped, a component, and the rest.
const maxRequest = 6*MaxProgram + MaxComponent + 4096

// readRequest reads what a Runner writes.
func readRequest(in io.Reader) (request, error) {
	var q request
	if err := json.NewDecoder(io.LimitReader(in, maxRequest)).Decode(&q); err != nil {
		return q, fmt.Errorf("read the request: %w", err)
	}
	if q.CPU == 0 || q.Memory <= 0 || q.Output <= 0 {
		return q, errors.New("read the request: it has no limits")
	}
	return q, nil
}

// readResponse reads what Serve writes.
func readResponse(raw []byte) (response, error) {
	var a response
	if err := json.Unmarshal(raw, &a); err != nil {
		return a, fmt.Errorf("read the answer of the evaluation: %w", err)
	}
	return a, nil
}

func (q request) answer() response {
	text, err := evaluate(q.Program, q.Component, q.Output)
	failed := (*ProgramError)(nil)
	switch {
	case errors.As(err, &failed):
		return response{Failed: failed.Err.Error(), Large: errors.Is(err, ErrTooLarge)}
	case err != nil:
		return response{Broken: err.Error()}
	}
	return response{Out: text}
}
