package source

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
)

// MixedVersionsError says that two inputs come from different versions of one component, or from one version before and
// after it was verified. It passes by itself when the input that is behind has caught up.
type MixedVersionsError struct {
	// Left and Right are the inputs.
	Left, Right Ref
	// LeftOrigin and RightOrigin are where they come from: the same ComponentVersion object, at different states.
	LeftOrigin, RightOrigin v1alpha1.Origin
	// Suspended are those of the two that catch up with nothing.
	Suspended []Ref
}

// Error implements error.
func (e *MixedVersionsError) Error() string {
	left, right := e.LeftOrigin.Version, e.RightOrigin.Version
	if left == right && e.LeftOrigin.ManifestDigest != e.RightOrigin.ManifestDigest {
		left, right = left+"@"+e.LeftOrigin.ManifestDigest, right+"@"+e.RightOrigin.ManifestDigest
	}
	if e.LeftOrigin.Verified != e.RightOrigin.Verified {
		left, right = left+" "+verifiedText(e.LeftOrigin), right+" "+verifiedText(e.RightOrigin)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s holds version %s of ComponentVersion %s/%s and %s holds version %s; waiting until both hold the same",
		e.Left, left, e.LeftOrigin.Namespace, e.LeftOrigin.Name, e.Right, right)
	for _, ref := range e.Suspended {
		fmt.Fprintf(&text, "; %s is suspended: resume it if it is behind", ref)
	}
	return text.String()
}

func verifiedText(o v1alpha1.Origin) string {
	if o.Verified {
		return "(verified)"
	}
	return "(not verified)"
}

// Input is something that an object combines with others.
type Input struct {
	// Ref is where it comes from.
	Ref Ref
	// Origins are the component versions that it came from.
	Origins []v1alpha1.Origin
	// Suspended is set when it stays what it is.
	Suspended bool
}

func suspended(inputs ...Input) []Ref {
	var refs []Ref
	for _, input := range inputs {
		if input.Suspended {
			refs = append(refs, input.Ref)
		}
	}
	return refs
}

// OriginOf returns the origin of what is read from a component version.
func OriginOf(cv *v1alpha1.ComponentVersion) v1alpha1.Origin {
	return v1alpha1.Origin{
		Namespace: cv.Namespace, Name: cv.Name,
		Version: cv.Status.ReconciledVersion, ManifestDigest: cv.Status.ManifestDigest, Verified: cv.Status.Verified,
	}
}

// Combine checks that the inputs hold the same version of every component that they share, all of them verified or none,
// and returns all origins, each once and sorted. It returns a *MixedVersionsError when they do not.
func Combine(inputs ...Input) ([]v1alpha1.Origin, error) {
	type object struct{ namespace, name string }
	type seen struct {
		input  Input
		origin v1alpha1.Origin
	}
	first := map[object]seen{}
	for _, input := range inputs {
		for _, origin := range input.Origins {
			key := object{origin.Namespace, origin.Name}
			other, ok := first[key]
			if !ok {
				first[key] = seen{input, origin}
				continue
			}
			if other.origin != origin {
				return nil, &MixedVersionsError{
					Left: other.input.Ref, LeftOrigin: other.origin, Right: input.Ref, RightOrigin: origin, Suspended: suspended(other.input, input),
				}
			}
		}
	}
	origins := make([]v1alpha1.Origin, 0, len(first))
	for _, s := range first {
		origins = append(origins, s.origin)
	}
	slices.SortFunc(origins, func(a, b v1alpha1.Origin) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return origins, nil
}
