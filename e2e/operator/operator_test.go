package operator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// playing is the environment variable that turns the test binary into an operator that behaves in some way.
const playing = "E2E_OPERATOR_PLAYS"

func TestMain(m *testing.M) {
	if part := os.Getenv(playing); part != "" {
		play(part)
		return
	}
	os.Exit(m.Run())
}

func play(part string) {
	flags := map[string]string{}
	for _, arg := range os.Args[1:] {
		name, value, _ := strings.Cut(arg, "=")
		flags[name] = value
	}
	switch part {
	case "crash":
		fmt.Println("boom")
		os.Exit(3)
	case "late": // somebody else had its port at first
		marker := filepath.Join(flags["--registry-dir"], "tried")
		if _, err := os.Stat(marker); err != nil {
			_ = os.WriteFile(marker, nil, 0o600)
			fmt.Println("listen: " + syscall.EADDRINUSE.Error())
			os.Exit(1)
		}
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
	case "unready":
		<-time.After(time.Hour) // an empty select would end as a deadlock where there is no cgo
	}
	http.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	fmt.Println(http.ListenAndServe(flags["--health-addr"], nil))
	os.Exit(1)
}

// begin starts the test binary as an operator that plays a part.
func begin(ctx context.Context, t *testing.T, part string) (*Operator, error) {
	t.Helper()
	t.Setenv(playing, part)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	op, err := Start(ctx, Options{Binary: self, Kubeconfig: "unused", Unrestricted: true, Dir: t.TempDir()})
	if err == nil {
		t.Cleanup(func() {
			if err := op.Kill(); err != nil {
				t.Error(err)
			}
		})
	}
	return op, err
}

func TestLife(t *testing.T) {
	op, err := begin(t.Context(), t, "well")
	if err != nil {
		t.Fatal(err)
	}
	if op.Err() != nil {
		t.Errorf("while it runs: got %v", op.Err())
	}
	registry := op.RegistryAddress()
	if err := op.Restart(t.Context()); err != nil || op.RegistryAddress() != registry {
		t.Errorf("restart: got %v and the registry at %s; Flux knows it at %s", err, op.RegistryAddress(), registry)
	}
	if err := op.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, ok := errors.AsType[*ExitError](op.Err()); !ok {
		t.Errorf("after a kill: got %v, want an *ExitError", op.Err())
	}
	if err := op.Restart(t.Context()); err != nil {
		t.Errorf("restart after a kill: %v", err)
	}
	for range 2 {
		if err := op.Stop(t.Context()); err != nil {
			t.Errorf("stop: %v", err)
		}
	}
	<-op.Exited()
}

func TestPortsOfOthers(t *testing.T) {
	if _, err := begin(t.Context(), t, "late"); err != nil {
		t.Errorf("a port was taken at first: got %v, want another attempt", err)
	}
}

func TestCrashAtStart(t *testing.T) {
	_, err := begin(t.Context(), t, "crash")
	var exit *ExitError
	if !errors.As(err, &exit) || !strings.Contains(err.Error(), "boom") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v, want the exit status and the end of the log", err)
	}
}

func TestNeverReady(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := begin(ctx, t, "unready"); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "operator.log") {
		t.Errorf("got %v, want the deadline, and where the log is", err)
	}
}

func TestDeafOperatorIsKilled(t *testing.T) {
	op, err := begin(t.Context(), t, "deaf")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := op.Stop(ctx); err == nil {
		t.Error("an operator that had to be killed is not reported")
	}
	<-op.Exited()
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	if _, err := Start(t.Context(), Options{}); err == nil {
		t.Error("an operator without a program was started")
	}
}
