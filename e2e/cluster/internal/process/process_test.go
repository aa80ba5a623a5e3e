package process_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/internal/process"
)

const (
	roleVariable = "PROCESS_TEST_ROLE"
	deadline     = 20 * time.Second
)

// TestMain lets the test binary be the programs that the tests run.
func TestMain(m *testing.M) {
	switch role, arg, _ := strings.Cut(os.Getenv(roleVariable), " "); role {
	case "":
		goleak.VerifyTestMain(m)
	case "wait":
		fmt.Println("ready")
		<-time.After(time.Minute)
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("ready")
		<-time.After(time.Minute)
	case "fail":
		fmt.Println("cannot go on:", arg)
		os.Exit(3)
	case "listen":
		if _, err := net.Listen("tcp", arg); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	case "parent":
		child, err := process.NewSpawner().Start(process.Command{
			Name: "child", Path: os.Args[0], LogFile: arg, Env: []string{roleVariable + "=wait"},
		})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(child.Identity.PID, child.Identity.Started)
		<-time.After(time.Minute)
	}
}

// spawn runs the test binary in a role.
func spawn(t *testing.T, role string) *process.Process {
	t.Helper()
	spawner, log := process.NewSpawner(), filepath.Join(t.TempDir(), "log")
	p, err := spawner.Start(process.Command{
		Name: "example", Path: os.Args[0], LogFile: log, Env: []string{roleVariable + "=" + role},
	})
	if err != nil {
		spawner.Close()
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() {
		if err := p.Stop(0); err != nil {
			t.Error(err)
		}
		spawner.Close()
	})
	eventually(t, "the program says something", func() bool {
		content, err := os.ReadFile(log)
		return err == nil && bytes.HasSuffix(content, []byte("\n"))
	})
	return p
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(deadline); time.Now().Before(end); <-ticker.C {
		if condition() {
			return
		}
	}
	t.Fatalf("%s: not within %s", what, deadline)
}

func exited(t *testing.T, p *process.Process) {
	t.Helper()
	select {
	case <-p.Exited():
	case <-time.After(deadline):
		t.Fatalf("%s still runs", p.Name)
	}
}

func TestRecycledIDIsNeverSignalled(t *testing.T) {
	t.Parallel()
	p := spawn(t, "wait")
	// What a state file says after the id was given to somebody else.
	stale := process.Identity{PID: p.Identity.PID, Started: p.Identity.Started + "0"}
	if stale.Alive() {
		t.Error("the former owner of the id is said to be alive")
	}
	if err := stale.Signal(syscall.SIGKILL); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signal: got %v, want os.ErrProcessDone", err)
	}
	if err := stale.End(0); err != nil {
		t.Errorf("end: %v", err)
	}
	if !p.Identity.Alive() {
		t.Error("the new owner of the id was killed")
	}
}

func TestIdentityOfNobody(t *testing.T) {
	t.Parallel()
	for name, identity := range map[string]process.Identity{
		"zero":       {},
		"group":      {PID: -1, Started: "x"}, // a signal to -1 would reach everything
		"self group": {PID: 0, Started: "x"},
		"no start":   {PID: os.Getpid()},
	} {
		if identity.Alive() {
			t.Errorf("%s: alive", name)
		}
		if err := identity.Signal(syscall.SIGKILL); !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("%s: got %v, want os.ErrProcessDone", name, err)
		}
	}
}

func TestEndKillsTheStubborn(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"wait", "stubborn"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			p := spawn(t, role)
			if err := p.Identity.End(200 * time.Millisecond); err != nil {
				t.Fatal(err)
			}
			exited(t, p)
			if p.Identity.Alive() {
				t.Error("alive after its end")
			}
		})
	}
}

func TestZombieIsNotAlive(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"=wait")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	identity, err := process.Identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// Not waited for yet, so the process stays as a zombie.
	eventually(t, "a killed child counts as gone", func() bool { return !identity.Alive() })
	_ = cmd.Wait()
}

func TestExitErrorTellsWhy(t *testing.T) {
	t.Parallel()
	p := spawn(t, "fail for this reason")
	exited(t, p)
	var exit *process.ExitError
	if err := p.Err(); !errors.As(err, &exit) || !strings.Contains(err.Error(), "cannot go on: for this reason") {
		t.Fatalf("got %v, want an ExitError with the program's last words", err)
	}
	if exit.PortTaken() {
		t.Error("blamed on a taken port")
	}
}

func TestTakenPortIsRecognised(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	p := spawn(t, "listen "+listener.Addr().String())
	exited(t, p)
	var exit *process.ExitError
	if err := p.Err(); !errors.As(err, &exit) || !exit.PortTaken() {
		t.Errorf("got %v, want an ExitError that says the port was taken", err)
	}
}

func TestPortsAreLeasedOnce(t *testing.T) {
	t.Parallel()
	first, second := process.NewPorts(), process.NewPorts()
	seen := map[int]bool{}
	for range 20 {
		for _, ports := range []*process.Ports{first, second} {
			port, err := ports.Lease()
			if err != nil {
				t.Fatal(err)
			}
			if seen[port] {
				t.Errorf("port %d was leased twice", port)
			}
			seen[port] = true
		}
	}
	if err := errors.Join(first.Release(), second.Release(), first.Release()); err != nil {
		t.Error(err)
	}
}

func TestChildrenDieWithTheirParent(t *testing.T) {
	t.Parallel()
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), roleVariable+"=parent "+filepath.Join(t.TempDir(), "log"))
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, started, _ := strings.Cut(strings.TrimSpace(line), " ")
	number, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatalf("the parent says %q", line)
	}
	child := process.Identity{PID: number, Started: started}
	if !child.Alive() {
		t.Fatal("the child does not live")
	}
	if err := parent.Process.Kill(); err != nil { // gives it no chance to end its child
		t.Fatal(err)
	}
	_ = parent.Wait()
	if diesWithParent {
		eventually(t, "the child is gone", func() bool { return !child.Alive() })
		return
	}
	if err := child.End(time.Second); err != nil {
		t.Errorf("end what was left behind: %v", err)
	}
}
