package replication

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
)

func TestMain(m *testing.M) { clustertest.Main(m, cluster.Options{}) }

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
	return &world{t: t, Env: e2etest.Alone(t, e2etest.AloneOptions{Args: flags, Cleared: kinds})}
}

// forTest returns a world with the same operator, in a namespace of its own.
func (w *world) forTest(t *testing.T) *world {
	t.Helper()
	return &world{t: t, Env: w.In(t, clustertest.Namespace(t, w.Cluster.Config()), kinds...)}
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
