package chart_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
)

// TestInstall installs the chart as it is, with no values, on a cluster that has Flux and nothing else, in a namespace with the
// strictest rules for pods, and delivers a signed component with it.
func TestInstall(t *testing.T) {
	w := enter(t)
	version := w.publish()

	begun := time.Now()
	w.run("install", release, w.path())
	t.Logf("measured: helm install returned after %s", since(begun))
	d := w.deliver("shop", 30080)
	d.answers(version)
	t.Logf("measured: from helm install to the first answer of a delivered pod: %s (goal: less than 60 s)", since(begun))
	d.ready(version)
	t.Logf("measured: until every object is ready: %s", since(begun))

	w.idle(&w.operates(1)[0], "with one pipeline that is ready")
	t.Run("Flux pulls over TLS with its credentials", func(t *testing.T) { pulls(t, w, d) })
	t.Run("verified", func(t *testing.T) { verified(t, d) })
	t.Run("helm test", func(t *testing.T) {
		out, err := w.helm.run(t.Context(), home, "test", release, "--logs", "--timeout="+helmTimeout)
		if err != nil {
			t.Fatal(err)
		}
		t.Log(out)
	})
	t.Run("restricted", func(t *testing.T) { restricted(t, w) })
	t.Run("network policy", func(t *testing.T) { policies(t, w, d) })
}

func since(begun time.Time) time.Duration { return time.Since(begun).Round(100 * time.Millisecond) }

// idleMemory is what an operator that has nothing to do stays below.
const idleMemory = 100 * mebi

const mebi = 1 << 20

// idle waits until a pod of the operator, which has nothing to do from now on, takes no more than it may, and says how much that is. Kubelets
// measure it every ten seconds or so: what they know at first is of the work, or of a program that has only just begun. What the work has
// taken is not given back at once, so two measurements in a row have to be low.
func (w *world) idle(pod *corev1.Pod, when string) {
	w.t.Helper()
	last, low := usage{Time: time.Now()}, 0
	w.env.Within(longest, "the operator is idle and takes little memory", func() error {
		now := w.memory(pod)
		if now.WorkingSetBytes > 0 && now.Time.After(last.Time) {
			last = now
			low++
			if now.WorkingSetBytes >= idleMemory {
				low = 0
			}
		}
		if low < 2 {
			return fmt.Errorf("of pod %s, %d measurements in a row are below %d MiB, want 2; the last one is %s", pod.Name, low, idleMemory/mebi, last)
		}
		return nil
	})
	w.t.Logf("measured: working set of pod %s %s: %s (limit when idle: %d MiB)", pod.Name, when, last, idleMemory/mebi)
}

// pulls looks at how Flux pulls, and does the same without credentials.
func pulls(t *testing.T, w *world, d *delivery) {
	source := d.ForTest(t).Get("OCIRepository", "web")
	for _, reference := range []string{"secretRef", "certSecretRef"} {
		name, _, err := unstructured.NestedString(source.Object, "spec", reference, "name")
		if err != nil || name == "" {
			t.Errorf("the OCIRepository has no %s: %v", reference, err)
		}
	}
	if insecure, _, err := unstructured.NestedBool(source.Object, "spec", "insecure"); err != nil || insecure {
		t.Errorf("the OCIRepository is insecure: %v", err)
	}
	if err := e2etest.Ready(source); err != nil {
		t.Errorf("the OCIRepository: %v", err)
	}

	puller := d.ForTest(t).Puller("web")
	if want := release + "." + home + ".svc.cluster.local:5000"; puller.Host != want {
		t.Errorf("Flux pulls from %s, want %s", puller.Host, want)
	}
	puller.Through(net.JoinHostPort(w.operates(1)[0].Status.PodIP, "5000"))
	if files := puller.Files(); !strings.Contains(files["deployment.yaml"], d.message) {
		t.Errorf("the credentials of Flux lead to %v", files)
	}
	puller.Username = ""
	if status, _ := puller.Request(t.Context(), http.MethodGet, "/v2/"+puller.Repository+"/manifests/"+puller.Manifest); status != http.StatusUnauthorized {
		t.Errorf("without credentials the registry answers %d, want 401", status)
	}
}

// verified wants the component to be what its signature says.
func verified(t *testing.T, d *delivery) {
	version := d.ForTest(t).Get("ComponentVersion", "web")
	if is, _, err := unstructured.NestedBool(version.Object, "status", "verified"); err != nil || !is {
		t.Errorf("status.verified is %v: %v", is, err)
	}
	pods := d.Kubectl("get", "pods", "--selector=app=web", "--output=jsonpath={.items[*].spec.containers[*].image}")
	if !strings.Contains(pods, "/web:") || !strings.Contains(pods, "@sha256:") {
		t.Errorf("pods run %q, want the image pinned by the digest that was signed", pods)
	}
}

// restricted wants the namespace of the operator to refuse what is not restricted: that the operator runs there is the proof.
func restricted(t *testing.T, w *world) {
	err := w.env.ForTest(t).ApplyError(`
apiVersion: v1
kind: Pod
metadata: {name: free}
spec: {containers: [{name: free, image: ` + operatorImage(w.chart.AppVersion) + `}]}
`)
	if err == nil || !strings.Contains(err.Error(), "restricted") {
		t.Errorf("a pod that is not restricted: got %v, want a refusal", err)
	}
	out := w.env.ForTest(t).Kubectl("get", "pods", "--selector=app.kubernetes.io/component=operator",
		"--output=jsonpath={range .items[*]}{.spec.containers[*].securityContext}{end}")
	for _, want := range []string{`"readOnlyRootFilesystem":true`, `"drop":["ALL"]`, `"allowPrivilegeEscalation":false`} {
		if !strings.Contains(out, want) {
			t.Errorf("security context of the operator is %s, which lacks %s", out, want)
		}
	}
}

// policies wants the API server to accept the NetworkPolicies of the chart, and everything to go on. The network of these nodes
// enforces none, so what they let through is not seen here.
func policies(t *testing.T, w *world, d *delivery) {
	w.ensure("--set=networkPolicy.enabled=true", "--set=podDisruptionBudget.enabled=true")
	out := w.env.ForTest(t).Kubectl("get", "networkpolicies,poddisruptionbudgets", "--output=name")
	for _, want := range []string{"networkpolicy", "poddisruptionbudget"} {
		if !strings.Contains(out, want) {
			t.Errorf("there is no %s: %q", want, out)
		}
	}
	d.next()
	w.ensure()
}
