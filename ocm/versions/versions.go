// Package versions orders component versions and picks those a constraint
// allows.
//
// It follows the rules users know from Helm: versions may have a leading v and
// may leave out minor and patch, and pre-releases are picked only by a
// constraint that mentions one. It knows nothing about where versions come from.
package versions

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// maxConstraintLength bounds a constraint; it is matched by regular
// expressions against every version.
const maxConstraintLength = 512

// ErrInvalidConstraint says that a constraint cannot be understood.
var ErrInvalidConstraint = errors.New("invalid version constraint")

// Select returns the versions the constraint allows, newest first. What is not
// a version is left out. Versions that differ only in build metadata or in
// their spelling have an order, too, so equal input gives equal output: the one
// the constraint spells out comes first, then the one with the greater build
// metadata, then the plainer spelling.
func Select(all []string, constraint string) ([]string, error) {
	c, err := parseConstraint(constraint)
	if err != nil {
		return nil, err
	}
	parsed := parse(all)
	matching := slices.DeleteFunc(parsed, func(v *semver.Version) bool { return !c.Check(v) })
	sortNewestFirst(matching, strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(constraint), "=")))
	return texts(matching), nil
}

// Sort returns the versions newest first, without what is not a version.
func Sort(all []string) []string {
	parsed := parse(all)
	sortNewestFirst(parsed, "")
	return texts(parsed)
}

// Lower reports whether a version is lower than another one, in the order of
// Sort: build metadata counts, as it is all that tells two builds apart. The
// spelling does not, and what is not a version is neither lower nor higher than
// anything.
func Lower(version, other string) bool {
	v, err := semver.NewVersion(version)
	if err != nil {
		return false
	}
	o, err := semver.NewVersion(other)
	return err == nil && cmp.Or(v.Compare(o), compareMetadata(v.Metadata(), o.Metadata())) < 0
}

// Check reports whether the constraint is one Select understands.
func Check(constraint string) error {
	_, err := parseConstraint(constraint)
	return err
}

// Exact returns the version a constraint names when it allows only this one, so
// that there is no need to list any. A version with a part missing, such as
// 1.2, is a constraint that allows every 1.2.x.
func Exact(constraint string) (string, bool) {
	text := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(constraint), "="))
	v, err := semver.StrictNewVersion(strings.TrimPrefix(text, "v"))
	if err != nil || v == nil {
		return "", false
	}
	return text, true
}

func parseConstraint(constraint string) (*semver.Constraints, error) {
	if strings.TrimSpace(constraint) == "" {
		return nil, fmt.Errorf("%w: it is empty, write for example 1.2.3 or >=1.0.0", ErrInvalidConstraint)
	}
	if len(constraint) > maxConstraintLength {
		return nil, fmt.Errorf("%w: it has %d characters, at most %d are allowed", ErrInvalidConstraint, len(constraint), maxConstraintLength)
	}
	c, err := semver.NewConstraint(constraint)
	if err != nil {
		return nil, fmt.Errorf("%w %q, write for example 1.2.3, ~1.2 or >=1.0.0: %w", ErrInvalidConstraint, constraint, err)
	}
	return c, nil
}

func parse(all []string) []*semver.Version {
	out := make([]*semver.Version, 0, len(all))
	for _, s := range all {
		if v, err := semver.NewVersion(s); err == nil {
			out = append(out, v)
		}
	}
	return out
}

func texts(all []*semver.Version) []string {
	out := make([]string, 0, len(all))
	for _, v := range all {
		out = append(out, v.Original())
	}
	return slices.Compact(out)
}

func sortNewestFirst(all []*semver.Version, named string) {
	slices.SortFunc(all, func(a, b *semver.Version) int {
		return cmp.Or(
			b.Compare(a),
			boolFirst(a.Original() == named, b.Original() == named),
			compareMetadata(b.Metadata(), a.Metadata()),
			cmp.Compare(len(a.Original()), len(b.Original())),
			strings.Compare(a.Original(), b.Original()),
		)
	})
}

func boolFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// compareMetadata orders build metadata the way pre-releases are ordered:
// numbers by value and below words, fewer parts below more.
func compareMetadata(a, b string) int {
	if a == b {
		return 0
	}
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	if a == "" || b == "" {
		return cmp.Compare(len(a), len(b))
	}
	for i := range min(len(as), len(bs)) {
		if c := compareIdentifier(as[i], bs[i]); c != 0 {
			return c
		}
	}
	return cmp.Or(cmp.Compare(len(as), len(bs)), strings.Compare(a, b))
}

func compareIdentifier(a, b string) int {
	an, aerr := strconv.ParseUint(a, 10, 64)
	bn, berr := strconv.ParseUint(b, 10, 64)
	switch {
	case aerr == nil && berr == nil:
		return cmp.Compare(an, bn)
	case aerr == nil:
		return -1
	case berr == nil:
		return 1
	}
	return strings.Compare(a, b)
}
