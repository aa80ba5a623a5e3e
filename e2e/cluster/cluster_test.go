package cluster

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/internal/process"
)

// bare returns a cluster that runs nothing yet.
func bare(t *testing.T) *Cluster {
	t.Helper()
	o, err := Options{Dir: t.TempDir(), Progress: t.Output()}.complete()
	if err != nil {
		t.Fatal(err)
	}
	c, err := prepare(o, &programs{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return c
}

// server is a component that serves at its only port.
func server(t *testing.T, serve func(port int) string) component {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	address := filepath.Join(t.TempDir(), "address")
	return component{
		// The variable can't be set per attempt, therefore a shell hands the address over.
		name: "server", path: "/bin/sh", ports: []string{"http"},
		args: func(ports map[string]int) []string {
			if err := os.WriteFile(address, []byte(serve(ports["http"])), 0o600); err != nil {
				t.Error(err)
			}
			return []string{"-c", serveVariable + `="$(cat "$0")" exec "$1"`, address, self}
		},
		ready: func(_ context.Context, ports map[string]int) bool {
			content, err := os.ReadFile(address)
			if err != nil {
				return false
			}
			conn, err := net.Dial("tcp", string(content))
			if err != nil {
				return false
			}
			return conn.Close() == nil
		},
	}
}

func TestStartSurvivesATakenPort(t *testing.T) {
	t.Parallel()
	c := bare(t)
	var taken []net.Listener
	comp := server(t, hostPort)
	args := comp.args
	comp.args = func(ports map[string]int) []string {
		if len(taken) < 2 { // somebody is faster twice
			listener, err := net.Listen("tcp", hostPort(ports["http"]))
			if err != nil {
				t.Fatal(err)
			}
			taken = append(taken, listener)
		}
		return args(ports)
	}
	comp.ready = func(_ context.Context, ports map[string]int) bool {
		for _, listener := range taken {
			if listener.Addr().String() == hostPort(ports["http"]) {
				return false // the other one's answer, which keys would tell apart
			}
		}
		conn, err := net.Dial("tcp", hostPort(ports["http"]))
		return err == nil && conn.Close() == nil
	}
	ports, err := c.startComponent(t.Context(), comp)
	if err != nil {
		t.Fatal(err)
	}
	for _, listener := range taken {
		if listener.Addr().String() == hostPort(ports["http"]) {
			t.Errorf("started on the taken port %d", ports["http"])
		}
		_ = listener.Close()
	}
	state, err := ReadState(c.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if len(state.Processes) != 1 || !state.Processes[0].Alive() || state.Processes[0].Ports["http"] != ports["http"] {
		t.Errorf("recorded are %+v, want the one that runs", state.Processes)
	}
}

func TestStartReportsWhyAProgramEnded(t *testing.T) {
	t.Parallel()
	c := bare(t)
	_, err := c.startComponent(t.Context(), server(t, func(int) string { return "no address" }))
	var exit *process.ExitError
	if !errors.As(err, &exit) || !strings.Contains(err.Error(), "no address") {
		t.Errorf("got %v, want the program's last words", err)
	}
}

func TestStartIsBoundedByItsContext(t *testing.T) {
	t.Parallel()
	c := bare(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("no more time")
	comp := server(t, hostPort)
	comp.ready = func(context.Context, map[string]int) bool { cancel(cause); return false }
	if _, err := c.startComponent(ctx, comp); !errors.Is(err, cause) {
		t.Errorf("got %v, want %v", err, cause)
	}
	running := c.State().Processes
	if err := c.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, p := range running {
		if p.Alive() {
			t.Errorf("%s outlives Stop", p.Name)
		}
	}
}

func TestWaitTellsWhichProcessDied(t *testing.T) {
	t.Parallel()
	c := bare(t)
	if _, err := c.startComponent(t.Context(), server(t, hostPort)); err != nil {
		t.Fatal(err)
	}
	if err := c.State().Processes[0].Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for range 2 { // everyone who asks is told
		var exit *process.ExitError
		if err := c.Wait(ctx); !errors.As(err, &exit) || exit.Name != "server" {
			t.Fatalf("got %v, want the end of server", err)
		}
	}
	if c.State().Running() {
		t.Error("a cluster with a dead process is said to run")
	}
}

func TestFolderHasOneCluster(t *testing.T) {
	t.Parallel()
	c := bare(t)
	o, err := Options{Dir: c.Dir()}.complete()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := prepare(o, &programs{}, nil); !errors.Is(err, ErrInUse) {
		t.Errorf("second cluster: got %v, want ErrInUse", err)
	}
	if err := Delete(t.Context(), c.Dir()); !errors.Is(err, ErrInUse) {
		t.Errorf("delete: got %v, want ErrInUse", err)
	}
}

func TestDeleteLeavesOthersFiles(t *testing.T) {
	t.Parallel()
	c := bare(t)
	note := filepath.Join(c.Dir(), "note")
	if err := os.WriteFile(note, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Stop(t.Context()), Delete(t.Context(), c.Dir())); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(c.Dir())
	if err != nil || len(entries) != 1 {
		t.Errorf("left are %v, %v; want only the note", entries, err)
	}
	if err := errors.Join(os.Remove(note), Delete(t.Context(), c.Dir())); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(c.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the empty folder stays: %v", err)
	}
}

func TestDownEndsWhatIsRecordedOnly(t *testing.T) {
	t.Parallel()
	if err := Down(t.Context(), t.TempDir()); !errors.Is(err, ErrNoCluster) {
		t.Errorf("nothing recorded: got %v, want ErrNoCluster", err)
	}
	c := bare(t)
	if _, err := c.startComponent(t.Context(), server(t, hostPort)); err != nil {
		t.Fatal(err)
	}
	p := c.State().Processes[0]
	// The record of a process of old, whose id is now that of this test.
	self, err := process.Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	old := RecordedProcess{Identity: process.Identity{PID: self.PID, Started: self.Started + "0"}, Name: "old"}
	if err := c.update(func(s *State) { s.Processes = append(s.Processes, old); s.Supervisor = &old }); err != nil {
		t.Fatal(err)
	}
	if err := Down(t.Context(), c.Dir()); err != nil {
		t.Fatal(err)
	}
	if p.Alive() {
		t.Error("the recorded process runs on")
	}
	if _, err := ReadState(c.Dir()); !errors.Is(err, ErrNoCluster) {
		t.Errorf("after Down: got %v, want ErrNoCluster", err)
	}
}

func TestReadStateRefusesGarbage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(layout(dir).state(), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadState(dir); err == nil || errors.Is(err, ErrNoCluster) {
		t.Errorf("got %v; want an error, as processes might be left", err)
	}
}
