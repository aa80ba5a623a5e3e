package componentversion

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/versions"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/choice"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

// errNothingMatches is matched by the errors that say that there is no such version.
var errNothingMatches = errors.New("no matching versions found")

// candidate is a version that may be used, with the digest of its manifest.
type candidate struct {
	version  string
	manifest digest.Digest
}

// lookup finds the digest that a version has now. It returns false for a tag that leads to no component version.
type lookup func(ctx context.Context, version string) (candidate, bool, error)

// choose picks the version. An exact version costs no listing.
func (c *controller) choose(ctx context.Context, r *run) (candidate, error) {
	fresh := c.arrivals.Freshness(r.obj, r.obj.Spec.Interval.Duration, r.ready())
	if exact, ok := versions.Exact(r.obj.Spec.Version.Semver); ok {
		found, _, err := r.resolve(ctx, exact, fresh)
		if errors.Is(err, ocm.ErrNotFound) && exact == r.current() {
			found, err = r.inUse(), nil
		}
		if err == nil {
			return c.newest(ctx, r, []string{exact}, func(context.Context, string) (candidate, bool, error) { return found, true, nil })
		}
		if !errors.Is(err, ocm.ErrNotFound) {
			return candidate{}, err
		}
		// The tag may spell the version otherwise, with or without "v": the listing that is part of the answer finds it.
		if missing, ok := errors.AsType[*ocm.NotFoundError](err); ok && len(missing.Available) > 0 {
			return c.pick(ctx, r, missing.Available, fresh)
		}
	}
	all, err := r.repository.VersionsWithin(ctx, r.obj.Spec.Component, fresh)
	if err != nil {
		return candidate{}, err
	}
	return c.pick(ctx, r, all, fresh)
}

// pick takes the newest of the versions that satisfies the constraint.
func (c *controller) pick(ctx context.Context, r *run, all []string, fresh access.Freshness) (candidate, error) {
	constraint := r.obj.Spec.Version.Semver
	matching, err := versions.Select(choice.Candidates(all, r.current()), constraint)
	if err != nil {
		return candidate{}, lifecycle.Stall(v1alpha1.CheckVersionFailedReason, err)
	}
	if len(matching) == 0 {
		return candidate{}, fmt.Errorf("%w for constraint %q; %s has %s", errNothingMatches, constraint, r.repository.URL(), choice.Some(all))
	}
	if r.obj.Spec.Version.DowngradePolicy == v1alpha1.DowngradeAllow && !slices.Contains(all, r.current()) {
		matching = choice.Last(matching, r.current())
	}
	return c.newest(ctx, r, matching, r.tagged(all, fresh))
}

// newest returns the newest of the versions, which are in their order, that may be used: it is not too low, it is a component
// version and not something else under a tag that looks like one, and it holds what spec.verify asks for.
func (c *controller) newest(ctx context.Context, r *run, matching []string, find lookup) (candidate, error) {
	permitted, err := r.permitted(matching)
	if err != nil {
		return candidate{}, err
	}
	var refused []v1alpha1.PassedOverVersion
	tried := choice.Shortlist(permitted, r.current())
	for _, version := range tried {
		found, ok, err := find(ctx, version)
		if err != nil {
			return candidate{}, err
		}
		if !ok {
			continue
		}
		if r.first == (candidate{}) {
			r.first = found
		}
		proof, why, err := c.verify(ctx, r, found)
		if err != nil {
			return candidate{}, err
		}
		if why == "" {
			r.proof, r.passedOver = proof, refused
			return found, nil
		}
		refused = append(refused, v1alpha1.PassedOverVersion{Version: version, ManifestDigest: found.manifest.String(), Message: why})
	}
	if len(refused) == 0 {
		return candidate{}, fmt.Errorf("%w: the tags %s are no versions of the component", errNothingMatches, strings.Join(tried, ", "))
	}
	return candidate{}, r.refuse(refused, len(permitted)-len(tried), len(permitted) < len(matching))
}

// tagged looks versions up by their tags. A version in use whose tag is gone stays what it was pinned to, which may be there
// still.
func (r *run) tagged(all []string, fresh access.Freshness) lookup {
	return func(ctx context.Context, version string) (candidate, bool, error) {
		if version == r.current() && r.inUse().manifest != "" && !slices.Contains(all, version) {
			return r.inUse(), true, nil
		}
		found, sure, err := r.resolve(ctx, version, fresh)
		if err != nil || sure {
			return found, true, err
		}
		_, err = r.repository.Pinned(ctx, r.node(found))
		return found, !errors.Is(err, ocm.ErrNotComponent), nil // another error is the next step's
	}
}

// resolve finds the digest that the tag of a version has now, and tells whether it is sure to be that of a component version.
// A version that the status knows most likely is what it was, so nothing but the digest is asked for; any other one will be
// read, which tells the digest, too.
func (r *run) resolve(ctx context.Context, version string, fresh access.Freshness) (candidate, bool, error) {
	component := r.obj.Spec.Component
	known := r.known(version)
	if known == "" {
		manifest, sure, err := r.repository.ReadWithin(ctx, component, version, fresh)
		return candidate{version, manifest}, sure, err
	}
	manifest, err := r.repository.ResolveWithin(ctx, component, version, fresh)
	return candidate{version, manifest}, manifest == known, err
}

// known returns the digest that a version has in the status, if it is in use or was passed over.
func (r *run) known(version string) digest.Digest {
	if version == r.current() {
		return r.inUse().manifest
	}
	for _, passed := range r.obj.Status.PassedOver {
		if passed.Version == version {
			return digest.Digest(passed.ManifestDigest)
		}
	}
	return ""
}

// node names a candidate for those who read it.
func (r *run) node(found candidate) source.Node {
	return source.Node{Component: r.obj.Spec.Component, Version: found.version, ManifestDigest: found.manifest.String()}
}
