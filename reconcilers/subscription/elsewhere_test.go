package subscription_test

import (
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// TestContentElsewhere has the newest of three versions refer to an image in a third registry, which can't be read. The others are
// replicated all the same, and the object says which one isn't, and why.
func TestContentElsewhere(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		image  func(*testing.T) (string, digest.Digest)
		signed bool
		reason string
	}{
		"away":              {unreachable, false, v1alpha1.TransferFailedReason},
		"away and signed":   {unreachable, true, v1alpha1.ComponentVerificationFailedReason},
		"denied":            {private, false, v1alpha1.AuthenticationFailedReason},
		"denied and signed": {private, true, v1alpha1.AuthenticationFailedReason},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			reference, content := tc.image(t)
			sub := s.withImage(tc.signed, ocmtest.Resource{Name: "image", Image: reference, Digest: descriptor.NewArtifactDigest(content)})
			s.settle(sub)
			if got, want := s.at(s.destination), []string{"1.0.0", "1.1.0"}; !slices.Equal(got, want) {
				t.Errorf("at the destination are %v, want %v", got, want)
			}
			if got := condition(sub); got != "False "+tc.reason {
				t.Errorf("Ready is %s (%s), want False %s", got, reconcilertest.Message(sub, meta.ReadyCondition), tc.reason)
			}
			if last := sub.Status.LastFailure; last == nil || last.Version != "1.2.0" || last.Reason != tc.reason {
				t.Errorf("the last failure is %+v, want that of 1.2.0 with %s", last, tc.reason)
			}
			if got := sub.Status.ReplicatedVersion; got != "1.1.0" {
				t.Errorf("in use is %q, want the newest one that is there", got)
			}
		})
	}
}

// withImage has two good versions and a newer one with an image, and a subscription to all of them.
func (s *stage) withImage(signed bool, image ocmtest.Resource) *v1alpha1.ComponentSubscription {
	version := func(v string) ocmtest.Component { return component(v) }
	adjust := []func(*v1alpha1.ComponentSubscription){all(3)}
	if signed {
		s.keys("dev")
		version = func(v string) ocmtest.Component { return s.signed(v, "dev") }
		adjust = append(adjust, verify("dev"))
	}
	s.publish(version("1.0.0"))
	s.publish(version("1.1.0"))
	newest := version("1.2.0")
	newest.Resources = append(newest.Resources, image)
	s.publish(newest)
	return s.subscribe(adjust...)
}

// unreachable is an image where nobody listens.
func unreachable(*testing.T) (reference string, content digest.Digest) {
	return "http://127.0.0.1:1/images/x:1", digest.FromString("x")
}

// private is an image in a registry that wants a credential.
func private(t *testing.T) (reference string, content digest.Digest) {
	t.Helper()
	server := ocmtest.Start(t)
	hosts, err := oci.ParseHosts([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	image := ocmtest.Artifact{Layers: []ocmtest.Layer{{MediaType: "application/vnd.oci.image.layer.v1.tar", Content: []byte("x")}}}
	reference = server.URL + "/images/x:1"
	content, err = image.Publish(t.Context(), reference, ocm.Options{Hosts: hosts})
	if err != nil {
		t.Fatal(err)
	}
	server.RequireLogin("user", "password")
	return reference, content
}
