package endurance

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

const (
	// kills are made at least, and mostKills at most until the pipeline was met at wantMet different points.
	kills, mostKills, wantMet = 20, 40, 3
	// upgradeTakes is about what an upgrade takes.
	upgradeTakes = 1300 * time.Millisecond
)

// TestKilledAtRandomMoments kills the operator at twenty random moments of upgrades, some of them in the middle of content
// that takes a while. After each restart the upgrade goes on. All that time somebody pulls everything that the embedded
// registry has: nothing is ever half there. In the end no temporary file is left.
func TestKilledAtRandomMoments(t *testing.T) {
	w := newWorld(t, nil)
	d := newDice(t)
	a := w.audit(w.Namespace)
	heavy := w.in(clustertest.Namespace(t, w.Cluster.Config()))
	w.publishAll("1.0.0", 0)
	w.deliver("500ms", "10m")
	heavy.Apply(bulk, "${REPOSITORY}", w.source.url())
	w.arrived("1.0.0")
	heavy.Wait(v1alpha1.LocalizationKind, "bulk", settled)
	p := w.pullAlways(w.Namespace, heavy.Namespace)
	w.source.Inject(d.slow(100 * time.Millisecond))
	w.source.crawling.Store(true)

	reached, n := map[string]int{}, 0
	for n < kills || n < mostKills && len(reached) < wantMet {
		n++
		version := fmt.Sprintf("1.%d.0", n)
		w.publishAll(version, uint64(n))
		w.killWithin(d.upTo(upgradeTakes), version, heavy, reached)
		w.RestartOperator()
		w.Wait("ConfigMap", "podinfo", e2etest.Field(version, "data", "configuredVersion"))
		heavy.Wait(v1alpha1.LocalizationKind, "bulk", e2etest.Field(version, "status", "latestSourceVersion"))
	}
	w.source.Heal()
	w.source.crawling.Store(false)
	w.arrived(fmt.Sprintf("1.%d.0", n))
	if len(reached) < wantMet {
		t.Errorf("all kills met the pipeline at the same points, which tests little: %v", reached)
	}
	a.finish()
	p.finish(n + 1)
	w.clean()
}

// killWithin kills the operator some time after a version was published, and adds to what kills have met.
func (w *world) killWithin(moment time.Duration, version string, heavy *e2etest.Env, reached map[string]int) {
	w.t.Helper()
	e2etest.Pause(w.t.Context(), moment)
	w.KillOperator()
	staged := len(w.temporary())
	got := w.reached(version, w.Namespace, heavy.Namespace)
	w.t.Logf("killed %4d ms after %s was published: %d temporary files, snapshots of %s", moment.Milliseconds(), version, staged, got)
	reached[fmt.Sprint(got)]++
	if staged > 0 {
		reached["in the middle of content"]++
	}
}

// publishAll publishes a version of both components.
func (w *world) publishAll(version string, seed uint64) {
	w.t.Helper()
	w.publish(version)
	content := make([]byte, 8<<20)
	random := rand.NewChaCha8([32]byte{byte(seed)})
	_, _ = random.Read(content) // it returns no error
	directory, err := ocmtest.Tar(
		ocmtest.File{Name: "bulk.bin", Content: content},
		ocmtest.File{Name: "bulk.yaml", Content: []byte(strings.ReplaceAll(bulkManifest, "${VERSION}", version))},
	)
	if err != nil {
		w.t.Fatal(err)
	}
	component := ocmtest.Component{Name: "phoban.io/bulk", Version: version, Resources: []ocmtest.Resource{
		{Name: "manifests", Type: "Directory", MediaType: "application/x-tar", Content: directory},
		{Name: "config", Type: "PlainText", MediaType: "application/x-yaml", Content: []byte(bulkConfig)},
		{Name: "image", Image: imageRegistry + "/bulk:" + version},
	}}
	if _, err := component.Publish(w.t.Context(), w.source.url(), ocm.Options{UserAgent: "endurance"}); err != nil {
		w.t.Fatal(err)
	}
}

// reached returns the owners whose Snapshots are of a version.
func (w *world) reached(version string, namespaces ...string) []string {
	w.t.Helper()
	owners := map[string]bool{}
	for _, namespace := range namespaces {
		for _, obj := range w.objectsIn(namespace, v1alpha1.SnapshotKind) {
			if tag, _, _ := unstructured.NestedString(obj.Object, "spec", "tag"); tag == version {
				owners[obj.GetOwnerReferences()[0].Kind+" "+obj.GetOwnerReferences()[0].Name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(owners))
}

// bulkManifest tells its version as the objects of the sample component do.
const bulkManifest = `apiVersion: v1
kind: ConfigMap
metadata:
  name: bulk
data:
  version: "${VERSION}"
  image: placeholder
`

const bulkConfig = `apiVersion: config.ocm.software/v1alpha1
kind: ConfigData
metadata:
  name: bulk
localization:
- resource:
    name: image
  file: bulk.yaml
  image: data.image
`

// bulk is a chain with content that takes a while.
const bulk = `
apiVersion: delivery.ocm.software/v1alpha1
kind: ComponentVersion
metadata:
  name: bulk
spec:
  interval: 500ms
  component: phoban.io/bulk
  repository:
    url: ${REPOSITORY}
  version:
    semver: ">=1.0.0"
---
apiVersion: delivery.ocm.software/v1alpha1
kind: Resource
metadata:
  name: bulk
spec:
  interval: 10m
  sourceRef:
    kind: ComponentVersion
    name: bulk
    resourceRef:
      name: manifests
---
apiVersion: delivery.ocm.software/v1alpha1
kind: Localization
metadata:
  name: bulk
spec:
  interval: 10m
  sourceRef:
    kind: Resource
    name: bulk
  configRef:
    kind: ComponentVersion
    name: bulk
    resourceRef:
      name: config
`
