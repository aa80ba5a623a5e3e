package fluxdeployer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// answered writes what a controller says that has looked at a probe.
func answered(obj *unstructured.Unstructured, reason, message string) {
	_ = unstructured.SetNestedSlice(obj.Object, []any{map[string]any{"type": "Ready", "status": "False", "reason": reason, "message": message}}, "status", "conditions")
}

// answering is a client of a cluster whose controller answers every new probe.
type answering struct {
	client.Client
	reason, message string
}

func (a answering) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	if probe, ok := obj.(*unstructured.Unstructured); ok {
		answered(probe, a.reason, a.message)
	}
	return a.Client.Create(ctx, obj, opts...)
}

// leftBehind is a probe of one of us that was killed, with an answer of another day.
func leftBehind(w *reconcilertest.World) *unstructured.Unstructured {
	obj := probeObject(kustomizationKind, reconcilertest.Namespace)
	answered(obj, "AccessDenied", "ExternalArtifact feature gate is disabled, that day")
	w.Create(obj)
	return obj
}

func TestProbe(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reason, message string
		refuse          error
		taken           bool
		why             string
		because         string
	}{
		"open":    {"ArtifactFailed", "Source 'ExternalArtifact/x' not found", nil, true, "", "it has looked for the artifact"},
		"closed":  {"AccessDenied", "can't access it, ExternalArtifact feature gate is disabled", nil, false, "feature gate is disabled", "it says so"},
		"by name": {"FeatureGateDisabled", "no", nil, false, "no", "that is what Flux calls it elsewhere"},
		"older": {
			"", "", apierrors.NewInvalid(kustomizationKind.GroupKind(), probeName, nil), false, "is invalid", "its schema has no such source",
		},
	} {
		for _, left := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, left behind %t", name, left), func(t *testing.T) {
				t.Parallel()
				w := reconcilertest.New(t)
				w.Serve(kustomizationKind)
				if left {
					leftBehind(w)
				}
				w.Refuse("create Kustomization", tc.refuse)
				g := newGate(answering{w.Client, tc.reason, tc.message}, w.Client, reconcilertest.Namespace, logr.Discard())
				taken, why, err := g.probe(t.Context(), kustomizationKind)
				if err != nil || taken != tc.taken || !strings.Contains(why, tc.why) || strings.Contains(why, "that day") {
					t.Errorf("taken is %t, %q (%v): %s", taken, why, err, tc.because)
				}
				if tc.refuse == nil && w.Has(probeObject(kustomizationKind, reconcilertest.Namespace)) {
					t.Error("the probe is left behind")
				}
			})
		}
	}
}

func TestProbesThatWereLeftBehindAreDeleted(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	w.Serve(kustomizationKind)
	users := probeObject(kustomizationKind, reconcilertest.Namespace)
	users.SetName("app")
	users.SetLabels(nil)
	w.Create(users)
	left := leftBehind(w)
	g := newGate(w.Client, w.Client, reconcilertest.Namespace, logr.Discard())
	for _, kind := range []schema.GroupVersionKind{kustomizationKind, helmReleaseKind} {
		if err := g.cleanUp(t.Context(), kind); err != nil {
			t.Errorf("%s: %v, want that a kind that is not there is clean", kind.Kind, err)
		}
	}
	if w.Has(left) || !w.Has(users) {
		t.Errorf("the probe is there: %t, the user's object: %t", w.Has(left), w.Has(users))
	}
}

func TestProbeThatCanNotBeMade(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	w.Serve(kustomizationKind)
	forbidden := errors.New("not allowed here")
	w.Refuse("create Kustomization", forbidden)
	g := newGate(w.Client, w.Client, reconcilertest.Namespace, logr.Discard())
	g.settle(t.Context(), kustomizationKind)
	if verdict, why := g.ask(kustomizationKind); verdict != closed || !strings.Contains(why, forbidden.Error()) {
		t.Errorf("verdict is %d, %q: who can't be asked gets what always works", verdict, why)
	}
}

// TestKindThatIsNotServed is one whose controller has refused nothing: the artifacts were there before it.
func TestKindThatIsNotServed(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	w.Refuse("create Kustomization", &apimeta.NoKindMatchError{GroupKind: kustomizationKind.GroupKind()})
	g := newGate(w.Client, w.Client, reconcilertest.Namespace, logr.Discard())
	g.settle(t.Context(), kustomizationKind)
	if verdict, why := g.ask(kustomizationKind); verdict != unknown || len(g.questions) != 1 {
		t.Errorf("verdict is %d, %q, and %d wait to be asked; want one that is asked again", verdict, why, len(g.questions))
	}
}

func TestAsk(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	g := newGate(nil, nil, "", logr.Discard())
	g.now = func() time.Time { return now }
	for _, step := range []struct {
		name   string
		before func()
		want   verdict
		asked  int
		reason string
	}{
		{"first", func() {}, unknown, 1, "somebody has to ask"},
		{"second", func() {}, unknown, 0, "the question is on its way"},
		{"refused", func() { g.refused(kustomizationKind, "closed") }, closed, 0, "it has answered"},
		{"within the hour", func() { now = now.Add(59 * time.Minute) }, closed, 0, "an answer holds"},
		{"after it", func() { now = now.Add(2 * time.Minute) }, closed, 1, "the gate may be open by now"},
		{"while it is asked", func() {}, closed, 0, "the old answer holds until there is a new one"},
		{"open", func() { g.note(kustomizationKind, answer{verdict: open}) }, open, 0, "it has answered"},
		{"for good", func() { now = now.Add(1000 * time.Hour) }, open, 0, "what is refused later is seen on the object"},
	} {
		step.before()
		got, _ := g.ask(kustomizationKind)
		asked := len(g.questions)
		for range asked {
			<-g.questions
		}
		if got != step.want || asked != step.asked {
			t.Errorf("%s: verdict %d, asked %d times; want %d, %d: %s", step.name, got, asked, step.want, step.asked, step.reason)
		}
	}
}

// TestLostRace: between a look at the cache and our own writing, somebody else has made an object of that name.
func TestLostRace(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	w.Serve(kustomizationKind)
	owner := deployerObject()
	w.Create(owner)
	theirs := (&run{obj: owner}).object(kustomizationKind, map[string]any{"path": "./theirs"})
	if err := w.Client.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(theirs), client.FieldOwner("theirs")); err != nil {
		t.Fatal(err)
	}
	d := &deployer{client: w.Client, cache: reconcilertest.New(t).Client, live: w.Client}
	want := (&run{obj: owner}).object(kustomizationKind, map[string]any{"path": "./ours"})
	if _, err := d.applyObject(t.Context(), owner, want); !apierrors.IsConflict(err) {
		t.Errorf("error is %v, want a conflict, after which the object is looked at", err)
	}
	w.Get(theirs)
	if path, _, _ := unstructured.NestedString(theirs.Object, "spec", "path"); path != "./theirs" {
		t.Errorf("it was overwritten with %s", path)
	}
}

// TestMissingContentIsWaitedFor without a timer: the Snapshot says when it is there again.
func TestMissingContentIsWaitedFor(t *testing.T) {
	t.Parallel()
	d := &deployer{artifacts: Artifacts{Find: func(context.Context, string, string) (Artifact, error) { return Artifact{}, snapshot.ErrNotFound }}}
	_, err := d.find(t.Context(), &run{content: &source.Content{}})
	if verdict, ok := errors.AsType[*lifecycle.Verdict](err); !ok || verdict.After != 0 || !errors.Is(err, snapshot.ErrNotFound) {
		t.Errorf("error is %v (%+v), want to wait for the Snapshot", err, verdict)
	}
}
