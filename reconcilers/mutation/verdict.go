package mutation

import (
	"context"
	"errors"
	"fmt"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/snapshot"
	"github.com/ocm-operator/ocm-operator/snapshot/archive"
	"github.com/ocm-operator/ocm-operator/transform"
	"github.com/ocm-operator/ocm-operator/transform/configure"
)

// named says what to do about a reference to an object that does not exist. The field is where the spec has it.
func named(field string, err error) error {
	var notReady *source.NotReadyError
	if errors.As(err, &notReady) && notReady.Missing && notReady.Ref.Kind != v1alpha1.SnapshotKind {
		return fmt.Errorf("%w: create it, or correct %s", err, field)
	}
	return err
}

// judged keeps verdicts, and judges the errors of references and of access.
func judged(reason string, err error) error {
	var verdict *lifecycle.Verdict
	if err == nil || errors.As(err, &verdict) {
		return err
	}
	if mismatch := (*ocm.DigestMismatchError)(nil); errors.As(err, &mismatch) {
		return lifecycle.Fail(v1alpha1.ContentMismatchReason, err)
	}
	if judged := source.Verdict(reason, err); errors.As(judged, &verdict) && !verdict.Passing() {
		return judged
	}
	return access.Verdict(reason, err)
}

// judgedRules judges the errors of evaluating rules. All that they need was read by then, so the same rules fail again.
func judgedRules(err error) error {
	var (
		verdict *lifecycle.Verdict
		values  *configure.ValuesError
		schema  *configure.SchemaError
	)
	switch {
	case err == nil || errors.As(err, &verdict), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &values):
		return lifecycle.Fail(v1alpha1.InvalidValuesReason, err)
	case errors.As(err, &schema):
		return lifecycle.Fail(v1alpha1.InvalidConfigDataReason, err)
	}
	return lifecycle.Fail(v1alpha1.ReconcileMutationObjectFailedReason, flagged(err))
}

// judgedEdits judges the errors of carrying rules out while the source is read.
func judgedEdits(err error) error {
	var (
		rule     *transform.RuleError
		entry    *archive.EntryError
		limit    *archive.LimitError
		mismatch *ocm.DigestMismatchError
		damaged  *snapshot.DigestMismatchError
	)
	switch {
	case errors.Is(err, archive.ErrNotArchive):
		return lifecycle.Fail(v1alpha1.SourceNotATarArchiveReason, fmt.Errorf("files of the source can't be changed: %w", err))
	case errors.As(err, &mismatch), errors.As(err, &damaged):
		return lifecycle.Fail(v1alpha1.ContentMismatchReason, err)
	case errors.As(err, &rule), errors.As(err, &entry), errors.As(err, &limit):
		return lifecycle.Fail(v1alpha1.ReconcileMutationObjectFailedReason, flagged(err))
	}
	return lifecycle.Retry(v1alpha1.ReconcileMutationObjectFailedReason, err)
}
