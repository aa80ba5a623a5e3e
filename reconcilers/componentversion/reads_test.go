package componentversion_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/componentversion"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// gauge is a registry that is slow to answer, and knows how many requests it had at once.
type gauge struct {
	*ocmtest.Registry
	// delay is how long the answer to a request takes.
	delay func(*http.Request) time.Duration

	now, most atomic.Int64
}

func (g *gauge) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	now := g.now.Add(1)
	defer g.now.Add(-1)
	for most := g.most.Load(); now > most && !g.most.CompareAndSwap(most, now); most = g.most.Load() {
	}
	if g.delay != nil {
		timer := time.NewTimer(g.delay(request))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-request.Context().Done():
		}
	}
	g.Registry.ServeHTTP(w, request)
}

// forest is a registry of components that refer to each other, and its address.
type forest struct {
	*gauge
	url string
}

func newForest(tb testing.TB) *forest {
	tb.Helper()
	g := &gauge{Registry: ocmtest.NewRegistry()}
	server := httptest.NewServer(g)
	tb.Cleanup(server.Close)
	return &forest{gauge: g, url: server.URL + "/ocm"}
}

func (f *forest) publish(tb testing.TB, name string, references ...string) {
	tb.Helper()
	component := ocmtest.Component{Name: name, Version: "1.0.0", Resources: []ocmtest.Resource{{Name: "data", Content: []byte(name)}}}
	for i, target := range references {
		component.References = append(component.References, ocmtest.Reference{Name: fmt.Sprintf("r%d", i), Component: target, Version: "1.0.0"})
	}
	if _, err := component.Publish(tb.Context(), f.url, ocm.Options{}); err != nil {
		tb.Fatal(err)
	}
}

// grow publishes layers of components, each of which refers to some of the next layer, and returns how many there are with
// the root. Many are referred to more than once.
func (f *forest) grow(tb testing.TB, layers, width, fan int) int {
	tb.Helper()
	random := rand.New(rand.NewPCG(1, 2)) // a graph, the same every time
	name := func(layer, i int) string { return fmt.Sprintf("acme.org/l%d/c%d", layer, i) }
	reached := make([]map[int][]string, layers)
	next := []int{}
	var top []string
	for i := range width {
		top, next = append(top, name(0, i)), append(next, i)
	}
	total := 1
	for layer := range layers {
		reached[layer] = map[int][]string{}
		var below []int
		for _, i := range next {
			if _, seen := reached[layer][i]; seen {
				continue
			}
			reached[layer][i] = nil
			for range fan {
				if layer+1 < layers {
					target := random.IntN(width)
					reached[layer][i] = append(reached[layer][i], name(layer+1, target))
					below = append(below, target)
				}
			}
		}
		total += len(reached[layer])
		next = below
	}
	for layer := layers - 1; layer >= 0; layer-- {
		for i, references := range reached[layer] {
			f.publish(tb, name(layer, i), references...)
		}
	}
	f.publish(tb, app, top...)
	f.ResetRequests()
	f.most.Store(0)
	return total
}

// reads reconciles a ComponentVersion of the forest with bounds on what is read at once.
func (f *forest) reads(tb testing.TB, perObject, all int) *v1alpha1.ComponentVersion {
	tb.Helper()
	w := reconcilertest.New(tb)
	repositories, err := access.New(access.Options{Live: w.Client, Transport: &http.Transport{MaxIdleConnsPerHost: 16}})
	if err != nil {
		tb.Fatal(err)
	}
	c := w.Install(componentversion.Plugin(componentversion.Options{
		Lifecycle: w.Lifecycle, Repositories: repositories, Transfers: w.Transfers(), ReadsPerObject: perObject, Reads: all,
	}))
	cv := reconcilertest.ComponentVersion("app", f.url, app, "1.0.0")
	w.Create(cv)
	if _, err := c.Try(tb.Context(), cv); err != nil {
		tb.Fatal(err)
	}
	return cv
}

// TestWideAndDeepTree reads a tree with many ways to the same component, one at a time and several at once.
func TestWideAndDeepTree(t *testing.T) {
	t.Parallel()
	f := newForest(t)
	total := f.grow(t, 6, 8, 2)
	sequential := f.reads(t, 1, 1)
	wantReady(t, sequential, "1.0.0")
	one, most := f.Requests(), f.most.Load()
	if most != 1 {
		t.Errorf("%d requests at once, want one", most)
	}
	f.ResetRequests()
	f.delay = func(*http.Request) time.Duration { return time.Millisecond }
	parallel := f.reads(t, 4, 32)
	wantReady(t, parallel, "1.0.0")
	if diff := cmp.Diff(sequential.Status.ComponentDescriptor, parallel.Status.ComponentDescriptor); diff != "" {
		t.Errorf("the tree depends on what is read first (-sequential +parallel):\n%s", diff)
	}
	if diff := cmp.Diff(one, f.Requests()); diff != "" {
		t.Errorf("requests (-sequential +parallel):\n%s", diff)
	}
	if got := f.Requests(); got["HEAD manifests"] != 0 || got["GET manifests"] != total || got["GET blobs"] != 2*total {
		t.Errorf("requests are %v, want each of the %d versions read once, by its tag", got, total)
	}
	if most := f.most.Load(); most < 2 || most > 4 {
		t.Errorf("%d requests at once, want several and at most 4", most)
	}
}

// TestReadsAreBoundedForAllObjects reconciles two objects at once, which share a bound.
func TestReadsAreBoundedForAllObjects(t *testing.T) {
	t.Parallel()
	f := newForest(t)
	f.grow(t, 2, 10, 2)
	f.delay = func(r *http.Request) time.Duration { return time.Millisecond }
	w := reconcilertest.New(t)
	c := w.Install(componentversion.Plugin(componentversion.Options{Lifecycle: w.Lifecycle, Repositories: w.Repositories, Transfers: w.Transfers(), ReadsPerObject: 8, Reads: 3}))
	objects := []*v1alpha1.ComponentVersion{
		reconcilertest.ComponentVersion("one", f.url, app, "1.0.0"), reconcilertest.ComponentVersion("two", f.url, app, ">=1.0.0"),
	}
	objects[1].Namespace = "team-two" // in one namespace they would share ComponentDescriptors, and who is late would begin again
	w.Create(objects[0], objects[1])
	var group sync.WaitGroup
	for _, cv := range objects {
		group.Go(func() {
			if _, err := c.Try(t.Context(), cv); err != nil {
				t.Errorf("reconcile %s: %v", client.ObjectKeyFromObject(cv), err)
			}
		})
	}
	group.Wait()
	for _, cv := range objects {
		wantReady(t, cv, "1.0.0")
	}
	// The version of an object is resolved outside of its tree.
	if most := f.most.Load(); most > 5 {
		t.Errorf("%d requests at once, want at most 3 for references and one for each object", most)
	}
}

// TestFirstErrorIsTheFirstInOrder has two mistakes in a tree, of which the later one in order is found long before.
func TestFirstErrorIsTheFirstInOrder(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]string{"first is slow": "acme.org/slow", "second is slow": "acme.org/other"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newForest(t)
			f.publish(t, "acme.org/slow", "acme.org/lost")
			f.publish(t, app, "acme.org/slow", "acme.org/other") // neither lost nor other exist
			f.delay = func(r *http.Request) time.Duration {
				if strings.Contains(r.URL.Path, late) {
					return 30 * time.Millisecond
				}
				return 0
			}
			cv := f.reads(t, 8, 8)
			wantNotReady(t, cv, v1alpha1.ParseReferencesFailedReason, "acme.org/app 1.0.0 -> acme.org/slow 1.0.0 -> acme.org/lost 1.0.0")
		})
	}
}

// TestErrorEndsTheReading has a tree whose first reference is broken: what would be read after it is not.
func TestErrorEndsTheReading(t *testing.T) {
	t.Parallel()
	f := newForest(t)
	references := []string{"acme.org/lost"}
	for i := range 300 {
		references = append(references, fmt.Sprintf("acme.org/n%d", i)) // never asked for in vain: they don't exist either
	}
	f.publish(t, app, references...)
	f.ResetRequests()
	f.delay = func(r *http.Request) time.Duration {
		if strings.Contains(r.URL.Path, "/acme.org/n") {
			return 20 * time.Millisecond
		}
		return 0
	}
	cv := f.reads(t, 2, 2)
	wantNotReady(t, cv, v1alpha1.ParseReferencesFailedReason, "acme.org/lost 1.0.0")
	if got := f.Requests()["GET manifests"]; got > 20 {
		t.Errorf("%d tags were read, want the reading to end with the error", got)
	}
}

// BenchmarkTree reads a tree from a registry that is 5 ms away, one component version at a time and several.
func BenchmarkTree(b *testing.B) {
	f := newForest(b)
	f.grow(b, 4, 10, 3)
	f.delay = func(*http.Request) time.Duration { return 5 * time.Millisecond }
	for _, reads := range []int{1, 8} {
		b.Run(fmt.Sprintf("%d at once", reads), func(b *testing.B) {
			for b.Loop() {
				f.reads(b, reads, 32)
			}
		})
	}
}
