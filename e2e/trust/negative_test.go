package trust_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest/vectors"
)

// accepted are the vectors where verifiers may differ and this one accepts.
var accepted = []string{"nested-digests-forged"}

// TestNegativeVectors hands everything that was manipulated to the operator. What an honest verifier refuses is not
// published, and the message of the ComponentVersion says what is wrong; what was changed without a signature covering it
// is delivered.
func TestNegativeVectors(t *testing.T) {
	all := vectors.Negatives()
	var archives []string
	for i := range all {
		archives = append(archives, all[i].Archive())
	}
	server := serveVectors(t, archives...)
	for _, n := range all {
		t.Run(n.Archive(), func(t *testing.T) {
			e := e2etest.Shared(t)
			t.Parallel()
			e.Apply(followVector(t, server, n.Archive(), n.Component(), vectors.Version, byKey(vectors.Signature)))
			if n.Honest == vectors.Accept || n.Honest == vectors.Either && slices.Contains(accepted, n.Name) {
				verified(t, e, signedAs(&n))
				delivered(t, e)
				return
			}
			notDelivered(t, e, &n)
		})
	}
}

// notDelivered wants a ComponentVersion to be refused for what is wrong with it, and nothing to come of it.
func notDelivered(t *testing.T, e *e2etest.Env, n *vectors.Negative) {
	t.Helper()
	_, element, _ := strings.Cut(n.Fault.Element, " ")
	parts := []string{n.Component(), element, n.Fault.Found, n.Fault.Wanted}
	for _, name := range n.Fault.Path[1:] {
		parts = append(parts, strings.TrimSuffix(n.Component(), "root")+name+":")
	}
	e.Wait("ComponentVersion", "pear", e2etest.NotReady("ComponentVerificationFailed", parts...))
	// These have seen the ComponentVersion, and would have done what they do.
	e.Wait("Resource", "pear", e2etest.NotReady("ComponentVersionNotReady"))
	e.Wait("FluxDeployer", "pear", e2etest.NotReady("SourceRefNotReady"))
	if cv := componentVersion(t, e, "pear"); cv.Status.Verified || len(cv.Status.Signatures) > 0 || cv.Status.Proof != "" || cv.Status.ReconciledVersion != "" {
		t.Errorf("status of what is refused is %+v", cv.Status)
	}
	for _, kind := range []string{"Snapshot", "ComponentDescriptor", "OCIRepository"} {
		if found := list(t, e, kind); len(found) > 0 {
			t.Errorf("there are %d objects of kind %s, the first is %s", len(found), kind, found[0].GetName())
		}
	}
}

// signedAs returns the vector that was manipulated.
func signedAs(n *vectors.Negative) *vectors.Signed {
	place := "classic/signed-RSASSA-PKCS1-V1_5-SHA-256-v3"
	if n.Set == "negative-new" {
		place = "new/signed-pkcs1-SHA-256-v4alpha1"
	}
	for _, s := range vectors.AllSigned() {
		if s.Place == place {
			return &s
		}
	}
	return &vectors.Signed{}
}
