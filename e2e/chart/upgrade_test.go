package chart_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
)

// TestUpgradeAndRollback goes from the chart before to the one of now and back, uninstalls it and installs it again, while somebody
// uses what it has delivered. Nothing of that is made anew, every object gets ready again, and definitions are those of the chart.
func TestUpgradeAndRollback(t *testing.T) {
	w := enter(t)
	w.clear()

	w.grant(true)
	w.run("install", release, w.before, "--wait", "--timeout="+helmTimeout)
	d := w.deliver("upgrades", 30082)
	d.next()
	old := w.definitions()
	d.use(old)
	visitor := visit(t.Context(), d.url)
	defer visitor.leave(t)
	before := d.untouched()
	// step takes one, looks whether all is as before, and delivers the next version.
	step := func(name, version string, helm ...string) {
		t.Run(name, func(t *testing.T) {
			d := d.forTest(t)
			d.w.grant(version == w.previous.AppVersion)
			d.w.run(append(helm, "--wait", "--timeout="+helmTimeout)...)
			d.stays(version, before)
			d.next()
			before = d.untouched()
		})
	}

	step("upgrade", w.chart.AppVersion, "upgrade", release, w.path(), "--reset-values")
	now := w.definitions()
	if w.previous.Version == neverReleased && (len(now.changed(old)) == 0 || len(old.missing(now)) == 0) {
		t.Errorf("the upgrade has changed the kinds %v and brought %v, want some of both", now.changed(old), old.missing(now))
	}
	d.use(now)
	step("rollback", w.previous.AppVersion, "rollback", release, "1")
	back := w.definitions()
	if changed := back.changed(old); len(changed) > 0 {
		t.Errorf("after the rollback there are other definitions than before of the kinds %v", changed)
	}
	// New kinds stay: their objects would go with them.
	if gone := back.missing(now); len(gone) > 0 {
		t.Errorf("after the rollback there are no kinds %v any more", gone)
	}
	d.use(old)
	step("upgrade again", w.chart.AppVersion, "upgrade", release, w.path(), "--reset-values")
	if changed := w.definitions().changed(now); len(changed) > 0 {
		t.Errorf("after the second upgrade there are other definitions than after the first one of the kinds %v", changed)
	}
	d.use(now)
	t.Run("uninstall", func(t *testing.T) {
		w.forTest(t).uninstall()
		kept(t, w, d)
		d.forTest(t).same(before)
	})
	step("install again", w.chart.AppVersion, "install", release, w.path())
}

// forTest is the delivery with failures reported to a subtest.
func (d *delivery) forTest(t *testing.T) *delivery {
	return &delivery{Env: d.ForTest(t), w: d.w.forTest(t), url: d.url, message: d.message, port: d.port}
}

// stays wants the operator to be of a version, all objects to be ready by it, and what was delivered to be what it was.
func (d *delivery) stays(version string, before map[string]string) {
	d.w.t.Helper()
	if got := d.w.operates(1)[0].Spec.Containers[0].Image; got != operatorImage(version) {
		d.w.t.Errorf("the operator is %s, want %s", got, operatorImage(version))
	}
	d.asked()
	d.ready(d.w.current())
	d.same(before)
}

// same wants what was delivered to be what it was.
func (d *delivery) same(before map[string]string) {
	d.w.t.Helper()
	if diff := cmp.Diff(before, d.untouched()); diff != "" {
		d.w.t.Errorf("what was delivered did not stay as it was (-before +after):\n%s", diff)
	}
}

// abandoned is what the controllers that came before have left: nobody owns it, and nobody would take its finalizer away.
const abandoned = `
apiVersion: delivery.ocm.software/v1alpha1
kind: Snapshot
metadata: {name: abandoned, finalizers: [finalizers.snapshot.ocm.software]}
spec: {identity: {component-name: acme.org/web}, digest: none, tag: 1.0.0}
`

// TestUninstall deletes the objects when the operator is gone: none of them waits for it, and Flux takes away what was delivered.
func TestUninstall(t *testing.T) {
	w := enter(t)
	external := "externalRegistry.url=oci://" + w.releases.registry + "/snapshots,externalRegistry.plainHTTP=true"
	for name, c := range map[string]struct {
		// before are the values by which the objects were made, and values those of the operator that is uninstalled.
		before, values string
		finalizers     []string
	}{
		"embedded": {"", "", nil},
		// The content of Snapshots is in a registry of somebody else, so it has to be taken away with them.
		"external":  {external, external, []string{v1alpha1.SnapshotFinalizer}},
		"came back": {external, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.forTest(t)
			w.ensure("--set=" + c.before)
			d := w.deliver("uninstall-"+strings.ReplaceAll(name, " ", "-"), 30083)
			d.next()
			if c.values != c.before {
				w.ensure("--set=" + c.values)
				d.asked()
				d.ready(w.current())
			}
			d.Apply(abandoned)
			d.finalizers(c.finalizers)
			w.uninstall()
			kept(t, w, d)
			d.Kubectl("delete", "--timeout=2m", "--all", strings.Join(plurals, ","))
			d.Gone("Kustomization", "web")
			d.Gone("Deployment", "web")
			d.Kubectl("delete", "--timeout=2m", "namespace", d.Namespace)
		})
	}
}

// finalizers waits until the Snapshots have these, and no others.
func (d *delivery) finalizers(want []string) {
	d.w.t.Helper()
	d.Within(longest, "the finalizers of Snapshots", func() error {
		list, err := d.List(d.Context(), d.Namespace, "Snapshot")
		if err != nil {
			return err
		}
		for i := range list.Items {
			if got := list.Items[i].GetFinalizers(); !slices.Equal(got, want) {
				return fmt.Errorf("Snapshot %s has %v, want %v", list.Items[i].GetName(), got, want)
			}
		}
		return nil
	})
}

// plurals are the kinds of objects that a pipeline makes.
var plurals = []string{
	"componentversions", "componentdescriptors", "resources.delivery.ocm.software", "localizations", "configurations", "snapshots", "fluxdeployers",
}

// kept wants the custom resource definitions to be there still, and objects that wait for nobody.
func kept(t *testing.T, w *world, d *delivery) {
	t.Helper()
	e := d.ForTest(t)
	for _, kind := range append([]string{"Snapshot", "ComponentDescriptor"}, ours...) {
		list, err := e.List(t.Context(), d.Namespace, kind)
		if err != nil {
			t.Errorf("list objects of kind %s: %v", kind, err)
			continue
		}
		if len(list.Items) == 0 {
			t.Errorf("there are no objects of kind %s any more", kind)
		}
		for i := range list.Items {
			if finalizers := list.Items[i].GetFinalizers(); len(finalizers) > 0 {
				t.Errorf("%s %s waits for %v, and there is nobody who would take it away", kind, list.Items[i].GetName(), finalizers)
			}
		}
	}
	// Helm leaves what its test has made, so that it can be looked at.
	left := w.env.ForTest(t).Kubectl("get", "all,serviceaccounts,roles,rolebindings,leases", "--output=name",
		"--selector=app.kubernetes.io/component!=test,app.kubernetes.io/instance="+release)
	if strings.TrimSpace(left) != "No resources found in "+home+" namespace." && strings.TrimSpace(left) != "" {
		t.Errorf("of the operator are left: %s", left)
	}
}

// asked asks every object of the pipeline to be reconciled, and waits until the operator of now has done so.
func (d *delivery) asked() {
	d.w.t.Helper()
	token := time.Now().Format(time.RFC3339Nano)
	for _, kind := range ours {
		d.Kubectl("annotate", "--overwrite", strings.ToLower(kind)+".delivery.ocm.software", "web", "reconcile.fluxcd.io/requestedAt="+token)
	}
	for _, kind := range ours {
		d.wait(kind, e2etest.Field(token, "status", "lastHandledReconcileAt"))
	}
}

// grant gives the operator all rights, or takes them back. The program is the one of now in both charts, and what it needs may be more
// than the chart of before knows of.
func (w *world) grant(all bool) {
	w.t.Helper()
	w.env.Kubectl("delete", "--ignore-not-found", "clusterrolebinding", "e2e-before")
	if all {
		w.env.Kubectl("create", "clusterrolebinding", "e2e-before", "--clusterrole=cluster-admin", "--serviceaccount="+home+":"+release)
	}
}

// clear takes away the operator, its kinds and all of their objects, with what was delivered.
func (w *world) clear() {
	w.t.Helper()
	w.uninstall()
	for name := range strings.FieldsSeq(w.env.Kubectl("get", "customresourcedefinitions", "--output=name")) {
		if strings.HasSuffix(name, ".delivery.ocm.software") {
			w.env.Kubectl("delete", "--timeout=2m", name)
		}
	}
}
