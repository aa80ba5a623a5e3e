package rbac_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/e2e/operator/rights"
	"github.com/ocm-operator/ocm-operator/git/gittest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// alone is an operator with one feature, and those that this one needs.
type alone struct {
	feature string
	// given are further arguments, and option is the one whose rights are meant, if it is not the feature.
	given  []string
	option string
	// whole is set where everything that the operator may do is meant, and not only what it may because of the feature.
	whole bool
	// elsewhere are rights that this operator has no use for, with the test that has one.
	elsewhere map[string]string

	more func(w *world) []string
	play func(w *world)
}

// loners come one after the other in one cluster, and each works with what those before it have left: what a GitSync hands on was made
// by another feature. The first one shows what every operator may do: it has nothing to do with Snapshots and FluxDeployers, which the
// registry looks at whatever the features are.
var loners = []alone{
	{
		feature: "ComponentVersion", given: []string{"--object-level-workload-identity", "--registry-writer-secret=writer"}, whole: true, play: playComponentVersion,
		elsewhere: map[string]string{
			definitionOf("components"):   "TestNoRightIsTooMuch/foreigners",
			definitionOf("deployers"):    "TestNoRightIsTooMuch/foreigners",
			definitionOf("replications"): "TestNoRightIsTooMuch/foreigners",
			definitionOf("repositories"): "TestNoRightIsTooMuch/foreigners",
		},
	},
	{feature: "ComponentSubscription", given: []string{"--object-level-workload-identity"}, play: playComponentSubscription},
	{feature: "Snapshot", play: playSnapshot},
	{feature: "Resource", play: playResource},
	{feature: "GitSync", play: playGitSync},
}

// friends of Flux come after them. Each is started twice: before there is any of its kinds, and when they are there.
var friends = []alone{
	{feature: "Localization", play: playLocalization},
	{feature: "Configuration", play: playConfiguration},
	{feature: "FluxDeployer", given: []string{"--registry-plain-http"}, play: playFluxDeployer},
	{feature: "FluxDeployer", option: "--external-artifacts", more: artifactAddress, play: playExternalArtifacts},
}

// definitionOf is the right to look at a definition of those who define a Resource of their own.
func definitionOf(kinds string) string {
	return "get customresourcedefinitions.apiextensions.k8s.io " + kinds + "." + v1alpha1.GroupVersion.Group
}

// TestNoFeatureAddsTooMuch runs the operator with each feature alone, that is with those that it needs and with the rights of these, and
// wants it to use all that it may do because of this feature. A right that another feature uses, and not the one that brings it, would
// be none too much with both of them, and fails here by its name.
func TestNoFeatureAddsTooMuch(t *testing.T) {
	w := newWorld(t)
	w.components, w.content = ocmtest.Start(t), t.TempDir()
	publish(t, w.components, "1.0.0")
	needs := requirements(t, w.binary)
	for name := range needs {
		if !slices.ContainsFunc(slices.Concat(loners, friends), func(a alone) bool { return a.feature == name }) {
			t.Errorf("nobody knows what feature %s does: add it to the others", name)
		}
	}
	for _, a := range loners {
		a.run(t, w, needs)
	}
	for _, a := range friends {
		waits := a.scenario(needs)
		waits.name += " without Flux"
		waits.play = func(w *world) { w.used("watch", "customresourcedefinitions") }
		each := w
		t.Run(waits.name, func(t *testing.T) { each.play(t, waits) })
	}
	t.Run("Flux", func(t *testing.T) {
		w.enter(t)
		w.fluxKinds()
	})
	for _, a := range friends {
		a.run(t, w, needs)
	}
}

// run has the operator use all that is meant.
func (a alone) run(t *testing.T, w world, needs map[string][]string) {
	t.Helper()
	added, whole := a.added(t, needs), a.scenario(needs)
	whole.play = func(w *world) {
		a.play(w)
		w.exhausted(added, a.elsewhere)
		w.t.Logf("%d rights, %d of them used elsewhere", len(added), len(a.elsewhere))
	}
	t.Run(whole.name, func(t *testing.T) { w.play(t, whole) })
}

// scenario returns how the operator is started.
func (a alone) scenario(needs map[string][]string) scenario {
	name, args := a.feature, a.args(only(needs, a.feature))
	if a.option != "" {
		name, args = strings.TrimPrefix(a.option, "--"), append(args, a.option)
	}
	return scenario{
		name: name, args: args,
		more: func(w *world) []string {
			args := []string{"--registry-dir=" + w.content, "--registry-collect-interval=1s", "--secret-check-interval=200ms"}
			if a.more != nil {
				args = append(args, a.more(w)...)
			}
			return args
		},
	}
}

func (a alone) args(on set) []string {
	return append([]string{"--watch-namespace=" + watched, on.flag()}, a.given...)
}

// added returns the rights that are meant: those which an operator has not that lacks nothing but the option, or the feature.
func (a alone) added(t *testing.T, needs map[string][]string) []rights.Right {
	t.Helper()
	with := a.args(only(needs, a.feature))
	without := a.args(only(needs, needs[a.feature]...))
	if a.option != "" {
		with, without = append(with, a.option), with
	}
	all := rightsOf(t, with).All()
	if a.whole {
		return all
	}
	known := rightsOf(t, without).All()
	return slices.DeleteFunc(all, func(right rights.Right) bool { return slices.Contains(known, right) })
}

// exhausted waits until the operator has used some rights, but for those that are used elsewhere: it can't use these.
func (w *world) exhausted(all []rights.Right, elsewhere map[string]string) {
	w.t.Helper()
	idle := map[string]bool{}
	w.Eventually("everything is done that the operator may do", func() error {
		w.audit.read(w.t)
		clear(idle)
		for _, right := range all {
			if _, ok := w.audit.use(w.op.User(), right); !ok {
				idle[right.String()] = true
			}
		}
		left := slices.DeleteFunc(slices.Sorted(maps.Keys(idle)), func(right string) bool { return elsewhere[right] != "" })
		if len(left) > 0 {
			return fmt.Errorf("%d of %d rights were never used: drop their markers +kubebuilder:rbac, or let this test do what needs them:\n%s",
				len(left), len(all), strings.Join(left, "\n"))
		}
		return nil
	})
	for right, test := range elsewhere {
		if !idle[right] {
			w.t.Errorf("the right to %s is used, or not granted: that %s uses it is no matter here", right, test)
		}
	}
}

// playComponentVersion logs in, reads, follows and repairs. Beside that, the registry does what it always does.
func playComponentVersion(w *world) {
	w.Apply(documents(puller, componentVersion, cloud, cloudVersion), "${REPOSITORY}", w.components.URL)
	w.Wait("ComponentVersion", "app", e2etest.Ready)
	w.newVersion(w.components)
	w.Wait("ComponentVersion", "app", e2etest.Ready)
	w.registry()
	w.stale(map[string]string{"ComponentVersion": "app"})
}

func playComponentSubscription(w *world) {
	w.Apply(documents(cloud, subscription, cloudSubscription), "${REPOSITORY}", w.components.URL)
	w.Wait("ComponentSubscription", "app", e2etest.Ready)
	w.stale(map[string]string{"ComponentSubscription": "app"})
}

// playSnapshot has a Snapshot looked at, and let go that an earlier controller would hold.
func playSnapshot(w *world) {
	w.Apply(lost)
	w.Wait("Snapshot", "lost", e2etest.NotReady(v1alpha1.ContentMissingReason))
	w.stale(map[string]string{"Snapshot": "lost"})
	w.Delete("Snapshot", "lost")
	w.Gone("Snapshot", "lost")
}

func playResource(w *world) {
	w.Apply(documents(manifests, chart))
	w.Wait("Resource", "app", e2etest.Ready)
	w.Wait("Resource", "chart", e2etest.Ready)
	w.stale(map[string]string{"Resource": "app"})
}

func playLocalization(w *world) {
	w.Apply(documents(site, localization))
	w.Wait("Localization", "app", e2etest.Ready)
	w.stale(map[string]string{"Localization": "app"})
}

func playConfiguration(w *world) {
	w.Apply(documents(site, configuration))
	w.Wait("Configuration", "app", e2etest.Ready)
	w.stale(map[string]string{"Configuration": "app"})
}

// playFluxDeployer has deployers make, change and delete what they can. Where the registry speaks plain HTTP, nobody needs the
// certificates that Flux was given before.
func playFluxDeployer(w *world) {
	w.Apply(deployers)
	w.made("OCIRepository/plain", "Kustomization/app", "HelmRelease/chart", "Secret/plain-registry-pull")
	w.unmarked("OCIRepository/plain", "Kustomization/app", "HelmRelease/chart")
	w.renewed("plain")
	w.certificates("plain")
	w.request("FluxDeployer", "plain")
	w.Gone("Secret", "plain-registry-ca")
	w.withdrawn()
	w.stale(map[string]string{"FluxDeployer": "app"})
}

// certificates leaves the certificates that a deployer has given to Flux.
func (w *world) certificates(deployer string) {
	w.t.Helper()
	owner := w.Get("FluxDeployer", deployer)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Namespace: watched, Name: deployer + "-registry-ca",
		OwnerReferences: []metav1.OwnerReference{{APIVersion: owner.GetAPIVersion(), Kind: owner.GetKind(), Name: owner.GetName(), UID: owner.GetUID()}},
	}}
	if err := w.Client.Create(w.t.Context(), secret); err != nil {
		w.t.Fatal(err)
	}
}

func playExternalArtifacts(w *world) {
	w.Apply(deployers)
	stop := w.flux()
	defer stop()
	w.handOver()
}

// playGitSync pushes to a server of git alone: what is proposed is known before there turns out to be no forge.
func playGitSync(w *world) {
	server := gittest.NewServer(w.t, gittest.Options{})
	gittest.NewRepository(w.t, server.Dir("acme/fleet.git"), map[string]string{"README.md": "fleet"}, "main")
	w.Apply(gitSync, "${GIT}", server.URL)
	w.used("watch", "componentversions")
	w.stale(map[string]string{"GitSync": "app"})
}
