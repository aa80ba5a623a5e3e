package choice_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
	"github.com/ocm-operator/ocm-operator/reconcilers/choice"
)

func TestPermitted(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rule     choice.Rule
		matching []string
		want     []string
		reason   string
	}{
		"first time":                 {choice.Rule{}, []string{"2.0.0", "1.0.0"}, []string{"2.0.0", "1.0.0"}, "nothing is in use"},
		"deny":                       {choice.Rule{Current: "1.1.0"}, []string{"1.2.0", "1.1.0", "1.0.0"}, []string{"1.2.0", "1.1.0"}, "it does not go back"},
		"deny, rejected":             {choice.Rule{Current: "2.0.0", Highest: "2.0.0"}, []string{"1.1.0", "1.0.0"}, []string{"1.1.0", "1.0.0"}, "the user wants another one"},
		"allow":                      {choice.Rule{Policy: v1alpha1.DowngradeAllow, Current: "1.1.0"}, []string{"1.1.0", "1.0.0"}, []string{"1.1.0", "1.0.0"}, "it goes back"},
		"never":                      {choice.Rule{Policy: v1alpha1.DowngradeNever, Current: "1.0.0", Highest: "2.0.0"}, []string{"2.1.0", "2.0.0", "1.1.0"}, []string{"2.1.0", "2.0.0"}, "the highest one counts"},
		"never, all are lower":       {choice.Rule{Policy: v1alpha1.DowngradeNever, Highest: "2.0.0"}, []string{"1.1.0"}, []string{}, "whatever the constraint says"},
		"never, older note":          {choice.Rule{Policy: v1alpha1.DowngradeNever, Current: "2.0.0", Highest: "1.0.0"}, []string{"2.0.0", "1.1.0"}, []string{"2.0.0"}, "what is in use was in use"},
		"build metadata is an order": {choice.Rule{Current: "1.0.0+2"}, []string{"1.0.0+2", "1.0.0+1"}, []string{"1.0.0+2"}, "1.0.0+1 is older"},
	} {
		if diff := cmp.Diff(tc.want, tc.rule.Permitted(tc.matching)); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", name, tc.reason, diff)
		}
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	many := []string{"12.0.0", "11.0.0", "10.0.0", "9.0.0", "8.0.0", "7.0.0", "6.0.0", "5.0.0", "4.0.0", "3.0.0", "2.0.0", "1.0.0"}
	for name, tc := range map[string]struct{ got, want []string }{
		"one that was withdrawn is a candidate":   {choice.Candidates([]string{"1.0.0"}, "2.0.0"), []string{"1.0.0", "2.0.0"}},
		"one that is listed is one candidate":     {choice.Candidates([]string{"1.0.0"}, "1.0.0"), []string{"1.0.0"}},
		"none in use":                             {choice.Candidates([]string{"1.0.0"}, ""), []string{"1.0.0"}},
		"last":                                    {choice.Last([]string{"3.0.0", "2.0.0", "1.0.0"}, "2.0.0"), []string{"3.0.0", "1.0.0", "2.0.0"}},
		"last of others":                          {choice.Last([]string{"3.0.0"}, "2.0.0"), []string{"3.0.0"}},
		"a short list stays":                      {choice.Shortlist(many[:3], "1.0.0"), many[:3]},
		"a long one is cut":                       {choice.Shortlist(many, ""), many[:choice.MaxTried]},
		"what is in use is looked at besides":     {choice.Shortlist(many, "1.0.0"), append(many[:choice.MaxTried:choice.MaxTried], "1.0.0")},
		"what is in use and rejected is no entry": {choice.Shortlist(many, "0.1.0"), many[:choice.MaxTried]},
	} {
		if diff := cmp.Diff(tc.want, tc.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for got, want := range map[string]string{
		choice.Some(nil): "no versions",
		choice.Some([]string{"1.0.0", "2.0.0", "no"}): "2.0.0, 1.0.0",
		choice.Enumerate(many):                        "12.0.0, 11.0.0, 10.0.0, 9.0.0, 8.0.0 and 7 more",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestClip(t *testing.T) {
	t.Parallel()
	if got := choice.Clip("short", 5); got != "short" {
		t.Errorf("got %q, want what fits as it is", got)
	}
	cut := choice.Clip(strings.Repeat("ä", 20), 10)
	if len(cut) > 10 || !utf8.ValidString(cut) || !strings.HasSuffix(cut, "...") {
		t.Errorf("got %q, want at most 10 bytes of whole characters with the mark of a cut", cut)
	}
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	checked := signing.Checked{
		Name: "release", Algorithm: "RSASSA-PSS", KeyFingerprint: "sha256:01", Expires: now.Add(time.Hour),
		Digest: descriptor.Digest{HashAlgorithm: "SHA-256", NormalisationAlgorithm: "jsonNormalisation/v3", Value: "0123"},
	}
	first := choice.Signatures([]signing.Checked{checked}, nil, now)
	expires := metav1.NewTime(now.Add(time.Hour)).Rfc3339Copy()
	want := []v1alpha1.VerifiedSignature{{
		Name: "release", Algorithm: "RSASSA-PSS", Digest: "SHA-256:0123[jsonNormalisation/v3]", KeyFingerprint: "sha256:01",
		Time: metav1.NewTime(now).Rfc3339Copy(), Expires: &expires,
	}}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("signatures (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(first, choice.Signatures([]signing.Checked{checked}, first, now.Add(time.Minute))); diff != "" {
		t.Errorf("checked again, it keeps its time (-want +got):\n%s", diff)
	}
	if at, want := choice.Expiry(first), expires.Add(time.Second); !at.Equal(want) {
		t.Errorf("expires at %s, want %s", at, want)
	}
	if choice.Expired(first, expires.Add(-time.Second)) || !choice.Expired(first, expires.Time) {
		t.Error("a certificate holds until it expires, and no longer")
	}
}
