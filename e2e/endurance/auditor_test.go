package endurance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// wantPlaces is in how many places the content of a kind tells its version: the Localization adds the image, and the
// Configuration a field.
var wantPlaces = map[string]int{v1alpha1.ResourceKind: 2, v1alpha1.LocalizationKind: 3, v1alpha1.ConfigurationKind: 4}

// claim is what a Snapshot says about its content.
type claim struct {
	owner, repository, manifest, layer, tag, version string
}

// auditor looks at everything that is ever called a version, and checks that it is of that version in all of its parts.
type auditor struct {
	w        *world
	registry *registry
	ctx      context.Context
	stops    []func()

	mu       sync.Mutex
	claims   map[claim]bool // those that were checked are true
	versions map[string]map[string]bool
	applied  int
	mixed    []string
}

// audit begins to look at the Snapshots of the test's namespace, and at what is applied in some namespaces.
func (w *world) audit(targets ...string) *auditor {
	w.t.Helper()
	a := &auditor{
		w: w, registry: w.registry(), ctx: context.WithoutCancel(w.t.Context()),
		claims: map[claim]bool{}, versions: map[string]map[string]bool{},
	}
	a.watch(w.Namespace, v1alpha1.SnapshotKind, a.snapshot)
	for _, target := range targets {
		a.watch(target, "ConfigMap", a.object)
		a.watch(target, "Deployment", a.object)
	}
	return a
}

func (a *auditor) watch(namespace, kind string, look func(*unstructured.Unstructured)) {
	a.w.t.Helper()
	_, stop := a.w.watch(namespace, kind, func(event watch.EventType, obj *unstructured.Unstructured) {
		a.mu.Lock()
		defer a.mu.Unlock()
		if event != watch.Deleted {
			look(obj)
		}
	})
	a.stops = append(a.stops, stop)
}

// snapshot checks the content of a Snapshot as soon as it is named.
func (a *auditor) snapshot(obj *unstructured.Unstructured) {
	field := func(path ...string) string {
		value, _, _ := unstructured.NestedString(obj.Object, path...)
		return value
	}
	c := claim{
		repository: snapshot.RepositoryName(obj.GetNamespace(), obj.GetName()),
		manifest:   field("spec", "manifestDigest"), layer: field("spec", "digest"), tag: field("spec", "tag"),
		version: field("spec", "identity", v1alpha1.ComponentVersionKey),
	}
	for _, owner := range obj.GetOwnerReferences() {
		c.owner = owner.Kind
	}
	if a.claims[c] {
		return
	}
	err := a.check(c)
	a.claims[c] = !errors.Is(err, errUnreachable)
	if err != nil && a.claims[c] {
		a.mixed = append(a.mixed, fmt.Sprintf("Snapshot %s, %+v: %v", obj.GetName(), c, err))
	}
	a.saw("Snapshot of a "+c.owner, c.version)
}

// check compares a claim with the content.
func (a *auditor) check(c claim) error {
	content, err := a.registry.pull(a.ctx, c.repository, c.manifest)
	if err != nil {
		return err
	}
	found, err := content.places()
	if err != nil {
		return err
	}
	if c.tag != c.version || content.version != c.version || content.layer.String() != c.layer {
		return fmt.Errorf("the manifest is of version %s with content %s", content.version, content.layer)
	}
	if len(found) != wantPlaces[c.owner] {
		return fmt.Errorf("the content tells its version in %v, want %d places", found, wantPlaces[c.owner])
	}
	for _, version := range found {
		if version != c.version {
			return fmt.Errorf("the content is of several versions: %v", found)
		}
	}
	return nil
}

// object checks what Flux has applied.
func (a *auditor) object(obj *unstructured.Unstructured) {
	if obj.GetName() != "podinfo" {
		return
	}
	a.applied++
	found := places(obj)
	versions := slices.Compact(slices.Sorted(maps.Values(found)))
	if len(found) == 0 || len(versions) != 1 {
		a.mixed = append(a.mixed, fmt.Sprintf("%s %s/%s is of several versions: %v", obj.GetKind(), obj.GetNamespace(), obj.GetName(), found))
		return
	}
	a.saw(obj.GetKind()+" in "+obj.GetNamespace(), versions[0])
}

func (a *auditor) saw(what, version string) {
	if a.versions[what] == nil {
		a.versions[what] = map[string]bool{}
	}
	a.versions[what][version] = true
}

// finish ends the audit, checks what was not reached before, and fails the test for what was mixed. It returns how many
// distinct versions were seen of each thing.
func (a *auditor) finish() map[string]int {
	t := a.w.t
	t.Helper()
	for _, stop := range a.stops {
		stop()
	}
	late := 0
	for c, checked := range a.claims {
		if checked {
			continue
		}
		late++
		if err := a.check(c); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, mixed := range a.mixed {
		t.Error(mixed)
	}
	distinct := map[string]int{}
	for what, versions := range a.versions {
		distinct[what] = len(versions)
	}
	t.Logf("%d snapshots checked, %d of them after the operator was back; %d states of applied objects checked; mixed: %d; distinct versions: %v",
		len(a.claims), late, a.applied, len(a.mixed), distinct)
	return distinct
}
