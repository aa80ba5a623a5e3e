package subscription

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/versions"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/choice"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

// anyRelease is the constraint of those who set none.
const anyRelease = "*"

// resolveVersions lists the versions, and finds those that the spec wants.
func (c *controller) resolveVersions(ctx context.Context, r *run) error {
	wants, err := selection(&r.obj.Spec)
	if err != nil {
		return lifecycle.Stall(v1alpha1.SemverConversionFailedReason, err)
	}
	if r.listed, err = c.list(ctx, r); err != nil {
		return unread(v1alpha1.PullingLatestVersionFailedReason, fmt.Errorf("list the versions of %s: %w", r.component, err))
	}
	if r.matching, err = wants(choice.Candidates(r.listed, r.current())); err != nil {
		return lifecycle.Stall(v1alpha1.SemverConversionFailedReason, err)
	}
	if len(r.matching) == 0 {
		return lifecycle.Fail(v1alpha1.PullingLatestVersionFailedReason, fmt.Errorf("no version of %s satisfies %s; %s has %s",
			r.component, constraints(&r.obj.Spec), r.source.URL(), choice.Some(r.listed)))
	}
	if r.obj.Spec.DowngradePolicy == v1alpha1.DowngradeAllow && !slices.Contains(r.listed, r.current()) {
		r.matching = choice.Last(r.matching, r.current())
	}
	r.memory.matching = r.matching
	return nil
}

// list returns the versions that the source has. A round over many versions takes one listing for as long as an interval, unless the
// object was changed or asked for since.
func (c *controller) list(ctx context.Context, r *run) ([]string, error) {
	of := r.component + " " + r.source.Fingerprint()
	known, asked, now := r.memory.listing, c.arrivals.Freshness(r.obj, time.Hour, true).Since, time.Now()
	if known.of == of && !asked.After(known.at) && now.Sub(known.at) < r.obj.Spec.Interval.Duration {
		return known.versions, nil
	}
	all, err := r.source.VersionsWithin(ctx, r.component, r.freshness)
	if err != nil {
		return nil, err
	}
	r.memory.listing = listing{of, now, all}
	return all, nil
}

// selection returns what picks the versions that a spec wants, the newest first.
func selection(spec *v1alpha1.ComponentSubscriptionSpec) (func(all []string) ([]string, error), error) {
	constraint := spec.Semver
	if constraint == "" {
		constraint = anyRelease
	}
	if err := versions.Check(constraint); err != nil {
		return nil, fmt.Errorf("spec.semver: %w", err)
	}
	filter, err := regexp.Compile(spec.VersionFilter) // an empty one matches everything
	if err != nil {
		return nil, fmt.Errorf("spec.versionFilter: %w: write a regular expression in the syntax of RE2, for example ^v[0-9.]+$", err)
	}
	return func(all []string) ([]string, error) {
		return versions.Select(slices.DeleteFunc(slices.Clone(all), func(version string) bool { return !filter.MatchString(version) }), constraint)
	}, nil
}

// constraints says what a spec wants.
func constraints(spec *v1alpha1.ComponentSubscriptionSpec) string {
	text := fmt.Sprintf("semver %q", spec.Semver)
	if spec.Semver == "" {
		text = "an empty semver, which is any version that is no pre-release"
	}
	if spec.VersionFilter != "" {
		text += fmt.Sprintf(" and versionFilter %q", spec.VersionFilter)
	}
	return text
}

// unread is the verdict when the source or the destination can't be read. Credentials that are refused have a reason of their own.
func unread(reason string, err error) error {
	if isUnauthorized(err) {
		reason = v1alpha1.AuthenticationFailedReason
	}
	return access.Verdict(reason, err)
}

// current is the version in use. It counts only for the component and the repositories that it belongs to.
func (r *run) current() string {
	status := r.obj.Status
	if status.Component != r.component || status.SourceRepositoryURL != r.obj.Spec.Source.URL || status.ReplicatedRepositoryURL != r.target() {
		return ""
	}
	return status.ReplicatedVersion
}

// highest is the highest version of the component that was ever replicated.
func (r *run) highest() string {
	if r.obj.Status.Component != r.component {
		return ""
	}
	return choice.Highest(r.obj.Status.HighestVersion, r.obj.Status.ReplicatedVersion)
}

// floor is the version that no lower one may replace.
func (r *run) floor() string {
	rule := choice.Rule{Policy: r.obj.Spec.DowngradePolicy, Current: r.current(), Highest: r.highest()}
	return rule.Floor(r.matching)
}

// shortlist bounds how many versions are gone over where one is wanted: the newest ones, and the one in use.
func (r *run) shortlist(permitted []string) []string {
	if r.obj.Spec.GetLimit() > 1 {
		return permitted
	}
	return choice.Shortlist(permitted, r.current())
}

// announce takes the first version that was found for the newest one, and reports it, whether it is used or passed over, once for
// each generation of the object.
func (c *controller) announce(r *run, found candidate) {
	if r.latest != (candidate{}) {
		return
	}
	r.latest, r.obj.Status.LatestVersion = found, found.version
	key := r.owner().String()
	text := fmt.Sprintf("%s %d %s", r.obj.UID, r.obj.Generation, found)
	if last, ok := c.announced.Get(key); ok && last == text {
		return
	}
	c.announced.Add(key, text)
	if !r.ready() || r.known(found.version) != found.manifest {
		r.events.Normal(r.obj, meta.ProgressingReason, "Version check succeeded, found latest version: "+found.version)
	}
}
