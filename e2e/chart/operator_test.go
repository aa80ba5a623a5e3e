package chart_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// What the pods of the operator are found by.
const inHome = client.InNamespace(home)

var ofOperator = client.MatchingLabels{"app.kubernetes.io/instance": release, "app.kubernetes.io/component": "operator"}

// path is the folder of the chart.
func (s *suite) path() string { return filepath.Join(s.root, "charts", "ocm-operator") }

// ensure installs the chart, or makes an operator that is there one with these values.
func (w *world) ensure(args ...string) {
	w.t.Helper()
	w.run(append([]string{"upgrade", "--install", release, w.path(), "--reset-values", "--wait", "--timeout=" + helmTimeout}, args...)...)
}

// uninstall takes the operator away, and returns when its pods have ended.
func (w *world) uninstall() {
	w.t.Helper()
	w.run("uninstall", release, "--ignore-not-found", "--wait", "--timeout="+helmTimeout)
	w.env.Within(longest, "the operator has ended", func() error {
		list := &corev1.PodList{}
		err := w.env.Client.List(w.t.Context(), list, inHome, ofOperator)
		if err == nil && len(list.Items) > 0 {
			err = fmt.Errorf("%d pods are left", len(list.Items))
		}
		return err
	})
}

// run runs Helm in the namespace of the operator.
func (w *world) run(args ...string) string {
	w.t.Helper()
	out, err := w.helm.run(w.t.Context(), home, args...)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// pods returns the pods of the operator that are not about to end.
func (w *world) pods() []corev1.Pod {
	w.t.Helper()
	list := &corev1.PodList{}
	if err := w.env.Client.List(w.t.Context(), list, inHome, ofOperator); err != nil {
		w.t.Fatalf("list the pods of the operator: %v", err)
	}
	var pods []corev1.Pod
	for i := range list.Items {
		if list.Items[i].DeletionTimestamp == nil && list.Items[i].Status.Phase == corev1.PodRunning {
			pods = append(pods, list.Items[i])
		}
	}
	return pods
}

// ready tells whether a pod is.
func ready(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// operates waits until so many pods of the operator are ready, and no other ones are there, and returns them.
func (w *world) operates(replicas int) []corev1.Pod {
	w.t.Helper()
	var pods []corev1.Pod
	w.env.Within(longest, "the operator is ready", func() error {
		pods = w.pods()
		if len(pods) != replicas {
			return fmt.Errorf("%d pods run, want %d", len(pods), replicas)
		}
		for i := range pods {
			if !ready(&pods[i]) {
				return fmt.Errorf("pod %s is not ready", pods[i].Name)
			}
		}
		return nil
	})
	return pods
}

// usage is how much memory a pod had at a time.
type usage struct {
	Time            time.Time `json:"time"`
	WorkingSetBytes int64     `json:"workingSetBytes"`
}

// String is what people read of it.
func (u usage) String() string {
	return fmt.Sprintf("%.1f MiB at %s", float64(u.WorkingSetBytes)/mebi, u.Time.Format(time.TimeOnly))
}

// memory returns what the kubelet of a pod has measured last, and nothing if it has not measured it yet.
func (w *world) memory(pod *corev1.Pod) usage {
	w.t.Helper()
	var summary struct {
		Pods []struct {
			PodRef struct {
				UID types.UID `json:"uid"`
			} `json:"podRef"`
			Memory usage `json:"memory"`
		} `json:"pods"`
	}
	raw := w.env.Kubectl("get", "--raw", "/api/v1/nodes/"+pod.Spec.NodeName+"/proxy/stats/summary")
	if err := json.Unmarshal([]byte(raw), &summary); err != nil {
		w.t.Fatalf("read what kubelet of %s says of memory: %v", pod.Spec.NodeName, err)
	}
	for _, of := range summary.Pods {
		if of.PodRef.UID == pod.UID {
			return of.Memory
		}
	}
	return usage{}
}

// kubectl runs the kubectl of the cluster with all rights.
func (s *suite) kubectl(ctx context.Context, out io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, s.cluster.State().Kubectl, append([]string{"--kubeconfig", s.cluster.Kubeconfig()}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+s.cluster.Dir())
	var complaints strings.Builder
	cmd.Stdout, cmd.Stderr = out, &complaints
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, complaints.String())
	}
	return nil
}

// dumpTimeout bounds what a failure looks for.
const dumpTimeout = time.Minute

// dump shows the state of the cluster when the test has failed.
func (w *world) dump() {
	if !w.t.Failed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.t.Context()), dumpTimeout)
	defer cancel()
	for _, args := range [][]string{
		{"get", "nodes", "--output=wide"},
		{"get", "pods", "--all-namespaces", "--output=wide"},
		{"get", "leases,services,endpointslices,persistentvolumeclaims", "--namespace=" + home},
		{"describe", "pods", "--namespace=" + home},
		{"events", "--namespace=" + home},
		{"events", "--namespace=" + fluxHome},
		{"logs", "--namespace=" + home, "--selector=app.kubernetes.io/component=operator", "--prefix", "--tail=60"},
		{"logs", "--namespace=" + fluxHome, "deployment/source-controller", "--tail=40"},
		{"logs", "--namespace=" + fluxHome, "deployment/kustomize-controller", "--tail=40"},
	} {
		out := &strings.Builder{}
		if err := w.kubectl(ctx, out, args...); err != nil {
			out.WriteString(err.Error())
		}
		w.t.Logf("kubectl %s:\n%s", strings.Join(args, " "), out)
	}
}
