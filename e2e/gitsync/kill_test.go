package gitsync

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/git/forge"
	"github.com/ocm-operator/ocm-operator/git/gittest"
	"github.com/ocm-operator/ocm-operator/git/message"
)

const (
	// kills are made at least, and mostKills at most until wantBetween were between a push and the answer of the forge.
	kills, mostKills, wantBetween = 20, 40, 5
	// slowest is how long a forge takes at most to begin with a request, and again to answer it.
	slowest = 400 * time.Millisecond
)

// TestKilledAtRandomMoments kills the operator at twenty random moments, most of them between the push of a version and its pull
// request. After each restart it goes on, to be killed again. Every other request is merged, so that the next version needs another one.
// In the end each version was pushed once and proposed once.
func TestKilledAtRandomMoments(t *testing.T) {
	for _, provider := range []string{forge.GitHub} {
		t.Run(provider, func(t *testing.T) { killed(t, newWorld(t), testForge(t, provider)) })
	}
}

func killed(t *testing.T, w *world, h *forgeHost) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("the seed is %d", seed)
	k := &killing{world: w.forTest(t), random: rand.New(rand.NewPCG(seed, seed)), met: map[string]int{}}
	k.p = h.repository(k.world, own)
	k.pushed = filepath.Join(k.p.dir, "pushed")
	gittest.Hook(t, k.p.dir, "post-receive", "cat >>pushed")
	k.p.gate.breaks(k.slow)
	k.next()
	k.follow()
	k.sync(app, proposing(k.p))
	for i := 0; i < kills || i < mostKills && k.met[between] < wantBetween; i++ {
		if k.where() == done { // else it is killed once more while it goes on
			k.next()
		}
		moment := time.Duration(k.random.Int64N(int64(4 * slowest)))
		e2etest.Pause(t.Context(), moment)
		k.KillOperator()
		where := k.where()
		k.met[where]++
		t.Logf("kill %2d after %4d ms: version %s %s", i+1, moment.Milliseconds(), k.version(), where)
		k.RestartOperator()
	}
	k.p.gate.breaks(nil)
	k.synced(app, k.version(), request(int64(k.merged+1), v1alpha1.PullRequestOpen))
	k.check(t)
	if k.met[between] < wantBetween {
		t.Errorf("%d kills were between a push and its pull request, want %d: %v", k.met[between], wantBetween, k.met)
	}
	t.Logf("the kills met %v", k.met)
}

// killing is a GitSync whose operator is killed again and again.
type killing struct {
	*world

	p      *proposals
	pushed string
	met    map[string]int
	// versions were published, and merged of their requests merged.
	versions, merged int

	mu     sync.Mutex
	random *rand.Rand
}

// How far a version has come.
const (
	before  = "before the push"
	between = "between push and pull request"
	done    = "done"
)

// slow lets a request wait before the forge sees it; the answer waits too, so that requests are done of which nobody heard.
func (k *killing) slow(_ http.ResponseWriter, r *http.Request) bool {
	e2etest.Pause(r.Context(), k.pause())
	return false
}

func (k *killing) pause() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return time.Duration(k.random.Int64N(int64(slowest)))
}

func (k *killing) version() string { return fmt.Sprintf("1.%d.0", k.versions) }

// next publishes another version. Before every other one, somebody merges the request of the last one, and deletes the branch.
func (k *killing) next() {
	k.t.Helper()
	if k.versions > 0 && k.versions%2 == 0 {
		k.p.merge(k.t, int64(k.merged+1))
		k.merged++
		k.p.deleteBranch(k.head())
	}
	k.versions++
	k.publish(k.version(), k.content(k.versions)...)
}

func (k *killing) content(version int) []entry {
	return []entry{file("app.yaml", fmt.Sprintf("version: %d\n", version)), file(fmt.Sprintf("only-in-%d.yaml", version), "x\n")}
}

// where tells how far the last version has come, by what the server and the forge have.
func (k *killing) where() string {
	k.t.Helper()
	log := k.p.log(k.head())
	if len(log) == 0 || message.ParseTrailers(log[0].Message)["Ocm-Version"] != k.version() {
		return before
	}
	for _, request := range k.p.open(k.head()) {
		if strings.Contains(request.Title, k.version()) && request.HeadCommit == log[0].Hash {
			return done
		}
	}
	return between
}

// check wants one branch, one request for each two versions, and one push for each version.
func (k *killing) check(t *testing.T) {
	t.Helper()
	states := make([]forge.State, k.merged+1)
	for i := range states {
		states[i] = forge.Merged
	}
	states[k.merged] = forge.Open
	k.p.states(states...)
	k.p.one(k.head())
	if branches := gittest.Branches(t, k.p.dir); len(branches) != 2 {
		t.Errorf("the branches are %v, want two", branches)
	}
	k.p.expect(k.head(), merged(without(plain(own), subPath+"/by-hand.yaml"), below(subPath, k.content(k.versions))))
	gittest.Fsck(t, k.p.dir)
	raw, err := os.ReadFile(k.pushed)
	if err != nil {
		t.Fatal(err)
	}
	got, want := map[string]int{}, map[string]int{}
	for line := range strings.Lines(string(raw)) {
		fields := strings.Fields(line)
		if fields[2] != "refs/heads/"+k.head() {
			t.Errorf("somebody has pushed %q", line)
			continue
		}
		got[message.ParseTrailers(gittest.Git(t, k.p.dir, "show", "--no-patch", "--format=%B", fields[1]))["Ocm-Version"]]++
	}
	for i := range k.versions {
		want[fmt.Sprintf("1.%d.0", i+1)] = 1
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pushes of each version (-want +got):\n%s", diff)
	}
}
