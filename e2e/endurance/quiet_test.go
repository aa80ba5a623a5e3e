package endurance

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/operator"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// Requests by which the registry of components is asked whether there is something new. They cost it next to nothing.
const (
	listing  = http.MethodGet + " " + ocmtest.ClassTags
	headings = http.MethodHead + " " + ocmtest.ClassManifests
)

// TestUnchangedPipelineIsQuiet looks at a pipeline that has nothing to do for ten intervals. It asks for new versions, and
// does nothing else: no content is read or written, and no object.
func TestUnchangedPipelineIsQuiet(t *testing.T) {
	w := newWorld(t, nil)
	w.publish("1.0.0")
	w.deliver("2s", "2s")
	w.arrived("1.0.0")
	w.settles()

	const intervals = 10
	q := w.quiet()
	before := w.metrics()
	if len(grown(nil, before, isRegistry)) == 0 {
		t.Error("the embedded registry has counted no request, although Flux has pulled from it")
	}
	if !slices.ContainsFunc(w.objects("Event"), func(obj unstructured.Unstructured) bool { return reported(&obj) }) {
		t.Error("the operator has reported no event, although it has delivered something")
	}
	w.passes(intervals, before)
	after := w.metrics()
	q.check(before, after)
	for _, kind := range written {
		t.Logf("%s was reconciled %.0f times", kind, reconciled(after, kind)-reconciled(before, kind))
	}
}

// settles waits until two intervals have passed without a write.
func (w *world) settles() {
	w.t.Helper()
	w.Eventually("the operator has nothing to write", func() error {
		before, x := w.metrics(), w.witness(slices.Concat(written, made)...)
		w.passes(2, before)
		if wrote := grown(before, w.metrics(), isWrite); len(wrote) > 0 {
			return fmt.Errorf("it has written: %v; changed are %v", wrote, x.stop())
		}
		return nil
	})
}

// passes waits until a number of intervals have passed: every kind was reconciled that often, and the registry of
// components asked.
func (w *world) passes(intervals int, before metrics) {
	w.t.Helper()
	listings := w.source.Requests()[listing]
	w.reconciles(intervals, before)
	w.Eventually(fmt.Sprintf("versions are listed %d times", intervals), func() error {
		if seen := w.source.Requests()[listing] - listings; seen < intervals {
			return fmt.Errorf("versions were listed %d times", seen)
		}
		return nil
	})
}

// reconciles waits until every kind was reconciled a number of times.
func (w *world) reconciles(times int, before metrics) {
	w.t.Helper()
	w.Eventually(fmt.Sprintf("every kind is reconciled %d times", times), func() error {
		now := w.metrics()
		for _, kind := range written {
			if seen := reconciled(now, kind) - reconciled(before, kind); seen < float64(times) {
				return fmt.Errorf("%s was reconciled %.0f times", kind, seen)
			}
		}
		return nil
	})
}

// quiet is what must stay as it is in a pipeline that has nothing to do.
type quiet struct {
	w        *world
	witness  *witness
	requests map[string]int
	stored   map[string]string
	// onlyContent leaves out the index of the embedded registry.
	onlyContent bool
}

func (w *world) quiet() *quiet {
	w.t.Helper()
	kinds := slices.Concat(written, made, flux, []string{"Secret", "Event"})
	return &quiet{w: w, witness: w.witness(kinds...), requests: w.source.Requests(), stored: w.stored()}
}

// check fails the test for everything that has changed, and returns the changes of objects, those of Flux among them.
func (q *quiet) check(before, after metrics) []change {
	t := q.w.t
	t.Helper()
	changes := q.witness.stop()
	for _, c := range changes {
		if q.loud(c) {
			t.Errorf("written without a reason: %s", c)
		}
	}
	if wrote := grown(before, after, isWrite); len(wrote) > 0 {
		t.Errorf("the API server was asked to write: %v", wrote)
	}
	if pushed := grown(before, after, isPush); len(pushed) > 0 {
		t.Errorf("content was pushed: %v", pushed)
	}
	stored := q.w.stored()
	if q.onlyContent {
		for _, files := range []map[string]string{q.stored, stored} {
			maps.DeleteFunc(files, func(path, _ string) bool { return !strings.HasPrefix(path, "/blobs/") })
		}
	}
	if diff := cmp.Diff(q.stored, stored); diff != "" || len(stored) == 0 {
		t.Errorf("content on the disk has changed (-before +after):\n%s", diff)
	}
	requests := map[string]int{}
	for request, n := range q.w.source.Requests() {
		if n -= q.requests[request]; n > 0 {
			requests[request] = n
		}
	}
	t.Logf("requests to the registry of components: %v; changes of objects by Flux: %d", requests, len(changes))
	for _, request := range slices.Sorted(maps.Keys(requests)) {
		if request != listing && request != headings {
			t.Errorf("%d requests %s to the registry of components without a reason", requests[request], request)
		}
	}
	return changes
}

// loud tells whether a change is one of ours. What Flux says about its own work is its matter, and so are its events.
func (q *quiet) loud(c change) bool {
	kind := c.object.GetKind()
	switch {
	case kind == "Event":
		return reported(c.object)
	case slices.Contains(flux, kind):
		before, ok := q.witness.before[key(c.object)]
		return !ok || before.GetGeneration() != c.object.GetGeneration()
	}
	return true
}

// reported tells whether an Event is the operator's.
func reported(event *unstructured.Unstructured) bool {
	component, _, _ := unstructured.NestedString(event.Object, "source", "component")
	reporting, _, _ := unstructured.NestedString(event.Object, "reportingComponent")
	return component == v1alpha1.ControllerName || reporting == v1alpha1.ControllerName
}

// stored returns the files of the embedded registry with what would tell that one was written.
func (w *world) stored() map[string]string {
	w.t.Helper()
	files := map[string]string{}
	dir := w.Operator.RegistryDir()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err == nil {
			files[strings.TrimPrefix(path, dir)] = fmt.Sprintf("%d bytes, written %s", info.Size(), info.ModTime())
		}
		return err
	})
	if err != nil {
		w.t.Fatalf("read the folder of the embedded registry: %v", err)
	}
	return files
}

// metrics are the operator's metrics.
type metrics = operator.Metrics

func (w *world) metrics() metrics {
	w.t.Helper()
	found, err := w.Operator.Metrics(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	if !slices.ContainsFunc(slices.Collect(maps.Keys(found)), isRequest) {
		w.t.Fatal("the operator has no metric of its requests to the API server")
	}
	return found
}

// grown returns the metrics that have grown, and by how much.
func grown(before, after metrics, which func(series string) bool) map[string]float64 {
	found := map[string]float64{}
	for series, value := range after {
		if which(series) && value > before[series] {
			found[series] = value - before[series]
		}
	}
	return found
}

func isRequest(series string) bool { return strings.HasPrefix(series, "rest_client_requests_total{") }

func isWrite(series string) bool {
	return isRequest(series) && !strings.Contains(series, `method="GET"`)
}

func isRegistry(series string) bool { return strings.HasPrefix(series, "ocm_registry_requests_total{") }

func isPush(series string) bool {
	return isRegistry(series) && !strings.Contains(series, `method="GET"`) && !strings.Contains(series, `method="HEAD"`)
}

func reconciled(m metrics, kind string) float64 {
	return m.Sum("controller_runtime_reconcile_total", `controller="`+strings.ToLower(kind)+`"`)
}
