package endurance

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// seedVariable is the environment variable that says which delays are drawn. Without it the clock decides.
const seedVariable = "ENDURANCE_SEED"

// TestHundredUpgradesNeverMix publishes a hundred versions, most of which are overtaken somewhere on their way by the next,
// through two chains of different shape. Each file of a version, its configuration and its image tell the version: nothing
// that is ever called a version has anything of another one.
func TestHundredUpgradesNeverMix(t *testing.T) {
	const (
		versions = 100
		// waitEvery says how often a version is waited for; the others go as far as they come.
		waitEvery   = 10
		pauseUpTo   = 300 * time.Millisecond
		answerAfter = 150 * time.Millisecond
	)
	w := newWorld(t, nil)
	d := newDice(t)
	other := w.in(clustertest.Namespace(t, w.Cluster.Config()))
	a := w.audit(w.Namespace, other.Namespace)
	w.source.Inject(d.slow(answerAfter))
	w.deliver("500ms", "10m")
	w.Apply(direct, "${TARGET}", other.Namespace)

	last := ""
	for i := range versions {
		last = fmt.Sprintf("1.%d.%d", i/10, i%10)
		w.publish(last)
		if (i+1)%waitEvery == 0 {
			w.Wait("ConfigMap", "podinfo", e2etest.Field(last, "data", "configuredVersion"))
			continue
		}
		e2etest.Pause(t.Context(), d.upTo(pauseUpTo))
	}
	w.arrived(last)
	other.Wait("ConfigMap", "podinfo", e2etest.Field(last, "data", "version"))
	other.Wait("Deployment", "podinfo", e2etest.Field(last, "metadata", "annotations", versionAnnotation))
	for _, kind := range []string{v1alpha1.LocalizationKind, v1alpha1.FluxDeployerKind} {
		w.Wait(kind, "direct", settled)
	}
	for what, n := range a.finish() {
		if what == "ConfigMap in "+w.Namespace && n < versions/waitEvery {
			t.Errorf("only %d versions were seen of %s", n, what)
		}
	}
}

// direct is a chain without a Resource: its Localization takes the content from the component version.
const direct = `
apiVersion: delivery.ocm.software/v1alpha1
kind: Localization
metadata:
  name: direct
spec:
  interval: 10m
  sourceRef:
    kind: ComponentVersion
    name: podinfo
    resourceRef:
      name: manifests
  configRef:
    kind: ComponentVersion
    name: podinfo
    resourceRef:
      name: config
---
apiVersion: delivery.ocm.software/v1alpha1
kind: FluxDeployer
metadata:
  name: direct
spec:
  interval: 10m
  sourceRef:
    kind: Localization
    name: direct
  kustomizationTemplate:
    path: ./
    prune: true
    targetNamespace: ${TARGET}
`

// in returns the environment of the test in another namespace.
func (w *world) in(namespace string) *e2etest.Env {
	w.t.Helper()
	return w.In(w.t, namespace, slices.Concat(written, made)...)
}

// dice are the random delays of a test.
type dice struct {
	mu     sync.Mutex
	random *rand.Rand
}

func newDice(t *testing.T) *dice {
	t.Helper()
	start := uint64(time.Now().UnixNano())
	if given := os.Getenv(seedVariable); given != "" {
		var err error
		if start, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatalf("%s: %v", seedVariable, err)
		}
	}
	t.Logf("%s=%d draws the same delays", seedVariable, start)
	return &dice{random: rand.New(rand.NewPCG(start, start))}
}

func (d *dice) upTo(most time.Duration) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Duration(d.random.Int64N(int64(most)))
}

// slow lets the operator wait for the registry of components, each time for another while, and half of the time not at all.
func (d *dice) slow(most time.Duration) ocmtest.Fault {
	return func(_ http.ResponseWriter, request *http.Request) bool {
		if wait := d.upTo(2 * most); fromOperator(request) && wait < most {
			e2etest.Pause(request.Context(), wait)
		}
		return false
	}
}

func fromOperator(request *http.Request) bool {
	return strings.HasPrefix(request.UserAgent(), "ocm-operator")
}
