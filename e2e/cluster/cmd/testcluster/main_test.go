package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
)

const deadline = time.Minute

// TestMain lets the test binary be testcluster itself: "up" starts its own program again as the supervisor.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "supervise" {
		main()
		return
	}
	os.Exit(m.Run())
}

// call runs testcluster and returns what it prints as its result.
func call(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := run(t.Context(), args, &out, t.Output())
	return out.String(), err
}

func TestClusterInTheBackground(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "cluster")
	up := []string{"up", "--dir", dir, "--controller-manager=false"}
	t.Cleanup(func() { // whatever happens here, nothing may be left behind
		if err := cluster.Down(context.Background(), dir); err != nil && !errors.Is(err, cluster.ErrNoCluster) {
			t.Error(err)
		}
	})
	if out, err := call(t, up...); err != nil || !strings.Contains(out, "export KUBECONFIG="+filepath.Join(dir, "kubeconfig")) {
		t.Fatalf("up: got %q, %v", out, err)
	}
	first := state(t, dir)
	if out, err := call(t, "status", "--dir", dir); err != nil || strings.Count(out, " running ") != 3 || !strings.Contains(out, first.Server) {
		t.Errorf("status: got %q, %v; want a supervisor and two processes that run", out, err)
	}
	if _, err := call(t, up...); err != nil || state(t, dir).Server != first.Server {
		t.Errorf("up again: got %v; want the same cluster", err)
	}
	if _, err := call(t, append(up, "--flux")...); err == nil {
		t.Error("up --flux again: want an error, as the running cluster has no Flux")
	}
	if _, err := call(t, "down", "--dir", dir); err != nil {
		t.Fatalf("down: %v", err)
	}
	gone(t, first)
	if _, err := call(t, "status", "--dir", dir); !errors.Is(err, cluster.ErrNoCluster) {
		t.Errorf("status: got %v, want ErrNoCluster", err)
	}

	// A supervisor that is killed can end nothing itself.
	if _, err := call(t, up...); err != nil {
		t.Fatalf("up after down: %v", err)
	}
	second := state(t, dir)
	if err := second.Supervisor.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := call(t, "down", "--dir", dir, "--delete"); err != nil {
		t.Fatalf("down after the supervisor's death: %v", err)
	}
	gone(t, second)
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("down --delete leaves the folder: %v", err)
	}
}

func TestUpReportsWhyAClusterDoesNotStart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "cluster")
	var log bytes.Buffer
	err := run(t.Context(), []string{"up", "--dir", dir, "--controller-manager=false", "--apiserver-arg=--no-such-flag"}, t.Output(), &log)
	if err == nil || !strings.Contains(log.String(), "unknown flag: --no-such-flag") {
		t.Errorf("got %v and the progress %q; want the API server's complaint", err, log.String())
	}
	if _, err := cluster.ReadState(dir); !errors.Is(err, cluster.ErrNoCluster) {
		t.Errorf("afterwards: got %v, want ErrNoCluster", err)
	}
}

func TestControllerManagerIsNotBuiltUnasked(t *testing.T) { // changes the environment, so not in parallel
	downloaded := t.TempDir()
	for _, name := range []string{"kube-apiserver", "etcd", "kubectl"} {
		if err := os.WriteFile(filepath.Join(downloaded, name), nil, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir()) // nothing is built
	t.Setenv("XDG_DATA_HOME", t.TempDir())  // nor downloaded by setup-envtest
	for name, tc := range map[string]struct {
		reason string
		args   []string
		assets string
		want   bool
	}{
		"built anyway":       {reason: "it comes with the API server", want: true},
		"downloaded":         {reason: "a build takes minutes", assets: downloaded, want: false},
		"downloaded, wanted": {reason: "the user has asked", assets: downloaded, args: []string{"--controller-manager"}, want: true},
	} {
		t.Setenv("KUBEBUILDER_ASSETS", tc.assets)
		flags := pflag.NewFlagSet("up", pflag.ContinueOnError)
		o := optionFlags(flags)
		if err := flags.Parse(tc.args); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		if err := chooseControllerManager(flags, o, &log); err != nil || o.ControllerManager != tc.want {
			t.Errorf("%s: got %t, %v; want %t: %s", name, o.ControllerManager, err, tc.want, tc.reason)
		}
		if told := strings.Contains(log.String(), "not built"); told == tc.want {
			t.Errorf("%s: the user is told %q", name, log.String())
		}
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"help"}, {"--help"}} {
		out, err := call(t, args...)
		if err != nil {
			t.Errorf("%v: %v", args, err)
		}
		for _, c := range commands() {
			if listed := strings.Contains(out, "\n  "+c.name+" "); listed == c.hidden {
				t.Errorf("%v: command %s listed: %t, hidden: %t", args, c.name, listed, c.hidden)
			}
		}
	}
	for _, c := range commands() {
		out, err := call(t, c.name, "--help")
		if !errors.Is(err, pflag.ErrHelp) || !strings.Contains(out, c.details) {
			t.Errorf("%s --help: got %q, %v", c.name, out, err)
		}
	}
	for name, args := range map[string][]string{
		"unknown command": {"start"}, "unknown flag": {"up", "--fluks"}, "argument": {"down", "cluster"},
	} {
		if _, err := call(t, args...); err == nil || errors.Is(err, pflag.ErrHelp) {
			t.Errorf("%s: got %v, want an error", name, err)
		}
	}
}

func state(t *testing.T, dir string) *cluster.State {
	t.Helper()
	s, err := cluster.ReadState(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// gone checks that no process of the cluster is left.
func gone(t *testing.T, s *cluster.State) {
	t.Helper()
	for _, p := range append(s.Processes, *s.Supervisor) {
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		err := wait.PollUntilContextCancel(ctx, 10*time.Millisecond, true, func(context.Context) (bool, error) { return !p.Alive(), nil })
		cancel()
		if err != nil {
			t.Errorf("%s is left behind", p.Name)
		}
	}
}
