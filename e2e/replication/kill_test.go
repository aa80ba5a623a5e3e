package replication

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
)

const (
	// kills are made at least, and mostKills at most until replications were met at wantMet different points.
	kills, mostKills, wantMet = 20, 40, 3
	// killedPace is how many bytes of a blob pass a gate in a second, so that a replication takes long enough to be killed in.
	killedPace = 1 << 20
	killedSize = 128 << 10
)

// TestKilledAtRandomMoments kills the operator at twenty random moments of replications, in both directions at once. After each restart
// they go on, to be killed again: what the destination has taken in is not sent again. All that time somebody looks at every tag of both destinations:
// none leads to something that is not there. In the end everything is proven where it was copied to.
func TestKilledAtRandomMoments(t *testing.T) {
	w := newWorld(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("the seed is %d", seed)
	random := rand.New(rand.NewPCG(seed, seed))
	ways := bothWays(t)
	window := w.replicateFirst(ways)

	met := map[string]int{}
	// A machine that is slow in other ways than usual may need some more to meet replications at different points.
	for i := 0; i < kills || i < mostKills && len(met) < wantMet; i++ {
		for _, way := range ways {
			if way.where(t) == done { // else it is killed once more while it goes on
				way.publish(t, len(way.published))
			}
		}
		moment := time.Duration(random.Int64N(int64(window * 2 / 3)))
		e2etest.Pause(t.Context(), moment)
		w.kill(ways)
		var places []string
		for _, way := range ways {
			where := way.where(t)
			met[where]++
			places = append(places, fmt.Sprintf("%s %s %s", way.name, way.component.version, where))
		}
		t.Logf("kill %2d after %4d ms: %s", i+1, moment.Milliseconds(), strings.Join(places, ", "))
		w.RestartOperator()
	}
	for _, way := range ways {
		w.replicated(way.subscription, way.component.version)
	}
	for _, way := range ways {
		way.from.gate.crawls(0)
		way.check(t)
	}
	if len(met) < wantMet {
		t.Errorf("all kills met the replications at the same points, which tests little: %v", met)
	}
	t.Logf("the kills met replications %v", met)
}

// bothWays are replications between a registry of each make, which have published their first version.
func bothWays(t *testing.T) []*way {
	t.Helper()
	ours, theirs := newEmbedded(t, false, 0).gate, newDistribution(t, false)
	ways := []*way{
		{
			name: "embedded to distribution", subscription: "alpha", component: component{name: "acme.org/alpha", size: killedSize},
			from: at{gate: ours, path: sourcePath}, to: at{gate: theirs, path: targetPath},
		},
		{
			name: "distribution to embedded", subscription: "beta", component: component{name: "acme.org/beta", size: killedSize},
			from: at{gate: theirs, path: sourcePath}, to: at{gate: ours, path: targetPath},
		},
	}
	for _, way := range ways {
		way.publish(t, 0)
		way.from.gate.crawls(killedPace)
		way.witness = witnesses(t, way.to.gate, way.to.path)
	}
	return ways
}

// replicateFirst has the first versions replicated, and returns how long that takes.
func (w *world) replicateFirst(ways []*way) time.Duration {
	w.t.Helper()
	began := time.Now()
	for _, way := range ways {
		w.subscribe(subscription{name: way.subscription, component: way.component.name, from: way.from.gate.url(way.from.path), to: way.to.gate.url(way.to.path), verify: byValue(w.t)})
	}
	for _, way := range ways {
		w.replicated(way.subscription, way.component.version)
	}
	window := time.Since(began)
	w.t.Logf("a replication takes about %d ms", window.Milliseconds())
	return window
}

// kill kills the operator, and tells the gates.
func (w *world) kill(ways []*way) {
	w.t.Helper()
	w.KillOperator()
	for _, way := range ways {
		way.to.gate.killed()
	}
}

// way is a replication from one registry to another.
type way struct {
	name, subscription string
	component          component
	from, to           at
	witness            *witness
	published          []component
	// before is how many blobs the destination had taken in when the newest version was published.
	before int
}

// publish publishes a version.
func (w *way) publish(t *testing.T, minor int) {
	t.Helper()
	w.component.version = fmt.Sprintf("1.%d.0", minor)
	w.component.publish(t, w.from)
	w.published = append(w.published, w.component)
	w.before = w.taken()
}

// where tells how far the replication of the newest version has come, by what the destination has taken in. Whether it is done is asked
// there: what the registry took in when the operator was dead already is counted by nobody, and not sent again.
func (w *way) where(t *testing.T) string {
	t.Helper()
	seen := w.to.gate.seen()
	base := w.to.path + descriptors + w.component.name
	switch {
	case w.to.leadsTo(t, descriptors[1:]+w.component.name, w.component.version) != "":
		return done
	case seen.manifests[base+"/library:"+w.component.version] > 0:
		return "between components"
	case seen.manifests[w.copied(w.component.image())+":"+w.component.version] > 0 || seen.manifests[w.copied(w.component.chart())+":"+w.component.version] > 0:
		return "between artifacts"
	}
	if w.taken() > w.before {
		return "between blobs"
	}
	return "before the first blob"
}

// done is where a replication is that the destination has all of.
const done = "done"

// taken is how many blobs the destination has taken in.
func (w *way) taken() int {
	seen := w.to.gate.seen()
	return len(below(seen.uploads, w.to.path)) + len(below(seen.mounts, w.to.path))
}

// copied is where a repository of the source is at the destination.
func (w *way) copied(repository string) string {
	return w.to.path + "/" + w.from.path + "/" + repository
}

// check wants every version to be proven at the destination, every blob to have been taken in once, and no tag ever to have led astray.
func (w *way) check(t *testing.T) {
	t.Helper()
	for _, one := range w.published {
		one.proves(t, w.to)
	}
	seen := w.to.gate.seen()
	uploads, twice := below(seen.uploads, w.to.path), 0
	for _, blob := range slices.Sorted(maps.Keys(uploads)) {
		if n := uploads[blob]; n > 1 {
			twice++
			t.Errorf("%s: blob %s was sent %d times in full", w.name, blob, n)
		}
	}
	tags := w.witness.finish(t)
	// Three components, one of which is always the same version, an image and a chart.
	if want := 4*len(w.published) + 1; tags < want {
		t.Errorf("%s: the destination has %d tags, want at least %d", w.name, tags, want)
	}
	t.Logf("%s: %d versions, %d blobs sent in full, %d of them more than once, %d mounted, %d unheard; %d bytes received in all",
		w.name, len(w.published), len(uploads), twice, len(below(seen.mounts, w.to.path)), len(below(seen.unheard, w.to.path)), seen.received)
}

// below returns the counts of repositories below a path.
func below(counts map[string]int, path string) map[string]int {
	counts = maps.Clone(counts)
	maps.DeleteFunc(counts, func(name string, _ int) bool { return !strings.HasPrefix(name, path+"/") })
	return counts
}
