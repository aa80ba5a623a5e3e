package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/operator"
	"github.com/ocm-operator/ocm-operator/e2e/podinfo"
)

const (
	firstVersion  = "6.3.5"
	secondVersion = "6.3.6"
	forgedVersion = "6.3.7"
)

// up is the demo, from nothing to the version that is refused.
func up(ctx context.Context, place folder, out *screen) error {
	begin := time.Now()
	fmt.Fprintln(out.out, out.bold("A component version travels to a cluster"))
	if err := remove(ctx, place, func() { out.line("replacing the demo that runs") }); err != nil {
		return err
	}
	if err := build(ctx, place, out); err != nil {
		return err
	}
	if err := makeKey(place.key()); err != nil {
		return err
	}
	s, err := start(ctx, place, out)
	if err != nil {
		return err
	}
	c, err := connect(place)
	if err != nil {
		return err
	}
	if err := deliver(ctx, out, c, s); err != nil {
		return fmt.Errorf("%w\n\nEverything is left running to look at: the operator's log is %s, "+
			"kubectl needs\n  export KUBECONFIG=%s\nand make demo-down stops it", err, relative(s.OperatorLog), kubeconfig(place))
	}
	goOn(out, place, s)
	out.section(fmt.Sprintf("Done in %.0f seconds.", time.Since(begin).Seconds()))
	return nil
}

// deliver publishes two versions and shows each arriving, and a third that must not.
func deliver(ctx context.Context, out *screen, c client.Client, s *state) error {
	out.step("Sign and publish %s %s", podinfo.Name, firstVersion)
	if err := publish(ctx, s, firstVersion, nil); err != nil {
		return err
	}
	out.line("to %s, signed as %q with a key that was made for this demo", s.repository(), signature)

	out.step("Apply e2e/demo/manifests, and the public key in a Secret")
	since := time.Now()
	if _, err := apply(ctx, c, s); err != nil {
		return err
	}
	rows := pipeline()
	if err := arrive(ctx, out, c, s, rows, firstVersion, since, "from kubectl apply to applied"); err != nil {
		return err
	}
	out.step("Sign and publish %s, and touch nothing else", secondVersion)
	since = time.Now()
	if err := publish(ctx, s, secondVersion, nil); err != nil {
		return err
	}
	if err := arrive(ctx, out, c, s, rows, secondVersion, since, "from publishing to applied; the repository is asked every 2s"); err != nil {
		return err
	}
	if err := showFleet(ctx, out, c, s, secondVersion); err != nil {
		return err
	}
	return refuse(ctx, out, c, s)
}

func arrive(ctx context.Context, out *screen, c client.Client, s *state, rows []row, version string, since time.Time, what string) error {
	if err := follow(ctx, out, c, s, rows, version, since); err != nil {
		return err
	}
	took := time.Since(since)
	found, err := applied(ctx, c)
	if err != nil {
		return err
	}
	signed, err := verified(ctx, c)
	if err != nil {
		return err
	}
	out.blank()
	out.line("%s  %s", out.bold(fmt.Sprintf("%.1fs", took.Seconds())), what)
	out.result("ComponentVersion", "podinfo", "verified", fmt.Sprintf("signature %s, key %s", signed.Name, shortened(signed.KeyFingerprint)))
	found.show(out)
	return nil
}

// build builds what is missing: minutes the first time, seconds ever after.
func build(ctx context.Context, place folder, out *screen) error {
	out.step("Programs")
	begin := time.Now()
	if err := cluster.Build(ctx, clusterOptions(place, out)); err != nil {
		return err
	}
	out.line("%-24s ready after %s", "control plane, Flux", rounded(begin))
	begin = time.Now()
	if err := os.MkdirAll(place.bin(), 0o700); err != nil {
		return fmt.Errorf("create the demo's folder: %w", err)
	}
	if _, err := operator.Build(ctx, place.bin()); err != nil {
		return err
	}
	out.line("%-24s ready after %s", "ocm-operator", rounded(begin))
	return copySelf(place.self())
}

// start starts everything in the background.
func start(ctx context.Context, place folder, out *screen) (*state, error) {
	out.step("Cluster, in the background")
	begin := time.Now()
	running, err := cluster.Up(ctx, place.cluster(), []string{place.self(), "supervise"}, out)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var s *state
	err = wait.PollUntilContextCancel(ctx, poll, true, func(context.Context) (bool, error) {
		var err error
		if s, err = place.read(); !errors.Is(err, errNotRunning) {
			return err == nil, err
		}
		if !running.Supervisor.Alive() {
			return false, fmt.Errorf("the operator did not start, see %s", relative(running.Supervisor.Log))
		}
		return false, nil
	})
	if err != nil {
		return nil, fmt.Errorf("wait for the operator: %w", err)
	}
	out.line("%-24s ready after %s", "ocm-operator", rounded(begin))
	return s, nil
}

func connect(place folder) (client.Client, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig(place))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", kubeconfig(place), err)
	}
	config.QPS = -1
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("name the kinds: %w", err)
	}
	return client.New(config, client.Options{Scheme: scheme})
}

// goOn says what can be tried next.
func goOn(out *screen, place folder, s *state) {
	kubectl := "kubectl"
	if running, err := cluster.ReadState(place.cluster()); err == nil && running.Kubectl != "" {
		kubectl = running.Kubectl
	}
	out.section("Go on by hand")
	out.line("export KUBECONFIG=%s", kubeconfig(place))
	out.line("export PATH=%s:$PATH", filepath.Dir(kubectl))
	out.blank()
	for _, next := range [][2]string{
		{"kubectl get cv,res,lz,cfg,fd,gs,snap", "everything above, and the snapshots between"},
		{"kubectl describe cv podinfo", "the version that is pinned, and who signed it"},
		{"kubectl events --for cv/podinfo", "what was verified, and what was refused"},
		{"git -C " + relative(s.Fleet) + " log -p", "what was pushed"},
		{"kubectl edit configmap podinfo-values", "other values arrive at once"},
		{"go run ./e2e/demo publish 6.3.8", "and so does another version, within 2s"},
		{"make demo-down", "stop, and remove what the demo wrote"},
	} {
		out.line("%-38s %s", next[0], out.dim("# "+next[1]))
	}
	out.blank()
	out.line("The operator's log is %s. Nodes are not part of", relative(s.OperatorLog))
	out.line("the demo: pods are created, and never start.")
}

// publishMore publishes another version for the demo that runs.
func publishMore(ctx context.Context, place folder, version string) error {
	s, err := place.read()
	if err != nil {
		return err
	}
	if err := publish(ctx, s, version, nil); err != nil {
		return err
	}
	fmt.Printf("signed and published %s %s\n", podinfo.Name, version)
	return nil
}

// down stops the demo and removes its folder.
func down(ctx context.Context, place folder, out *screen) error {
	if _, err := os.Stat(string(place)); errors.Is(err, os.ErrNotExist) {
		fmt.Fprintln(out.out, "no demo runs")
		return nil
	}
	if err := remove(ctx, place, func() { fmt.Fprintln(out.out, "stopping the demo") }); err != nil {
		return err
	}
	fmt.Fprintf(out.out, "the demo is stopped and %s removed\n", relative(string(place)))
	return nil
}

// remove stops the processes that are recorded, and no others, and removes what they wrote.
func remove(ctx context.Context, place folder, running func()) error {
	if _, err := cluster.ReadState(place.cluster()); err == nil {
		running()
	}
	if err := cluster.Down(ctx, place.cluster()); err != nil && !errors.Is(err, cluster.ErrNoCluster) {
		return err
	}
	if _, err := os.Stat(place.cluster()); err == nil {
		if err := cluster.Delete(ctx, place.cluster()); err != nil {
			return err
		}
	}
	for _, path := range []string{place.operator(), place.bin(), place.key(), place.fleet(), place.state()} {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("remove what the demo wrote: %w", err)
		}
	}
	_ = os.Remove(string(place)) // somebody else's files may be in it
	return nil
}

// copySelf keeps this program for the background process: "go run" deletes it when it ends.
func copySelf(to string) error {
	path, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	from, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read this program: %w", err)
	}
	defer func() { _ = from.Close() }() // it was only read
	file, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o700)
	if err != nil {
		return fmt.Errorf("copy this program: %w", err)
	}
	_, err = io.Copy(file, from)
	return errors.Join(err, file.Close())
}

func kubeconfig(place folder) string { return filepath.Join(place.cluster(), "kubeconfig") }

// relative shortens a path for reading.
func relative(path string) string {
	dir, err := os.Getwd()
	if err != nil {
		return path
	}
	if short, err := filepath.Rel(dir, path); err == nil && len(short) < len(path) {
		return short
	}
	return path
}

func rounded(since time.Time) time.Duration { return time.Since(since).Round(10 * time.Millisecond) }
