// Package choice picks the versions of a component that an object may use, of those that there are: by a constraint, by what was in
// use before, and by the policy that says when to go back. It is about lists of versions and asks nobody.
package choice

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/versions"
)

// MaxTried bounds how many versions are looked at that turn out to be something else, or can't be verified. The version in use is
// looked at besides.
const MaxTried = 10

// Rule says when a version may be replaced by a lower one.
type Rule struct {
	// Policy is DowngradeDeny, which is the default, DowngradeAllow or DowngradeNever.
	Policy string
	// Current is the version in use, and Highest the highest one that ever was; they are empty if there is none.
	Current, Highest string
}

// Floor is the version that no lower one may replace; it is empty if there is none.
func (r Rule) Floor(matching []string) string {
	switch r.Policy {
	case v1alpha1.DowngradeAllow:
		return ""
	case v1alpha1.DowngradeNever:
		return Highest(r.Highest, r.Current)
	}
	if slices.Contains(matching, r.Current) {
		return r.Current
	}
	return "" // the constraint rejects the one in use, so the user wants to go back
}

// Permitted leaves out the versions that are lower than the floor. The order stays.
func (r Rule) Permitted(matching []string) []string {
	floor := r.Floor(matching)
	return slices.DeleteFunc(slices.Clone(matching), func(version string) bool { return versions.Lower(version, floor) })
}

// Highest returns the higher one of two versions, of which one may be empty.
func Highest(known, used string) string {
	if known == "" || versions.Lower(known, used) {
		return used
	}
	return known
}

// Candidates are the versions to choose from. The current one is among them even when it disappeared from the listing: that is no
// reason to go back while it matches and nothing newer does.
func Candidates(all []string, current string) []string {
	if current == "" || slices.Contains(all, current) {
		return all
	}
	return append(slices.Clone(all), current)
}

// Last moves a version to the end of a list, if it is there.
func Last(all []string, version string) []string {
	i := slices.Index(all, version)
	if i < 0 {
		return all
	}
	return append(slices.Delete(slices.Clone(all), i, i+1), version)
}

// Shortlist bounds how many versions are looked at. The current one stays among them.
func Shortlist(permitted []string, current string) []string {
	if len(permitted) <= MaxTried {
		return permitted
	}
	short := slices.Clone(permitted[:MaxTried])
	if !slices.Contains(short, current) && slices.Contains(permitted, current) {
		short = append(short, current)
	}
	return short
}

// Some lists the newest few versions for a message.
func Some(all []string) string {
	if len(all) == 0 {
		return "no versions"
	}
	return Enumerate(versions.Sort(slices.Clone(all)))
}

// Enumerate lists the first few of many for a message.
func Enumerate(all []string) string {
	const few = 5
	if len(all) <= few {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:few], ", "), len(all)-few)
}

// ellipsis ends a text that was cut.
const ellipsis = "..."

// Clip bounds a text for a message or a status, to the given number of bytes with the mark of the cut.
func Clip(text string, size int) string {
	if len(text) <= size {
		return text
	}
	return strings.ToValidUTF8(text[:max(0, size-len(ellipsis))], "") + ellipsis
}
