package verify_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest/vectors"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
)

// accepted are the vectors where verifiers may differ and this one accepts.
// Forged nestedDigests are not signed, and nobody looks at them.
var accepted = []string{"nested-digests-forged"}

// TestNegativeVectors verifies everything that was manipulated, in archives and
// registries. The verdict is that of who reads everything, and it says what is
// wrong, where, and how.
func TestNegativeVectors(t *testing.T) {
	t.Parallel()
	o := withImages(t)
	for _, n := range vectors.Negatives() {
		t.Run(n.Set+" "+n.Name, func(t *testing.T) {
			t.Parallel()
			place := vectors.Signed{Place: n.Archive()}
			for _, repo := range places(t, &place, o) {
				proof, err := verifyVector(t, repo, n.Component(), vectors.Version, requestOf(t, vectors.Signature, "good.pub.pem"))
				if n.Honest == vectors.Accept || n.Honest == vectors.Either && slices.Contains(accepted, n.Name) {
					if err != nil || len(proof.Signatures) != 1 || len(proof.Versions) != 3 {
						t.Errorf("%s: Verify = %+v, %v; want that %s is accepted", repo.URL(), proof, err, n.Why)
					}
					continue
				}
				if err == nil {
					t.Errorf("%s: nothing was found, but %s", repo.URL(), n.Why)
					continue
				}
				checkFault(t, repo, &n, err)
			}
		})
	}
}

// checkFault wants a refusal to say what is wrong with a vector.
func checkFault(t *testing.T, repo *ocm.Repository, n *vectors.Negative, err error) {
	t.Helper()
	refused, ok := errors.AsType[*verify.Error](err)
	if !ok || !errors.Is(err, verify.ErrRefused) {
		t.Errorf("%s: Verify = %v, want a refusal", repo.URL(), err)
		return
	}
	f := n.Fault
	kind, name, _ := strings.Cut(f.Element, " ")
	if got := lastParts(refused.Path); !slices.Equal(got, f.Path) {
		t.Errorf("%s: fault is at %q, want %q", repo.URL(), refused.Path, f.Path)
	}
	if kind == "resource" && refused.Element != "resource "+name+":"+resourceVersion(name) {
		t.Errorf("%s: fault is in %q, want %s", repo.URL(), refused.Element, f.Element)
	}
	for _, part := range []string{name, f.Found, f.Wanted} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s: error is %q, which doesn't say %q", repo.URL(), err, part)
		}
	}
}

func resourceVersion(name string) string {
	if name == "web-image" {
		return "1.0.0"
	}
	return vectors.Version
}

// lastParts returns the last parts of the names of component versions.
func lastParts(path []string) []string {
	var out []string
	for _, p := range path {
		name, _, _ := strings.Cut(p, ":")
		out = append(out, name[strings.LastIndex(name, "/")+1:])
	}
	return out
}
