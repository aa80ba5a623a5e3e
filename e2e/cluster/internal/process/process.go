// Package process runs the programs of a cluster as children of this process: with a log file each, on ports nobody
// else of us uses, ended in order, and never outliving their parent (on Linux).
package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

const pollInterval = 20 * time.Millisecond

// Command says what to run.
type Command struct {
	Name    string   // shown in messages
	Path    string   // of the program
	Args    []string // without the program's name
	Env     []string // added to this process's environment
	LogFile string   // appended to
	// Isolated puts the child into network, mount, process, name and IPC namespaces of its own, as the first process of
	// them, so that whatever it starts ends with it. It needs Linux, and root.
	Isolated bool
}

// Process is a child that was started.
type Process struct {
	Name     string
	Identity Identity

	logFile   string
	logOffset int64 // where this run's output begins
	exited    chan struct{}
	exitErr   error // valid when exited is closed
}

// Spawner starts children. Linux kills a child when the *thread* that started it ends, so one thread is set aside
// that lives as long as the Spawner.
type Spawner struct {
	requests chan func()
	done     chan struct{}
}

// NewSpawner returns a Spawner. Close it after its children have ended: on Linux closing it kills them.
func NewSpawner() *Spawner {
	s := &Spawner{requests: make(chan func()), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		for request := range s.requests {
			request()
		}
	}()
	return s
}

// Close ends the Spawner.
func (s *Spawner) Close() {
	close(s.requests)
	<-s.done
}

// Start starts a child and returns at once.
func (s *Spawner) Start(c Command) (*Process, error) {
	var (
		p   *Process
		err error
	)
	finished := make(chan struct{})
	s.requests <- func() {
		defer close(finished)
		p, err = start(c)
	}
	<-finished
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	return p, nil
}

func start(c Command) (*Process, error) {
	log, err := os.OpenFile(c.LogFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log file: %w", err)
	}
	defer func() { _ = log.Close() }() // the child has its own descriptor
	info, err := log.Stat()
	if err != nil {
		return nil, fmt.Errorf("read size of log file: %w", err)
	}
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = attributes(c)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	// Identified before Wait is called: until then even a child that has ended keeps its id. Having ended it can't be
	// identified any more, but then there is nothing left to end either.
	identity, err := Identify(cmd.Process.Pid)
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return nil, errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	p := &Process{Name: c.Name, Identity: identity, logFile: c.LogFile, logOffset: info.Size(), exited: make(chan struct{})}
	go func() {
		defer close(p.exited)
		p.exitErr = cmd.Wait()
	}()
	return p, nil
}

// Exited is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Err says how the process ended, with the end of its log. It is nil while the process runs.
func (p *Process) Err() error {
	select {
	case <-p.exited:
	default:
		return nil
	}
	return &ExitError{Name: p.Name, Err: p.exitErr, LogFile: p.logFile, Log: p.output()}
}

// Stop ends the process and waits for its end; after grace it is killed.
func (p *Process) Stop(grace time.Duration) error {
	if err := p.Identity.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.Name, err)
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.exited:
		return nil
	case <-timer.C:
	}
	if err := p.Identity.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", p.Name, err)
	}
	<-p.exited
	return nil
}

// maxLogTail bounds how much of a log goes into an error.
const maxLogTail = 4096

// output returns the end of what this run has written.
func (p *Process) output() []byte {
	file, err := os.Open(p.logFile)
	if err != nil {
		return nil
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil
	}
	from := max(p.logOffset, info.Size()-maxLogTail)
	out, err := io.ReadAll(io.NewSectionReader(file, from, maxLogTail))
	if err != nil {
		return nil
	}
	return out
}

// ExitError says that a process ended by itself.
type ExitError struct {
	Name    string
	Err     error // how it ended; nil is exit code 0
	LogFile string
	Log     []byte // its last output
}

// Error shows the end of the process's log, which usually tells why.
func (e *ExitError) Error() string {
	how := "exit status 0"
	if e.Err != nil {
		how = e.Err.Error()
	}
	return fmt.Sprintf("%s ended by itself (%s); the end of %s:\n%s", e.Name, how, e.LogFile, bytes.TrimSpace(e.Log))
}

// Unwrap returns how the process ended.
func (e *ExitError) Unwrap() error { return e.Err }

// PortTaken tells whether the process ended because somebody else had its port. All programs of a cluster are written
// in Go and therefore say so in the same words.
func (e *ExitError) PortTaken() bool {
	return bytes.Contains(e.Log, []byte(syscall.EADDRINUSE.Error()))
}
