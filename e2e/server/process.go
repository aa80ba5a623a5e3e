// Package server runs programs that serve, each as a process of its own: a program prints its address as its first
// line, and ends when it is told to. Registries of other projects are such programs, built from a module of their own so
// that nothing of them is in the operator's.
package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// grace is how long a server may take to end before it is killed.
	grace = 10 * time.Second
	// maxAddress bounds the line with the address.
	maxAddress = 1 << 10
	// maxComplaints bounds what of a server's messages is kept for errors.
	maxComplaints = 16 << 10
)

// Command says which program to run.
type Command struct {
	// Path is the program, and Args its arguments without its name.
	Path string
	Args []string
	// Env is added to the environment of this process.
	Env []string
	// Log gets what the program writes to standard error; nobody when nil.
	Log io.Writer
	// Address is where a program will listen that was told so and does not say it itself. Start then waits for nothing.
	Address string
}

// Process is a server that was started.
type Process struct {
	address    string
	cmd        *exec.Cmd
	complaints *tail
	exited     chan struct{}
	exitErr    error // valid when exited is closed
}

// Start starts a program and returns when it has told its address. The process outlives the context; it ends by Stop or
// Kill, or with this process.
func Start(ctx context.Context, c Command) (*Process, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Path, err)
	}
	defer func() { _ = reader.Close() }()                                                                          // a server tells nothing after its address
	p := &Process{cmd: exec.Command(c.Path, c.Args...), complaints: &tail{to: c.Log}, exited: make(chan struct{})} //nolint:noctx // it outlives the context of its start
	p.cmd.Env = append(os.Environ(), c.Env...)
	p.cmd.Stdout, p.cmd.Stderr = writer, p.complaints
	p.cmd.SysProcAttr = attributes()
	if c.Address != "" {
		p.address, p.cmd.Stdout = c.Address, nil
	}
	if err := p.spawn(writer); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Path, err)
	}
	if c.Address != "" {
		return p, nil
	}
	stop := context.AfterFunc(ctx, func() { _ = reader.SetReadDeadline(time.Now()) })
	defer stop()
	line, err := bufio.NewReader(io.LimitReader(reader, maxAddress)).ReadString('\n')
	if err != nil {
		_ = p.Kill()
		return nil, fmt.Errorf("wait for the address of %s: %w\n%s", c.Path, errors.Join(err, context.Cause(ctx)), p.complaints)
	}
	p.address = strings.TrimSpace(line)
	return p, nil
}

// spawn starts the process on a thread of its own.
func (p *Process) spawn(stdout *os.File) error {
	started := make(chan error)
	go func() {
		// Linux kills the child when the thread that started it ends. This one ends with this goroutine, after the child.
		runtime.LockOSThread()
		err := p.cmd.Start()
		err = errors.Join(err, stdout.Close()) // the child has its own descriptor
		started <- err
		if err == nil {
			p.exitErr = p.cmd.Wait()
			close(p.exited)
		}
	}()
	return <-started
}

// Address is where the server listens, as host:port.
func (p *Process) Address() string { return p.address }

// PID is the id of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Exited is closed when the server has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Complaints is the end of what the server has written to standard error.
func (p *Process) Complaints() string { return p.complaints.String() }

// Stop tells the server to end and waits for it; one that does not is killed, which is an error. It may be called again.
func (p *Process) Stop() error {
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-timer.C:
		return errors.Join(fmt.Errorf("%s did not end within %s", p.cmd.Path, grace), p.Kill())
	}
	if p.exitErr != nil && !p.killed() {
		return fmt.Errorf("%s: %w\n%s", p.cmd.Path, p.exitErr, p.complaints)
	}
	return nil
}

// Kill ends the server as a crash does, and waits for its end.
func (p *Process) Kill() error {
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.exited
	return nil
}

func (p *Process) signal(sig syscall.Signal) error {
	select {
	case <-p.exited:
		return nil
	default:
	}
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", p.cmd.Path, err)
	}
	return nil
}

// killed tells whether it was ended from outside, by Kill or by somebody else.
func (p *Process) killed() bool {
	status, known := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return known && status.Signaled()
}

// tail keeps the end of what is written, and passes all of it on.
type tail struct {
	to io.Writer

	mu  sync.Mutex
	end []byte
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end = append(t.end, p...)
	t.end = t.end[max(0, len(t.end)-maxComplaints):]
	if t.to == nil {
		return len(p), nil
	}
	return t.to.Write(p)
}

// String returns what was kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.end))
}
