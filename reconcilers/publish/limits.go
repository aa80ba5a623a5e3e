package publish

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/ocm-operator/ocm-operator/registry/store"
	"github.com/ocm-operator/ocm-operator/snapshot/archive"
)

// Flags of the operator that bound archives.
const (
	ArchiveSizeFlag    = "--max-archive-size"
	ArchiveEntriesFlag = "--max-archive-entries"
	EditedFileSizeFlag = "--max-edited-file-size"
)

// Flags of the operator that bound what its registry writes.
const (
	BlobSizeFlag   = "--registry-max-blob-size"
	StagedSizeFlag = "--registry-max-staged-size"
)

// Flagged adds to the error of an archive or a snapshot that passes a limit the flag of the operator that sets it. Other
// errors stay as they are.
func Flagged(err error) error {
	var flag string
	switch {
	case errors.Is(err, archive.ErrTooLarge), errors.Is(err, archive.ErrFileTooLarge):
		flag = ArchiveSizeFlag
	case errors.Is(err, archive.ErrTooManyEntries):
		flag = ArchiveEntriesFlag
	case errors.Is(err, archive.ErrEditTooLarge):
		flag = EditedFileSizeFlag
	case errors.Is(err, store.ErrTooLarge):
		flag = BlobSizeFlag
	case errors.Is(err, store.ErrStagingFull) && !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT):
		flag = StagedSizeFlag
	default:
		return err
	}
	return fmt.Errorf("%w, the limit that %s sets", err, flag)
}
