package adopttest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// prepared returns a cluster after prepare, in which the operator has taken over.
func prepared(t *testing.T) *world {
	t.Helper()
	return newWorld(t, handedOver, operator)
}

// undoable returns a cluster from which the operator was removed again.
func undoable(t *testing.T) *world {
	t.Helper()
	return newWorld(t, handedOver, operator, uninstalled)
}

// handedOver is what prepare does; TestWay looks whether it is that.
func handedOver(c *cluster) {
	for _, name := range []string{"ocm-controller", "git-controller"} {
		deployment := c.named("deployments.apps", name)
		set(deployment, fmt.Sprint(field[float64](deployment, "spec", "replicas")), "metadata", "annotations", group+"/adopt-replicas")
		set(deployment, 0.0, "spec", "replicas")
		c.scaleDown(deployment)
	}
	c.settle([]string{"pods"})
	for resource, names := range map[string][]string{oci: {"podinfo", "held"}, kustomize: {"podinfo"}} {
		for _, name := range names {
			set(c.named(resource, name), true, "spec", "suspend")
			set(c.named(resource, name), "true", "metadata", "annotations", mark)
		}
	}
	for _, crd := range c.Objects[definitions] {
		name := field[string](crd, "metadata", "name")
		if !strings.HasSuffix(name, "."+group) || strings.HasPrefix(name, "syncs.") {
			continue
		}
		was := field[string](crd, "metadata", "labels", managedBy)
		if was == "" {
			was = "-"
		}
		set(crd, "Helm", "metadata", "labels", managedBy)
		set(crd, object{"meta.helm.sh/release-name": "ocm-operator", "meta.helm.sh/release-namespace": newNamespace, handed: was}, "metadata", "annotations")
	}
}

// verbs is what changes something, with a cluster in which it has something to do.
var verbs = map[string]func(t *testing.T) *world{
	"prepare": func(t *testing.T) *world { t.Helper(); return newWorld(t) },
	"finish":  prepared,
	"undo":    undoable,
}

func TestWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mustAdopt("prepare")
	if diff := cmp.Diff(newWorld(t, handedOver).objects(), w.objects()); diff != "" {
		t.Errorf("after prepare (-want +got):\n%s", diff)
	}
	for _, name := range []string{"ocm-controller", "git-controller"} {
		if got := field[float64](w.load().named("deployments.apps", name), "spec", "replicas"); got != 0 {
			t.Errorf("Deployment %s has %v replicas", name, got)
		}
	}
	if got := w.suspended("podinfo"); got != [2]bool{true, true} {
		t.Errorf("the OCIRepository and the Kustomization are suspended: %v", got)
	}
	if out := w.then(operator).mustAdopt("finish"); !strings.HasSuffix(out, "--- done\n") {
		t.Errorf("finish says %s", out)
	}
	if got := w.suspended("podinfo"); got != [2]bool{} {
		t.Errorf("the OCIRepository and the Kustomization are suspended: %v", got)
	}
	if got := w.suspended("held"); got != [2]bool{false, true} {
		t.Errorf("of what its owner has suspended, the OCIRepository and the Kustomization are suspended: %v", got)
	}
	if got := len(w.load().Objects["snapshots."+group]); got != 1 {
		t.Errorf("there are %d Snapshots, want that of the operator", got)
	}
	w.then(uninstalled).refuses("finish has deleted Snapshots", "undo")
}

func (w *world) suspended(name string) [2]bool {
	w.t.Helper()
	c := w.load()
	return [2]bool{field[bool](c.named(oci, name), "spec", "suspend"), field[bool](c.named(kustomize, name), "spec", "suspend")}
}

// TestUndo wants everything to be as it was before prepare, however far the way had been gone.
func TestUndo(t *testing.T) {
	t.Parallel()
	for name, far := range map[string][]func(c *cluster){
		"prepared":             {handedOver},
		"taken over":           {handedOver, operator, uninstalled},
		"partly finished":      {handedOver, operator, resumed, uninstalled},
		"prepared for nothing": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, far...)
			w.mustAdopt("undo")
			if diff := cmp.Diff(newWorld(t).then(withoutPods).objects(), w.then(withoutPods).objects()); diff != "" {
				t.Errorf("after undo (-before +after):\n%s", diff)
			}
		})
	}
}

// withoutPods forgets the pods, which nobody makes here when a Deployment has replicas again.
func withoutPods(c *cluster) { c.Objects["pods"] = nil }

func TestTwice(t *testing.T) {
	t.Parallel()
	for verb, begin := range verbs {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			w := begin(t)
			w.mustAdopt(verb)
			w.then().mustAdopt(verb)
			if changes := w.changes(); len(changes) > 0 {
				t.Errorf("a second time something is changed again: %q", changes)
			}
		})
	}
}

func TestDryRun(t *testing.T) {
	t.Parallel()
	for verb, begin := range verbs {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			w := begin(t).then()
			out := w.mustAdopt(verb, "--dry-run")
			if changes := w.changes(); len(changes) > 0 || !strings.Contains(out, "would run: kubectl") || strings.Contains(out, "--- done") {
				t.Errorf("changes %q, and it says:\n%s", changes, out)
			}
		})
	}
}

// TestFailedRequests lets each request fail once: what could not be asked is asked again, and the end is the same.
func TestFailedRequests(t *testing.T) {
	t.Parallel()
	for verb, begin := range verbs {
		for _, mode := range []string{failOnce, failLost} {
			t.Run(verb+" "+mode, func(t *testing.T) {
				t.Parallel()
				want := begin(t)
				want.mustAdopt(verb)
				got := begin(t).then()
				got.fail = mode
				got.mustAdopt(verb)
				if diff := cmp.Diff(want.objects(), got.objects()); diff != "" {
					t.Errorf("the end is another one (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// TestRefusedRequests lets each request fail for good, at each place where the script can be: it never says that it is done, and
// goes on from there when it is run again.
func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	for verb, begin := range verbs {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			want := begin(t).then()
			want.mustAdopt(verb)
			requests := want.load().Requests
			if len(requests) < 6 {
				t.Fatalf("there are only %d requests", len(requests))
			}
			for i, request := range requests {
				t.Run(strconv.Itoa(i), func(t *testing.T) {
					t.Parallel()
					w := begin(t).then()
					w.fail = failAlways + strconv.Itoa(i)
					code, out, problems := w.adopt(verb)
					if code != 1 || !strings.Contains(problems, "run hack/adopt.sh "+verb+" again") {
						t.Errorf("without %.100s it ends with %d: %s%s", request, code, out, problems)
					}
					if strings.Contains(out, "--- done") || strings.Contains(out, "now install the chart") {
						t.Errorf("without %.100s it says that all is done: %s", request, out)
					}
					if len(w.changes()) == 0 {
						return
					}
					w.fail = ""
					w.mustAdopt(verb)
					if diff := cmp.Diff(want.objects(), w.objects()); diff != "" {
						t.Errorf("run again after %.100s has failed, the end is another one (-want +got):\n%s", request, diff)
					}
				})
			}
		})
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, args := range [][]string{{}, {"--colour", "check"}} {
		if code, _, problems := w.adopt(args...); code != 2 || !strings.Contains(problems, "usage:") {
			t.Errorf("adopt.sh %v ends with %d: %s", args, code, problems)
		}
	}
	if out := w.mustAdopt("--help"); !strings.Contains(out, "usage:") {
		t.Errorf("--help says %s", out)
	}
}
