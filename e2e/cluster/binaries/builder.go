package binaries

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// reportInterval is how often a build tells how far it is.
const reportInterval = 10 * time.Second

// builder builds the program of one nested module.
type builder struct {
	module module
	source string
	say    func(format string, args ...any)
}

// run builds into dir: the program, its links, its custom resource definitions.
func (b *builder) run(ctx context.Context, dir string) error {
	tracker := newTracker(b.module.name, b.say)
	defer tracker.stop()
	if b.module.cgo {
		if err := b.findCompiler(ctx, tracker); err != nil {
			return err
		}
	}
	// The list says how many packages there are, and downloads their modules.
	list, err := b.goCommand(ctx, tracker, "list", "-deps", "-tags="+b.module.tags, "-f", "{{.ImportPath}}", b.module.pkg)
	if err != nil {
		return err
	}
	tracker.compiling(bytes.Count(list, []byte("\n")))
	ldflags, err := b.module.ldflags(b.source)
	if err != nil {
		return err
	}
	// -v prints each package that is compiled. Without cgo the program runs on any machine of its kind.
	program := filepath.Join(dir, b.module.binary)
	args := []string{"build", "-v", "-trimpath", "-buildvcs=false", noDebug, "-tags=" + b.module.tags, "-ldflags=" + ldflags, "-o", program, b.module.pkg}
	if _, err := b.goCommand(ctx, tracker, args...); err != nil {
		return err
	}
	for _, link := range b.module.links {
		if err := os.Symlink(b.module.binary, filepath.Join(dir, link)); err != nil {
			return fmt.Errorf("link %s: %w", link, err)
		}
	}
	if err := b.keepStatic(ctx, tracker, dir); err != nil {
		return err
	}
	return b.keepCRDs(ctx, tracker, dir)
}

// goCommand runs the go command in the nested module and returns its standard output.
func (b *builder) goCommand(ctx context.Context, tracker *tracker, args ...string) ([]byte, error) {
	return b.command(ctx, tracker, "go", args...)
}

// command runs a program in the nested module and returns its standard output.
func (b *builder) command(ctx context.Context, tracker *tracker, program string, args ...string) ([]byte, error) {
	name := filepath.Base(program) + " " + args[0]
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = filepath.Join(b.source, b.module.folder)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if b.module.cgo {
		cmd.Env = append(cmd.Env, "CGO_ENABLED=1", "CGO_CFLAGS=-O1") // the last one counts; nobody waits for these databases
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // the go command then ends its compilers
	cmd.WaitDelay = 10 * time.Second
	var out bytes.Buffer
	cmd.Stdout = &out
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	complaints := tracker.read(stderr)
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("%s in %s: %w\n%s", name, b.module.folder, errors.Join(err, context.Cause(ctx)), complaints)
	}
	return out.Bytes(), nil
}

// tracker follows the output of the go command and reports at intervals.
type tracker struct {
	name  string
	say   func(format string, args ...any)
	start time.Time
	quit  chan struct{}
	done  chan struct{}

	mu         sync.Mutex
	downloaded int
	compiled   int
	total      int // 0 until it is known
	current    string
}

func newTracker(name string, say func(format string, args ...any)) *tracker {
	t := &tracker{name: name, say: say, start: time.Now(), quit: make(chan struct{}), done: make(chan struct{})}
	go t.reportUntilStopped()
	return t
}

func (t *tracker) stop() {
	close(t.quit)
	<-t.done
}

func (t *tracker) compiling(total int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.total, t.current = total, ""
}

func (t *tracker) reportUntilStopped() {
	defer close(t.done)
	ticker := time.NewTicker(reportInterval)
	defer ticker.Stop()
	for {
		select {
		case <-t.quit:
			return
		case <-ticker.C:
			t.say("%s", t.status())
		}
	}
}

// status is one line on how far the build is. Packages that the go command has in its own cache are never named, so
// the count may jump to the end.
func (t *tracker) status() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	elapsed := time.Since(t.start).Round(time.Second)
	if t.total == 0 {
		return fmt.Sprintf("[%s] %d modules downloaded, %s", t.name, t.downloaded, elapsed)
	}
	line := fmt.Sprintf("[%s] %d/%d packages, %s", t.name, t.compiled, t.total, elapsed)
	if t.current != "" {
		line += ": " + t.current
	}
	return line
}

// maxComplaints bounds what of the go command's messages goes into an error.
const maxComplaints = 8192

// read follows stderr to its end and returns the lines that are neither a package nor a download: what went wrong.
func (t *tracker) read(stderr io.Reader) []byte {
	var complaints []byte
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if !t.see(line) && len(complaints) < maxComplaints {
			complaints = append(append(complaints, line...), '\n')
		}
	}
	_, _ = io.Copy(io.Discard, stderr) // behind a line too long to read; the command must not block
	return bytes.TrimSpace(complaints)
}

// see counts a line of the go command, and tells whether it was one to count.
func (t *tracker) see(line string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case strings.HasPrefix(line, "go: downloading "):
		t.downloaded++
	case t.total > 0 && line != "" && !strings.ContainsAny(line, " \t:#"):
		t.compiled++
		t.current = line
	default:
		return false
	}
	return true
}
