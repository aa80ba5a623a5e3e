package publish

import (
	"errors"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// Verdict judges what has kept Publish from writing. What has gone wrong while the content was read or made is the caller's to
// judge, which hands that error in beside; it counts only when the store has taken what it was given: a store without room
// ends the reading of a sound source, too.
func Verdict(err, content error, judge func(error) error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrForeignSnapshot):
		return lifecycle.Stall(v1alpha1.CreateOrUpdateSnapshotFailedReason, err)
	case errors.Is(err, snapshot.ErrStorageFull):
		return lifecycle.Hinder(v1alpha1.StorageFullReason, err)
	case content != nil:
		return judge(err)
	}
	return lifecycle.Retry(v1alpha1.CreateOrUpdateSnapshotFailedReason, err)
}
