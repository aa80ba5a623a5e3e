package subscription_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

func filter(expression string) func(*v1alpha1.ComponentSubscription) {
	return func(sub *v1alpha1.ComponentSubscription) { sub.Spec.VersionFilter = expression }
}

func policy(downgrade string) func(*v1alpha1.ComponentSubscription) {
	return func(sub *v1alpha1.ComponentSubscription) { sub.Spec.DowngradePolicy = downgrade }
}

func TestWhichVersions(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		adjust func(*v1alpha1.ComponentSubscription)
		want   []string
		reason string
	}{
		"newest release":     {func(*v1alpha1.ComponentSubscription) {}, []string{"v2.0.0"}, "pre-releases need a constraint that names one"},
		"pre-release":        {semver(">=1.0.0-0"), []string{"v3.0.0-rc.1"}, "the constraint names one"},
		"constraint":         {semver("~v1.0.0"), []string{"v1.0.1"}, "v makes no difference"},
		"filter":             {filter("^v1"), []string{"v1.1.0"}, "both must hold"},
		"filter and semver":  {func(sub *v1alpha1.ComponentSubscription) { semver("<1.1")(sub); filter("0$")(sub) }, []string{"v1.0.0"}, "both must hold"},
		"all, limited":       {all(2), []string{"v2.0.0", "v1.1.0"}, "the newest ones"},
		"all, by default":    {func(sub *v1alpha1.ComponentSubscription) { sub.Spec.Versions = v1alpha1.VersionsAll }, []string{"v2.0.0", "v1.1.0", "v1.0.1", "v1.0.0"}, "there are fewer than ten"},
		"all of a constrain": {func(sub *v1alpha1.ComponentSubscription) { all(9)(sub); semver("1.x")(sub) }, []string{"v1.1.0", "v1.0.1", "v1.0.0"}, "the constraint holds for all"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.release("v1.0.0", "v1.0.1", "v1.1.0", "v2.0.0", "v3.0.0-rc.1")
			sub := s.subscribe(tc.adjust)
			wantReady(t, sub, tc.want[0])
			var got []string
			for _, known := range sub.Status.ReplicatedVersions {
				got = append(got, known.Version)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("replicatedVersions: %s (-want +got):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.want, s.at(s.destination), cmpopts.SortSlices(strings.Compare)); diff != "" {
				t.Errorf("at the destination: %s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestUnusableSelections(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		adjust  func(*v1alpha1.ComponentSubscription)
		reason  string
		stalled bool
		message string
	}{
		"semver":            {semver("~x.y"), v1alpha1.SemverConversionFailedReason, true, "spec.semver"},
		"filter":            {filter("^v(1"), v1alpha1.SemverConversionFailedReason, true, "spec.versionFilter"},
		"nothing satisfies": {semver(">=7"), v1alpha1.PullingLatestVersionFailedReason, false, `semver ">=7"`},
		"nothing matches":   {filter("^x$"), v1alpha1.PullingLatestVersionFailedReason, false, `versionFilter "^x$"`},
		"no such component": {func(sub *v1alpha1.ComponentSubscription) { sub.Spec.Component = "acme.org/other" }, v1alpha1.PullingLatestVersionFailedReason, false, "acme.org/other"},
		"no component name": {func(sub *v1alpha1.ComponentSubscription) { sub.Spec.Component = "https://" }, v1alpha1.InvalidSpecReason, true, "spec.component"},
		"onto itself":       {func(sub *v1alpha1.ComponentSubscription) { sub.Spec.Destination.URL = sub.Spec.Source.URL }, v1alpha1.InvalidSpecReason, true, "spec.destination.url is spec.source.url"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.release("v1.0.0")
			sub := s.subscribe(tc.adjust)
			wantFailed(t, sub, tc.reason, tc.message)
			if _, stalled := reconcilertest.Conditions(sub)[meta.StalledCondition]; stalled != tc.stalled {
				t.Errorf("conditions are %v", reconcilertest.Conditions(sub))
			}
		})
	}
}

func TestDowngrades(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		policy string
		change func(*v1alpha1.ComponentSubscription)
		want   string
		denied bool
	}{
		"deny narrowed":         {v1alpha1.DowngradeDeny, semver("1.x"), "1.1.0", false},
		"deny filtered":         {v1alpha1.DowngradeDeny, filter("^1"), "1.1.0", false},
		"never narrowed":        {v1alpha1.DowngradeNever, semver("1.x"), "2.0.0", true},
		"never narrowed, all":   {v1alpha1.DowngradeNever, func(sub *v1alpha1.ComponentSubscription) { semver("1.x")(sub); all(5)(sub) }, "2.0.0", true},
		"never, all of a range": {v1alpha1.DowngradeNever, all(5), "2.0.0", false},
		"allow narrowed":        {v1alpha1.DowngradeAllow, semver("1.x"), "1.1.0", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.release("1.0.0", "1.1.0", "2.0.0")
			sub := s.subscribe(policy(tc.policy))
			wantReady(t, sub, "2.0.0")
			s.change(sub, func() { tc.change(sub) })
			if tc.denied {
				wantFailed(t, sub, v1alpha1.DowngradeDeniedReason, "2.0.0")
			} else {
				wantReady(t, sub, tc.want)
			}
			if sub.Status.ReplicatedVersion != tc.want || sub.Status.LastAppliedVersion != tc.want || sub.Status.HighestVersion != "2.0.0" {
				t.Errorf("status is %+v", sub.Status)
			}
		})
	}
}

// wantAsked counts what an interval without news asks of the source, which is one listing of some pages and the tags of some versions,
// and of the destination.
func (s *stage) wantAsked(sub *v1alpha1.ComponentSubscription, source, destination map[string]int) {
	s.t.Helper()
	s.rests(sub)
	if diff := cmp.Diff(source, s.from.Requests()); diff != "" {
		s.t.Errorf("requests at the source (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(destination, s.to.Requests()); diff != "" {
		s.t.Errorf("requests at the destination (-want +got):\n%s", diff)
	}
}

// TestManyReplicatedVersions wants as many versions as some components have, all of which were replicated.
func TestManyReplicatedVersions(t *testing.T) {
	t.Parallel()
	const many = 1754
	s := newStage(t)
	s.release("0.1.0")
	for i := range many - 1 {
		s.tag("0.1.0", fmt.Sprintf("0.1.%d", i+1))
	}
	s.from.Paginate(500)
	sub := s.subscribe(semver("0.1.0"), all(many))
	wantReady(t, sub, "0.1.0")
	entry := sub.Status.ReplicatedVersions[0]
	sub.Status.ReplicatedVersions = nil
	for i := range many {
		entry.Version = fmt.Sprintf("0.1.%d", many-1-i)
		sub.Status.ReplicatedVersions = append(sub.Status.ReplicatedVersions, entry)
	}
	sub.Status.ReplicatedVersion, sub.Status.LastAppliedVersion = "0.1.1753", "0.1.1753"
	if err := s.Client.Status().Update(t.Context(), sub); err != nil {
		t.Fatal(err)
	}
	s.change(sub, func() { sub.Spec.Semver, sub.Spec.DriftDetection.Mode = "", v1alpha1.DriftDisabled })
	wantReady(t, sub, "0.1.1753")
	for range 3 {
		s.wantAsked(sub, map[string]int{"GET tags": 4, "HEAD manifests": 17}, map[string]int{})
	}
}

// TestManyVersions has as many versions as some components have: each interval is one listing, and nothing is read of what is known.
func TestManyVersions(t *testing.T) {
	t.Parallel()
	const many = 1754
	s := newStage(t)
	s.release("0.0.1")
	for i := range many {
		s.tag("0.0.1", fmt.Sprintf("0.1.%d", i))
	}
	s.release("1.0.0", "1.0.1", "1.0.2")
	s.from.Paginate(500)
	sub := s.subscribe(all(3))
	wantReady(t, sub, "1.0.2")
	s.settle(sub)
	for range 3 {
		s.wantAsked(sub, map[string]int{"GET tags": 4, "HEAD manifests": 3}, map[string]int{"HEAD manifests": 3, "HEAD blobs": 9})
	}
	// Of more versions than that some are asked for in turn.
	for i := range 27 {
		s.release(fmt.Sprintf("1.1.%d", i))
	}
	s.change(sub, func() { all(30)(sub) })
	wantReady(t, sub, "1.1.26")
	s.settle(sub)
	for range 3 {
		s.wantAsked(sub, map[string]int{"GET tags": 4, "HEAD manifests": 17}, map[string]int{"HEAD manifests": 17, "HEAD blobs": 51})
	}
}
