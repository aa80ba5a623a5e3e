package choice_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
	"github.com/ocm-operator/ocm-operator/reconcilers/choice"
)

// TestTimesOfSignaturesAreKept: the time is that of the first check, of this signature and with this key.
func TestTimesOfSignaturesAreKept(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 4, 5, 6, 7, 8, time.UTC)
	since := metav1.NewTime(now.Add(-time.Hour)).Rfc3339Copy()
	checked := signing.Checked{
		Name: "dev", Algorithm: signing.PSS, KeyFingerprint: "sha256:aa", Expires: now.Add(time.Hour),
		Digest: descriptor.Digest{HashAlgorithm: "SHA-256", NormalisationAlgorithm: "jsonNormalisation/v3", Value: "0f"},
	}
	first := choice.Signatures([]signing.Checked{checked}, nil, since.Time)
	if got := first[0]; got.Digest != "SHA-256:0f[jsonNormalisation/v3]" || got.Algorithm != signing.PSS || !got.Time.Equal(&since) || got.Expires.Nanosecond() != 0 {
		t.Errorf("signature is %+v", got)
	}
	for name, tc := range map[string]struct {
		change func(*signing.Checked)
		kept   bool
	}{
		"same":       {func(*signing.Checked) {}, true},
		"renewed":    {func(c *signing.Checked) { c.Expires = now.Add(2 * time.Hour) }, true},
		"other name": {func(c *signing.Checked) { c.Name = "ops" }, false},
		"algorithm":  {func(c *signing.Checked) { c.Algorithm = signing.PKCS1 }, false},
		"digest":     {func(c *signing.Checked) { c.Digest.Value = "1f" }, false},
		"key":        {func(c *signing.Checked) { c.KeyFingerprint = "sha256:bb" }, false},
	} {
		changed := checked
		tc.change(&changed)
		got := choice.Signatures([]signing.Checked{changed}, first, now)
		if kept := got[0].Time.Equal(&since); kept != tc.kept {
			t.Errorf("%s: the time is kept: %t", name, kept)
		}
	}
}
