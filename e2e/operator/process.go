package operator

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// process is one run of the operator.
type process struct {
	cmd     *exec.Cmd
	logFile string
	offset  int64 // where this run's output begins
	exited  chan struct{}
	exitErr error // valid when exited is closed
}

// spawn starts a program and returns at once.
func spawn(path string, args, env []string, logFile string) (*process, error) {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the operator's log: %w", err)
	}
	info, err := log.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the size of the operator's log: %w", err), log.Close())
	}
	p := &process{logFile: logFile, offset: info.Size(), exited: make(chan struct{})}
	p.cmd = exec.Command(path, args...) //nolint:noctx // it outlives the context of its start
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = attributes()
	started := make(chan error)
	go func() {
		// Linux kills the child when the thread that started it ends. This one ends with this goroutine, after the child.
		runtime.LockOSThread()
		err := p.cmd.Start()
		err = errors.Join(err, log.Close()) // the child has its own descriptor
		started <- err
		if err == nil {
			p.exitErr = p.cmd.Wait()
			close(p.exited)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start the operator: %w", err)
	}
	return p, nil
}

func (p *process) signal(sig syscall.Signal) error {
	select {
	case <-p.exited:
		return nil
	default:
	}
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal the operator: %w", err)
	}
	return nil
}

func (p *process) err() error {
	select {
	case <-p.exited:
		return &ExitError{Err: p.exitErr, LogFile: p.logFile, Log: p.output()}
	default:
		return nil
	}
}

// maxLogTail bounds how much of a log goes into an error.
const maxLogTail = 4096

// output returns the end of what this run has written.
func (p *process) output() []byte {
	file, err := os.Open(p.logFile)
	if err != nil {
		return nil
	}
	defer func() { _ = file.Close() }() // it was only read
	info, err := file.Stat()
	if err != nil {
		return nil
	}
	from := max(p.offset, info.Size()-maxLogTail)
	out, err := io.ReadAll(io.NewSectionReader(file, from, maxLogTail))
	if err != nil {
		return nil
	}
	return out
}

// ExitError says that the operator ended by itself.
type ExitError struct {
	// Err is how it ended; nil is exit code 0.
	Err error
	// LogFile is where it has logged, and Log the end of that.
	LogFile string
	Log     []byte
}

// Error shows the end of the log, which usually tells why.
func (e *ExitError) Error() string {
	how := "exit status 0"
	if e.Err != nil {
		how = e.Err.Error()
	}
	return fmt.Sprintf("the operator ended by itself (%s); the end of %s:\n%s", how, e.LogFile, bytes.TrimSpace(e.Log))
}

// Unwrap returns how the process ended.
func (e *ExitError) Unwrap() error { return e.Err }

func (e *ExitError) portTaken() bool {
	return bytes.Contains(e.Log, []byte(syscall.EADDRINUSE.Error()))
}
