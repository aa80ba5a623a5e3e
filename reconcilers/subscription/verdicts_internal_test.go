package subscription

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ctf"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/transfers"
)

// TestOfSide tells what ends a round from what is about one version.
func TestOfSide(t *testing.T) {
	t.Parallel()
	at := func(side oci.Side, err error) error {
		return fmt.Errorf("copy: %w", &oci.SideError{Side: side, Err: err})
	}
	for name, tc := range map[string]struct {
		err    error
		ends   bool
		reason string
	}{
		"destination is full":         {at(oci.Target, ocm.ErrFull), true, "no version has room"},
		"destination is read-only":    {at(oci.Target, ocm.ErrReadOnly), true, "no version can be written"},
		"destination denies":          {at(oci.Target, ocm.ErrUnauthorized), true, "no version can be written"},
		"destination is away":         {at(oci.Target, ocm.ErrUnreachable), true, "it is for all"},
		"destination says no":         {at(oci.Target, errors.New("400 Bad Request")), false, "it may like others"},
		"archive is full":             {fmt.Errorf("write app.tgz: %w", ocm.ErrFull), true, "no version has room"},
		"archive is written to":       {&ctf.BusyError{Path: "app.tgz"}, true, "each version would wait as long"},
		"temporary folder is full":    {at(oci.Here, ocm.ErrFull), true, "it is for all"},
		"temporary folder is damaged": {at(oci.Here, errors.New("input/output error")), true, "it is for all"},
		"source denies":               {at(oci.Source, ocm.ErrUnauthorized), false, "it may be about an image of this version"},
		"source is away":              {at(oci.Source, ocm.ErrUnreachable), false, "it may be about an image of this version"},
		"gone":                        {at(oci.Target, ocm.ErrNotFound), false, "it is about this version"},
		"conflict":                    {at(oci.Target, &transfer.ConflictError{}), false, "it is about this version"},
		"refused":                     {at(oci.Target, verify.ErrRefused), false, "it is about this version"},
		"stalled":                     {&transfers.StallError{}, true, "each version would take as long"},
	} {
		if got := ofSide(tc.err); got != tc.ends {
			t.Errorf("%s: ends the round is %t, want %t: %s", name, got, tc.ends, tc.reason)
		}
	}
}

// TestUnproven has a version in use whose keys have changed while something goes on that takes long.
func TestUnproven(t *testing.T) {
	t.Parallel()
	now := time.Now()
	c := &controller{now: func() time.Time { return now }}
	sub := &v1alpha1.ComponentSubscription{}
	sub.Spec.Verify = []v1alpha1.SubscriptionSignature{{Name: "dev"}}
	sub.Spec.Timeout = &metav1.Duration{Duration: time.Minute}
	conditions.MarkTrue(sub, meta.ReadyCondition, meta.SucceededReason, "ready")
	r := &run{obj: sub, memory: &memory{}, busy: true}
	var came error
	reason := func() string {
		came = c.honest(func(context.Context, *run) error {
			return lifecycle.Busy(meta.ProgressingReason, errors.New("copying"))
		})(t.Context(), r)
		return reasonOf(came)
	}
	if got := reason(); got != meta.ProgressingReason {
		t.Errorf("at first it is %v, want that it goes on", came)
	}
	now = now.Add(59 * time.Second)
	if got := reason(); got != meta.ProgressingReason {
		t.Errorf("within its time it is %v, want that it goes on", came)
	}
	now = now.Add(time.Second)
	if got := reason(); got != v1alpha1.ComponentVerificationFailedReason {
		t.Errorf("after its time it is %v, want that it is not ready", came)
	}
	sub.Status.Verified = true
	if got := reason(); got != meta.ProgressingReason || !r.memory.unproven.IsZero() {
		t.Errorf("verified it is %v, want that it goes on", came)
	}
}
