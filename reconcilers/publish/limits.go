package publish

import (
	"errors"
	"fmt"

	"github.com/ocm-operator/ocm-operator/snapshot/archive"
)

// Flags of the operator that bound archives.
const (
	ArchiveSizeFlag    = "--max-archive-size"
	ArchiveEntriesFlag = "--max-archive-entries"
	EditedFileSizeFlag = "--max-edited-file-size"
)

// Flagged adds to the error of an archive that passes a limit the flag of the operator that sets it. Other errors stay as
// they are.
func Flagged(err error) error {
	var flag string
	switch {
	case errors.Is(err, archive.ErrTooLarge), errors.Is(err, archive.ErrFileTooLarge):
		flag = ArchiveSizeFlag
	case errors.Is(err, archive.ErrTooManyEntries):
		flag = ArchiveEntriesFlag
	case errors.Is(err, archive.ErrEditTooLarge):
		flag = EditedFileSizeFlag
	default:
		return err
	}
	return fmt.Errorf("%w, the limit that %s sets", err, flag)
}
