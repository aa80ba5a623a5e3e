package choice

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
)

// Signatures returns the signatures that hold as a status has them. One that was there before keeps its time.
func Signatures(checked []signing.Checked, before []v1alpha1.VerifiedSignature, now time.Time) []v1alpha1.VerifiedSignature {
	var out []v1alpha1.VerifiedSignature
	for _, c := range checked {
		signature := v1alpha1.VerifiedSignature{
			Name: c.Name, Algorithm: c.Algorithm, Digest: digestText(c.Digest), KeyFingerprint: c.KeyFingerprint,
			Time: metav1.NewTime(now).Rfc3339Copy(),
		}
		if !c.Expires.IsZero() {
			expires := metav1.NewTime(c.Expires).Rfc3339Copy()
			signature.Expires = &expires
		}
		for _, known := range before {
			if known.Name == signature.Name && known.Algorithm == signature.Algorithm && known.Digest == signature.Digest &&
				known.KeyFingerprint == signature.KeyFingerprint {
				signature.Time = known.Time
			}
		}
		out = append(out, signature)
	}
	return out
}

// digestText writes a digest with the algorithms by which it was made.
func digestText(d descriptor.Digest) string {
	return fmt.Sprintf("%s:%s[%s]", d.HashAlgorithm, d.Value, d.NormalisationAlgorithm)
}

// Expired tells whether a certificate isn't valid any more that one of the signatures relies on.
func Expired(signatures []v1alpha1.VerifiedSignature, now time.Time) bool {
	for _, signature := range signatures {
		if signature.Expires != nil && !now.Before(signature.Expires.Time) {
			return true
		}
	}
	return false
}

// Expiry is when the first certificate isn't valid any more that one of the signatures relies on; it is zero if there is none. A
// certificate is valid to the end of the second that it names.
func Expiry(signatures []v1alpha1.VerifiedSignature) time.Time {
	var first time.Time
	for _, signature := range signatures {
		if at := signature.Expires; at != nil && (first.IsZero() || at.Add(time.Second).Before(first)) {
			first = at.Add(time.Second)
		}
	}
	return first
}
