package choice

import (
	"errors"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
)

// Refusal is a reason for which versions are refused.
type Refusal struct {
	Why      string
	Versions []string
}

// String says which versions are refused, and why.
func (r Refusal) String() string { return Enumerate(r.Versions) + ": " + r.Why }

// Refusals returns the first few reasons for which versions are refused, and how many more there are. Versions that are refused for the
// same reason, as with a wrong key, are told of together.
func Refusals(refused []v1alpha1.PassedOverVersion) (first []Refusal, more int) {
	const few = 3
	at := map[string]int{}
	var all []Refusal
	for _, version := range refused {
		i, known := at[version.Message]
		if !known {
			i = len(all)
			at[version.Message], all = i, append(all, Refusal{Why: version.Message})
		}
		all[i].Versions = append(all[i].Versions, version.Version)
	}
	first = all[:min(len(all), few)]
	return first, len(all) - len(first)
}

// Why says why a version is refused. Its own name is left out: it is said already.
func Why(err error) string {
	if e, ok := errors.AsType[*verify.Error](err); ok && len(e.Path) <= 1 {
		return (&verify.Error{Element: e.Element, Err: e.Err}).Error()
	}
	return err.Error()
}
