package replication

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/e2e/operator"
)

func TestMain(m *testing.M) { clustertest.Main(m, cluster.Options{}) }

const (
	// startTimeout bounds the start of the operator, with the build of its program.
	startTimeout = 3 * time.Minute
	clearTimeout = 30 * time.Second
	maxLogLines  = 120
)

// kinds are those that the tests make objects of.
var kinds = []string{v1alpha1.ComponentSubscriptionKind, v1alpha1.ComponentVersionKind}

// flags let what has failed be tried again before a test loses its patience.
var flags = []string{"--max-retry-delay=2s"}

// world is an operator, in the cluster that the tests share.
type world struct {
	*e2etest.Env
	t *testing.T
}

// newWorld starts an operator for one test, which is not parallel to others that do.
func newWorld(t *testing.T) *world {
	t.Helper()
	c := clustertest.Shared(t)
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	if err := operator.Install(ctx, c.Config()); err != nil {
		t.Fatalf("install the operator: %v", err)
	}
	binary, err := program(filepath.Join(c.Dir(), "operators"))
	if err != nil {
		t.Fatal(err)
	}
	op, err := operator.Start(ctx, operator.Options{Binary: binary, Kubeconfig: c.Kubeconfig(), Dir: filepath.Join(c.Dir(), "operators", t.Name()), Args: flags})
	if err != nil {
		t.Fatalf("start the operator: %v", err)
	}
	t.Cleanup(func() {
		if err := op.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("stop the operator: %v", err)
		}
	})
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	kubernetes, err := client.NewWithWatch(c.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatalf("create client: %v", err)
	}
	w := &world{t: t, Env: (&e2etest.Env{Cluster: c, Operator: op, Client: kubernetes}).ForTest(t)}
	return w.forTest(t)
}

// program builds the operator once.
var program = func() func(dir string) (string, error) {
	var once sync.Once
	var path string
	var err error
	return func(dir string) (string, error) {
		once.Do(func() {
			if err = os.MkdirAll(dir, 0o700); err == nil {
				path, err = operator.Build(context.Background(), dir)
			}
		})
		return path, err
	}
}()

// forTest returns a world with the same operator, in a namespace of its own.
func (w *world) forTest(t *testing.T) *world {
	t.Helper()
	sub := &world{t: t, Env: w.ForTest(t)}
	sub.Namespace = clustertest.Namespace(t, w.Cluster.Config())
	t.Cleanup(sub.clear)
	t.Cleanup(sub.dump)
	return sub
}

// clear takes the objects of the test away, because the operator would see to them for ever.
func (w *world) clear() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.t.Context()), clearTimeout)
	defer cancel()
	for _, kind := range kinds {
		obj := &unstructured.Unstructured{}
		obj.SetGroupVersionKind(e2etest.GVK(kind))
		if err := w.Client.DeleteAllOf(ctx, obj, client.InNamespace(w.Namespace)); err != nil {
			w.t.Errorf("delete what is left of kind %s: %v", kind, err)
		}
	}
}

// dump shows what is worth reading when the test has failed.
func (w *world) dump() {
	if !w.t.Failed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.t.Context()), clearTimeout)
	defer cancel()
	for _, kind := range kinds {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(e2etest.GVK(kind))
		if err := w.Client.List(ctx, list, client.InNamespace(w.Namespace)); err != nil {
			w.t.Logf("list %s: %v", kind, err)
		}
		for _, obj := range list.Items {
			w.t.Logf("%s %s generation %d: spec %v status %v", kind, obj.GetName(), obj.GetGeneration(), obj.Object["spec"], obj.Object["status"])
		}
	}
	log, err := os.ReadFile(w.Operator.LogFile())
	if err != nil {
		w.t.Logf("read the operator's log: %v", err)
		return
	}
	var lines []string
	for line := range strings.SplitAfterSeq(string(log), "\n") {
		if strings.Contains(line, w.Namespace) || !strings.Contains(line, `"namespace"`) {
			lines = append(lines, line)
		}
	}
	w.t.Logf("the end of %s:\n%s", w.Operator.LogFile(), strings.Join(lines[max(0, len(lines)-maxLogLines):], ""))
}

// subscription is a ComponentSubscription to be.
type subscription struct {
	name, component  string
	from, to         string // addresses of repositories
	fromKey, toKey   string // names of Secrets with credentials; none when empty
	verify           string // what is wanted of signatures, as YAML; nothing when empty
	interval, policy string // 1s and Deny when empty
}

// subscribe applies a ComponentSubscription.
func (w *world) subscribe(s subscription) {
	w.t.Helper()
	text := &strings.Builder{}
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(text, format+"\n", args...) }
	line("apiVersion: delivery.ocm.software/v1alpha1\nkind: ComponentSubscription\nmetadata: {name: %s}\nspec:", s.name)
	line("  interval: %s\n  component: %s\n  semver: \">=1.0.0\"", or(s.interval, "1s"), s.component)
	line("  overwritePolicy: %s", or(s.policy, v1alpha1.OverwriteDeny))
	side := func(field, url, key string) {
		line("  %s:\n    url: %s", field, url)
		if key != "" {
			line("    secretRef: {name: %s}", key)
		}
	}
	side("source", s.from, s.fromKey)
	side("destination", s.to, s.toKey)
	if s.verify != "" {
		line("  verify: %s", s.verify)
	}
	w.Apply(text.String())
}

// byValue is how a subscription has the key of the signer in itself.
func byValue(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("[{name: %s, publicKey: {value: %s}}]", signature, publicKey(t))
}

// secret applies a Secret.
func (w *world) secret(name string, values ...string) {
	w.t.Helper()
	text := &strings.Builder{}
	_, _ = fmt.Fprintf(text, "apiVersion: v1\nkind: Secret\nmetadata: {name: %s}\nstringData:\n", name)
	for i := 0; i < len(values); i += 2 {
		_, _ = fmt.Fprintf(text, "  %s: %q\n", values[i], values[i+1])
	}
	w.Apply(text.String())
}

// replicated waits until a subscription has replicated a version, and returns it.
func (w *world) replicated(name, version string, checks ...e2etest.Check) *unstructured.Unstructured {
	w.t.Helper()
	return w.Wait(v1alpha1.ComponentSubscriptionKind, name, append([]e2etest.Check{
		e2etest.Ready, e2etest.Field(version, "status", "replicatedVersion"), e2etest.Field(version, "status", "lastAppliedVersion"),
	}, checks...)...)
}

// fails waits until a subscription is not ready for a reason, with a message that has each of the parts.
func (w *world) fails(name, reason string, parts ...string) *unstructured.Unstructured {
	w.t.Helper()
	return w.Wait(v1alpha1.ComponentSubscriptionKind, name, e2etest.NotReady(reason, parts...))
}

func or(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}
