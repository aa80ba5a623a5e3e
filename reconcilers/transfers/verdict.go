package transfers

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

// Advice is what messages about a copy that failed tell to those who can help.
type Advice struct {
	// Source and Destination are the fields of the object that name the two sides.
	Source, Destination string
	// Overwrite says how to let what is at the destination be replaced.
	Overwrite string
}

// Verdict is what an error of a copy, or of looking for what was copied, means for the object that it is for; it is the same for all
// kinds. What the destination, or what is to be copied, says clearly is a verdict: other content under the same version, a refusal
// of the credentials or of every write, no room. Everything else passes by itself, and so does what is wrong with the disk of the
// operator, which is on neither side. An error that is a verdict already stays what it is.
func Verdict(err error, a Advice) error {
	if _, judged := errors.AsType[*lifecycle.Verdict](err); judged || err == nil {
		return err
	}
	const reason = v1alpha1.TransferFailedReason
	side := oci.SideOf(err)
	atDestination := side == oci.Target || side == "" // an archive that can't be written has no side
	if conflict, ok := errors.AsType[*transfer.ConflictError](err); ok {
		return lifecycle.WithEvent(conflict.Error(), lifecycle.Fail(v1alpha1.TransferConflictReason, fmt.Errorf("%w: %s", err, a.Overwrite)))
	}
	if missing, ok := errors.AsType[*transfer.MissingError](err); ok && missing != nil {
		return lifecycle.Fail(reason, err)
	}
	switch {
	case errors.Is(err, verify.ErrRefused):
		return lifecycle.Fail(v1alpha1.ComponentVerificationFailedReason, err)
	case errors.Is(err, oci.ErrFull) && atDestination:
		return lifecycle.Hinder(v1alpha1.DestinationFullReason, see(err, a.Destination))
	case errors.Is(err, oci.ErrReadOnly) && atDestination && errors.Is(err, oci.ErrUnauthorized):
		return lifecycle.Fail(reason, see(err, a.Destination+".secretRef"))
	case errors.Is(err, oci.ErrReadOnly) && atDestination:
		return lifecycle.Fail(reason, see(err, a.Destination))
	case errors.Is(err, oci.ErrUnauthorized) && side == oci.Source:
		return access.Verdict(v1alpha1.AuthenticationFailedReason, see(err, a.Source+".secretRef"))
	case errors.Is(err, oci.ErrUnauthorized) && atDestination:
		return access.Verdict(v1alpha1.AuthenticationFailedReason, see(err, a.Destination+".secretRef"))
	}
	return access.Verdict(reason, err)
}

// see has an error name the field that it is about.
func see(err error, field string) error {
	if strings.Contains(err.Error(), field) {
		return err
	}
	return fmt.Errorf("%w; see %s", err, field)
}
