package nodes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/hack/image/scratch"
)

const (
	// deadline is for what takes seconds on a machine with nothing else to do.
	deadline   = 2 * time.Minute
	probeImage = "localhost/probe:1"
	// holdVariable makes the test binary a program that has a cluster in this folder until it is killed.
	holdVariable = "NODES_TEST_HOLDS"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(holdVariable); dir != "" {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin) // until whoever has started this ends
			os.Exit(1)
		}()
		_, err := Start(context.Background(), Options{Dir: dir, Count: 1, Progress: os.Stderr, lock: lockOf(dir)})
		fmt.Println("started:", err)
		select {}
	}
	os.Exit(m.Run())
}

// needNodes skips the test where there can be no nodes, and says why. Where there can be, it has to run.
func needNodes(t *testing.T) {
	t.Helper()
	clustertest.NeedNodes(t, Missing(t.Context()))
}

// world is a cluster with nodes and what tests look at it with.
type world struct {
	*testing.T
	*Cluster
	client client.Client
}

func startWorld(t *testing.T, o Options) *world {
	t.Helper()
	o.Dir, o.Progress = t.TempDir(), t.Output()
	if err := Build(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	c, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	kubernetes, err := client.New(c.Config(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &world{T: t, Cluster: c, client: kubernetes}
}

// probe builds the image of the test's workload.
func probe(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "probe")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", program, "./internal/probe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build probe: %v\n%s", err, out)
	}
	path := filepath.Join(dir, "probe.tar")
	if _, err := scratch.Program(probeImage, program).WriteFile(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// eventually waits until the function returns nil.
func (w *world) eventually(what string, f func(ctx context.Context) error) {
	w.Helper()
	var last error
	err := wait.PollUntilContextTimeout(w.Context(), 100*time.Millisecond, deadline, true, func(ctx context.Context) (bool, error) {
		last = f(ctx)
		return last == nil, nil
	})
	if err != nil {
		w.Fatalf("%s: %v: %v", what, err, last)
	}
}

// kubectl runs kubectl and returns what it prints.
func (w *world) kubectl(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, w.State().Kubectl, append([]string{"--kubeconfig", w.Kubeconfig()}, args...)...)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, complaints.String())
	}
	return strings.TrimSpace(out.String()), nil
}

// inPod runs the probe in a pod.
func (w *world) inPod(pod string, args ...string) func(ctx context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		return w.kubectl(ctx, append([]string{"exec", pod, "--", "/probe"}, args...)...)
	}
}

// fromHere asks with this process.
func fromHere(url string) func(ctx context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return "", err
		}
		// A new connection each time: who answers may change.
		request.Close = true
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		content, err := io.ReadAll(response.Body)
		return string(content), err
	}
}

// answers waits for one of the answers.
func (w *world) answers(what string, ask func(ctx context.Context) (string, error), want ...string) {
	w.Helper()
	w.eventually(what, func(ctx context.Context) error {
		got, err := ask(ctx)
		if err == nil && !slices.Contains(want, got) {
			err = errors.New("got " + got + ", want one of " + strings.Join(want, ", "))
		}
		return err
	})
}
