package source_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

func TestProtection(t *testing.T) {
	t.Parallel()
	node := source.Node{Component: "acme.org/app", Version: "1.0.0"}
	excluded := &descriptor.Digest{HashAlgorithm: descriptor.NoDigest, NormalisationAlgorithm: descriptor.ExcludeFromSignature, Value: descriptor.NoDigest}
	sound := &descriptor.Digest{HashAlgorithm: descriptor.SHA256, NormalisationAlgorithm: descriptor.GenericBlobDigest, Value: strings.Repeat("0", 64)}
	// with is the sound digest with something else in one of its parts.
	with := func(change func(d *descriptor.Digest)) *descriptor.Digest {
		d := *sound
		change(&d)
		return &d
	}
	for name, tc := range map[string]struct {
		digest *descriptor.Digest
		access string
		says   string
	}{
		"protected":  {sound, "localBlob", ""},
		"excluded":   {excluded, "localBlob", "its publisher excluded its content from what is signed; publish the component version with a digest"},
		"no content": {nil, "none", "its access is none; name another resource"},
		"no digest":  {nil, "localBlob", "it has no digest, so that its content can't be compared with anything; publish"},
		"no hash":    {with(func(d *descriptor.Digest) { d.HashAlgorithm = descriptor.NoDigest }), "localBlob", "nothing proves its content: its digest is NO-DIGEST in parts"},
		"no form": {
			with(func(d *descriptor.Digest) { d.NormalisationAlgorithm = descriptor.ExcludeFromSignature }), "localBlob", "nothing proves its content: its digest is NO-DIGEST in parts",
		},
		"no value":       {with(func(d *descriptor.Digest) { d.Value = descriptor.NoDigest }), "localBlob", "nothing proves its content: its digest is NO-DIGEST in parts"},
		"unknown hash":   {with(func(d *descriptor.Digest) { d.HashAlgorithm = "CRC-32" }), "localBlob", `nothing proves its content: `},
		"unknown form":   {with(func(d *descriptor.Digest) { d.NormalisationAlgorithm = "none/v1" }), "localBlob", `nothing proves its content: its digest is of kind "none/v1"`},
		"digest of none": {sound, "none", "its access is none; name another resource"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			access, err := descriptor.NewAccess(map[string]string{"type": tc.access})
			if err != nil {
				t.Fatal(err)
			}
			res := &descriptor.Resource{Element: descriptor.Element{Name: "notes", Version: "2.0.0"}, Access: access, Digest: tc.digest}
			if err := (source.Protection{}).Check(node, res); err != nil {
				t.Errorf("it is denied although nobody asked for that: %v", err)
			}
			err = source.Protection{Deny: true}.Check(node, res)
			if tc.says == "" {
				if err != nil {
					t.Errorf("it is denied: %v", err)
				}
				return
			}
			verdict, ok := errors.AsType[*lifecycle.Verdict](err)
			if !ok || !verdict.Final() || verdict.Reason != v1alpha1.UnprotectedResourceReason {
				t.Fatalf("got %v, want a verdict", err)
			}
			for _, want := range []string{"resource notes:2.0.0 of acme.org/app:1.0.0", source.DenyFlag, tc.says} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("message %q lacks %q", err, want)
				}
			}
		})
	}
}

// TestPartsOfFingerprints: what was made before there was anything to ask for is not made again.
func TestPartsOfFingerprints(t *testing.T) {
	t.Parallel()
	plain, verified := &v1alpha1.ComponentVersion{}, &v1alpha1.ComponentVersion{}
	verified.Status.Verified = true
	got := map[string][]any{
		"nothing":           source.Protection{}.Parts(plain),
		"verified":          source.Protection{}.Parts(verified),
		"denied":            source.Protection{Deny: true}.Parts(plain),
		"verified + denied": source.Protection{Deny: true}.Parts(verified),
	}
	want := map[string][]any{"nothing": nil, "verified": {"verified"}, "denied": {"protected"}, "verified + denied": {"verified", "protected"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
}
