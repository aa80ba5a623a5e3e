package cuemap

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// Options are how a Runner runs. A field that is zero has its default.
type Options struct {
	// Program is the path of the program that calls Serve. The default is the one that runs.
	Program string
	// CPU is how long an evaluation may use the processor, in whole seconds. The default is 5s.
	CPU time.Duration
	// Timeout is how long it may take at all, however busy the machine is. The default is 1m.
	Timeout time.Duration
	// Memory is how many bytes it may use. The default is 256 MiB.
	Memory int64
	// Output is how many bytes the value may have, as JSON. The default is DefaultOutput.
	Output int64
	// Concurrent is how many evaluations may run at once. The default is 1.
	Concurrent int
}

// Runner evaluates programs, each in a process of its own.
type Runner struct {
	options Options
	slots   chan struct{}
}

// NewRunner returns a Runner. It fails if the path of the running program cannot be found out.
func NewRunner(o Options) (*Runner, error) {
	if o.Program == "" {
		program, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find the program for mappings: %w", err)
		}
		o.Program = program
	}
	if o.CPU <= 0 {
		o.CPU = 5 * time.Second
	}
	if o.Timeout <= 0 {
		o.Timeout = time.Minute
	}
	if o.Memory <= 0 {
		o.Memory = 256 << 20
	}
	if o.Output <= 0 {
		o.Output = DefaultOutput
	}
	return &Runner{options: o, slots: make(chan struct{}, max(o.Concurrent, 1))}, nil
}

// Evaluate is like the function Evaluate, but bounded.
//
// Errors are *ProgramError, which wraps ErrTime, ErrMemory and ErrTooLarge; that of the context; or
// say why the evaluation could not run, which may be otherwise the next time.
func (r *Runner) Evaluate(ctx context.Context, program string, component map[string]any) (any, error) {
	if len(program) > MaxProgram {
		return nil, errProgram()
	}
	raw, err := encode(component)
	if err != nil {
		return nil, err
	}
	cpu := uint64((r.options.CPU + time.Second - 1) / time.Second) //nolint:gosec // NewRunner made it positive
	q, err := json.Marshal(request{Program: program, Component: raw, CPU: cpu, Memory: r.options.Memory, Output: r.options.Output})
	if err != nil {
		return nil, fmt.Errorf("ask for the evaluation: %w", err)
	}
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	answer, err := r.run(ctx, q)
	if err != nil {
		return nil, err
	}
	return answer.value()
}

// value is what the process has found out.
func (a response) value() (any, error) {
	switch {
	case a.Large:
		return nil, &ProgramError{Err: &sizeError{text: a.Failed}}
	case a.Failed != "":
		return nil, &ProgramError{Err: errors.New(a.Failed)}
	case a.Broken != "":
		return nil, errors.New(a.Broken)
	}
	return decode(a.Out)
}

// run starts the process and waits for its answer. The process ends with the context, and with this one.
func (r *Runner) run(ctx context.Context, q []byte) (response, error) {
	ctx, cancel := context.WithTimeout(ctx, r.options.Timeout)
	defer cancel()
	// The process ends with the thread that started it, which therefore must not be given up before.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	stdout, stderr := &head{most: int(2*r.options.Output + 4096)}, &head{most: 4096}
	cmd := exec.CommandContext(ctx, r.options.Program, command) //nolint:gosec // the program is this one, or chosen by who made the Runner
	// Nothing of the environment: it has credentials, and settings that change how CUE evaluates.
	cmd.Env = []string{"GOMAXPROCS=2", "GOTRACEBACK=none"}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(q), stdout, stderr
	cmd.SysProcAttr = attributes()
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		return response{}, fmt.Errorf("evaluate a CUE program: %w", ctx.Err())
	}
	if err != nil {
		return response{}, r.ended(err, cmd.ProcessState, stderr.kept.String())
	}
	return readResponse(stdout.kept.Bytes())
}

// ended says why the process ended without an answer.
func (r *Runner) ended(err error, state *os.ProcessState, stderr string) error {
	switch {
	case state != nil && (state.ExitCode() == exitTime || !state.Exited() && state.UserTime()+state.SystemTime() >= r.options.CPU/2):
		// The kernel counts for its limits less exactly than for what it reports.
		return &ProgramError{Err: fmt.Errorf("%w: more than %s", ErrTime, r.options.CPU)}
	case strings.Contains(stderr, "stack overflow"), strings.Contains(stderr, "stack exceeds"):
		return &ProgramError{Err: fmt.Errorf("%w: it is nested too deep", ErrMemory)}
	case state != nil && state.ExitCode() == exitCrash:
		// Without memory a Go program dies in many ways: no heap, no thread, no stack for a signal.
		return &ProgramError{Err: fmt.Errorf("%w: more than %d bytes", ErrMemory, r.options.Memory)}
	}
	line, _, _ := strings.Cut(strings.TrimSpace(stderr), "\n")
	return fmt.Errorf("evaluate a CUE program: %w: %s", err, line)
}

// sizeError is ErrOutput in the words of the other process.
type sizeError struct{ text string }

// Error implements error.
func (e *sizeError) Error() string { return e.text }

// Is makes errors.Is see the limit.
func (e *sizeError) Is(target error) bool { return target == ErrOutput || target == ErrTooLarge }

// head keeps the beginning of what is written. It does not embed its buffer, which could be filled past it.
type head struct {
	kept bytes.Buffer
	most int
}

// Write implements io.Writer.
func (h *head) Write(p []byte) (int, error) {
	h.kept.Write(p[:min(len(p), max(h.most-h.kept.Len(), 0))])
	return len(p), nil
}
