package nodes

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

//go:embed testdata/workload.yaml
var workload string

// TestNodes is one test, as nodes take long to start: first what pods do and where they reach, then what happens to nodes.
func TestNodes(t *testing.T) {
	needNodes(t)
	began := time.Now()
	var before *machine
	w := startWorld(t, Options{Images: []string{probe(t)}, inspect: func() {
		if before == nil {
			before = new(look(t))
			return
		}
		before.same(t, "after Stop")
	}})
	t.Logf("cluster with %d nodes started in %s", len(w.Nodes()), time.Since(began).Round(time.Millisecond))
	w.apply(workload)
	w.podIsReady("one")
	w.podIsReady("two")
	t.Logf("two pods are ready %s after the beginning; %s", time.Since(began).Round(time.Millisecond), w.memory())

	for _, part := range []struct {
		what  string
		check func()
	}{{"reachability", w.reachability}, {"no way out", w.nothingLeaves}, {"agents", w.agents}, {"reboot", w.reboot}, {"wipe", w.wipe}} {
		began := time.Now()
		part.check()
		t.Logf("%s: %s", part.what, time.Since(began).Round(time.Millisecond))
	}
}

// apply creates the objects of a manifest.
func (w *world) apply(manifest string) {
	w.Helper()
	cmd := exec.CommandContext(w.Context(), w.State().Kubectl, "--kubeconfig", w.Kubeconfig(), "apply", "-f", "-")
	cmd.Stdin = strings.NewReader(manifest)
	if out, err := cmd.CombinedOutput(); err != nil {
		w.Fatalf("apply: %v: %s", err, out)
	}
}

func (w *world) pod(ctx context.Context, name string) (*corev1.Pod, error) {
	pod := &corev1.Pod{}
	err := w.client.Get(ctx, client.ObjectKey{Namespace: "default", Name: name}, pod)
	return pod, err
}

// podIsReady waits until the pod is ready and returns it.
func (w *world) podIsReady(name string) *corev1.Pod {
	w.Helper()
	var pod *corev1.Pod
	w.eventually("pod "+name+" is ready", func(ctx context.Context) (err error) {
		if pod, err = w.pod(ctx, name); err != nil {
			return err
		}
		for _, condition := range pod.Status.Conditions {
			if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue {
				return nil
			}
		}
		return fmt.Errorf("it is not: %+v", pod.Status.Conditions)
	})
	return pod
}

// reachability checks who reaches whom.
func (w *world) reachability() {
	w.Helper()
	one, two := w.podIsReady("one"), w.podIsReady("two")
	if one.Spec.NodeName == two.Spec.NodeName {
		w.Fatalf("both pods are on %s", one.Spec.NodeName)
	}
	service := &corev1.Service{}
	if err := w.client.Get(w.Context(), client.ObjectKey{Namespace: "default", Name: "probe"}, service); err != nil {
		w.Fatal(err)
	}
	clusterIP := "http://" + service.Spec.ClusterIP
	w.answers("a pod of another node by its address", w.inPod("one", "get", "http://"+two.Status.PodIP+":8080"), "two")
	w.answers("the service's name in a pod", w.inPod("one", "lookup", "probe.default.svc.cluster.local"), service.Spec.ClusterIP)
	for _, pod := range []string{"one", "two"} { // both are asked again and again until each has answered: across nodes, and itself
		for _, answer := range []string{"one", "two"} {
			w.answers("the service by its name, from pod "+pod+", answered by "+answer, w.inPod(pod, "get", "http://probe"), answer)
		}
	}
	w.eventually("the API server from a pod", func(ctx context.Context) error {
		version, err := w.inPod("two", "get", "https://kubernetes.default/version")(ctx)
		if err == nil && !strings.Contains(version, "gitVersion") {
			err = errors.New("got " + version)
		}
		return err
	})
	w.answers("a pod from this machine", fromHere("http://"+one.Status.PodIP+":8080"), "one")
	w.answers("the service from this machine", fromHere(clusterIP), "one", "two")
	for _, n := range w.Nodes() {
		url := "http://" + net.JoinHostPort(n.Address, strconv.Itoa(int(service.Spec.Ports[0].NodePort)))
		w.answers("the port of node "+n.Name, fromHere(url), "one", "two")
	}
	if out, err := w.Node(0).Command(w.Context(), "hostname").Output(); err != nil || strings.TrimSpace(string(out)) != "node-1" {
		w.Errorf("the node's host name: got %q, %v", out, err)
	}
}

// nothingLeaves checks that the machine's default route is nobody's way out.
func (w *world) nothingLeaves() {
	w.Helper()
	for _, address := range []string{"198.18.0.200", "198.18.200.200", "198.19.1.200", "198.19.200.200"} {
		// Nothing is sent by that. The kernel chooses the address that this machine has on the network to which the route leads.
		route, err := (&net.Dialer{}).DialContext(w.Context(), "udp", net.JoinHostPort(address, "9"))
		if err != nil {
			w.Errorf("%s: %v", address, err)
			continue
		}
		if from, ok := route.LocalAddr().(*net.UDPAddr); !ok || from.IP.String() != machineAddress {
			w.Errorf("%s is reached from %s; want %s, which is this machine on the network of nodes", address, route.LocalAddr(), machineAddress)
		}
		if err := route.Close(); err != nil {
			w.Error(err)
		}
	}
	if taken, err := takenRanges(); err != nil || len(taken) > 0 {
		w.Errorf("while a cluster with nodes runs its routes are taken for somebody else's: %v, %v", taken, err)
	}
	if answer, err := w.inPod("one", "get", "http://192.0.2.1")(w.Context()); err == nil || !strings.Contains(err.Error(), "unreachable") {
		w.Errorf("an address outside of the cluster: got %q, %v; want it to be unreachable", answer, err)
	}
	if answer, err := w.inPod("one", "lookup", "example.com")(w.Context()); err == nil {
		w.Errorf("a name outside of the cluster: got %q, want an error", answer)
	}
}

// agents checks what goes through the API server to a kubelet and on to the container runtime.
func (w *world) agents() {
	w.Helper()
	if logs, err := w.kubectl(w.Context(), "logs", "one"); err != nil || !strings.Contains(logs, "one serves at") {
		w.Errorf("logs: got %q, %v", logs, err)
	}
	cmd := exec.CommandContext(w.Context(), w.State().Kubectl, "--kubeconfig", w.Kubeconfig(), "port-forward", "pod/two", ":8080")
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	defer func() { _, _ = cmd.Process.Kill(), cmd.Wait() }()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		w.Fatalf("port-forward says nothing: %v", err)
	}
	var port int
	if _, err := fmt.Sscanf(line, "Forwarding from 127.0.0.1:%d", &port); err != nil {
		w.Fatalf("port-forward says %q: %v", line, err)
	}
	w.answers("a port that is forwarded", fromHere("http://127.0.0.1:"+strconv.Itoa(port)), "two")
}

// starts asks a pod how often it has started over its volume.
func (w *world) starts(pod, want string) {
	w.Helper()
	w.eventually("pod "+pod+" has started "+want+" times", func(ctx context.Context) error {
		p, err := w.pod(ctx, pod)
		if err != nil {
			return err
		}
		if got, err := fromHere("http://" + p.Status.PodIP + ":8080/starts")(ctx); err != nil || got != want {
			return fmt.Errorf("got %q: %w", got, err)
		}
		return nil
	})
}

// reboot checks that a node comes back with its pods and their volumes, and that the rest of the cluster goes on meanwhile.
func (w *world) reboot() {
	w.Helper()
	w.starts("one", "1")
	before := w.podIsReady("one")
	n := w.Node(0)
	if before.Spec.NodeName != n.Name {
		n = w.Node(1)
	}
	if err := w.Kill(w.Context(), n); err != nil {
		w.Fatal(err)
	}
	if out, err := n.Command(w.Context(), "true").CombinedOutput(); err == nil {
		w.Errorf("a program runs on a node that is off: %s", out)
	}
	w.answers("the other pod while a node is off", w.inPod("two", "get", "http://127.0.0.1:8080"), "two")
	began := time.Now()
	if err := w.Boot(w.Context(), n); err != nil {
		w.Fatal(err)
	}
	w.Logf("node booted in %s", time.Since(began).Round(time.Millisecond))
	w.starts("one", "2")
	if after := w.podIsReady("one"); after.UID != before.UID || after.Status.ContainerStatuses[0].RestartCount == 0 {
		w.Errorf("pod after the reboot: %s with %+v; want the same one, restarted", after.UID, after.Status.ContainerStatuses)
	}
	w.answers("the rebooted pod through the service", w.inPod("two", "get", "http://probe"), "one")
	if err := w.Reboot(w.Context(), n); err != nil {
		w.Fatal(err)
	}
	w.starts("one", "3")
}

// wipe checks that a node loses its volumes and nothing else.
func (w *world) wipe() {
	w.Helper()
	n := w.Node(0)
	if w.podIsReady("one").Spec.NodeName != n.Name {
		n = w.Node(1)
	}
	if err := w.Wipe(w.Context(), n); err != nil {
		w.Fatal(err)
	}
	w.starts("one", "1")
	w.podIsReady("one")
	w.starts("two", "1")
}

// memory says how much memory the nodes use, their pods included. What processes share is counted once.
func (w *world) memory() string {
	var used []string
	for _, n := range w.Nodes() {
		total := 0
		processes, err := n.Processes("")
		if err != nil {
			w.Error(err)
		}
		for _, p := range processes {
			rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p.PID))
			if err != nil { // it has ended meanwhile
				continue
			}
			var kib int
			if _, line, found := strings.Cut(string(rollup), "\nPss:"); found {
				if _, err := fmt.Sscan(line, &kib); err != nil {
					w.Error(err)
				}
			}
			total += kib
		}
		used = append(used, fmt.Sprintf("%s uses %d MiB", n.Name, total>>10))
	}
	return strings.Join(used, ", ")
}
