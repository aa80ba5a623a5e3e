package transfers_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/transfers"
)

func TestVerdict(t *testing.T) {
	t.Parallel()
	at := func(side oci.Side, errs ...error) error { return &oci.SideError{Side: side, Err: errors.Join(errs...)} }
	const failed, refused, full = v1alpha1.TransferFailedReason, v1alpha1.AuthenticationFailedReason, v1alpha1.DestinationFullReason
	for name, tc := range map[string]struct {
		err    error
		reason string
		final  bool
		says   string
	}{
		"conflict":                 {at(oci.Target, &transfer.ConflictError{Version: "1.0.0"}), v1alpha1.TransferConflictReason, true, "set overwrite"},
		"missing":                  {at(oci.Target, &transfer.MissingError{}), failed, true, ""},
		"refused":                  {at(oci.Target, verify.ErrRefused), v1alpha1.ComponentVerificationFailedReason, true, ""},
		"full":                     {at(oci.Target, oci.ErrFull), full, true, "see spec.to"},
		"full archive":             {fmt.Errorf("write app.tgz: %w", oci.ExplainDisk(syscall.ENOSPC)), full, true, "see spec.to"},
		"full disk of operator":    {at("here", oci.ErrFull), failed, false, ""},
		"full at the source":       {at(oci.Source, oci.ErrFull), failed, false, ""},
		"read-only":                {at(oci.Target, oci.ErrReadOnly), failed, true, "see spec.to"},
		"read-only disk":           {at("here", oci.ErrReadOnly), failed, false, ""},
		"may not write":            {at(oci.Target, oci.ErrReadOnly, oci.ErrUnauthorized), failed, true, "see spec.to.secretRef"},
		"may not write, by a page": {at(oci.Target, oci.ErrUnauthorized, oci.ErrUnsure), refused, false, "see spec.to.secretRef"},
		"refused by destination":   {at(oci.Target, oci.ErrUnauthorized), refused, true, "see spec.to.secretRef"},
		"refused by source":        {at(oci.Source, oci.ErrUnauthorized), refused, true, "see spec.from.secretRef"},
		"field is named":           {at(oci.Source, oci.ErrUnauthorized, errors.New("add spec.from.secretRef")), refused, true, "unauthorized\nadd spec.from.secretRef"},
		"unreachable":              {at(oci.Target, oci.ErrUnreachable), failed, false, ""},
		"stalled":                  {&transfers.StallError{}, failed, false, "nothing moved"},
		"verdict":                  {fmt.Errorf("write: %w", lifecycle.Stall("Other", oci.ErrReadOnly)), "Other", true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := transfers.Verdict(tc.err, transfers.Advice{Source: "spec.from", Destination: "spec.to", Overwrite: "set overwrite"})
			verdict, ok := errors.AsType[*lifecycle.Verdict](got)
			if !ok || verdict.Reason != tc.reason || verdict.Final() != tc.final || !strings.HasSuffix(got.Error(), tc.says) && !strings.Contains(got.Error(), "nothing moved") {
				t.Errorf("verdict is %+v: %v; want %s, final %t, that it ends with %q", verdict, got, tc.reason, tc.final, tc.says)
			}
			if !errors.Is(got, tc.err) && verdict.Reason != "Other" {
				t.Error("the cause is lost")
			}
		})
	}
	if err := transfers.Verdict(nil, transfers.Advice{}); err != nil {
		t.Errorf("no error is %v", err)
	}
}
