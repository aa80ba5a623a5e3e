package publish_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/ocm-operator/ocm-operator/reconcilers/publish"
	"github.com/ocm-operator/ocm-operator/registry/store"
	"github.com/ocm-operator/ocm-operator/snapshot/archive"
)

// TestLimitsNameTheirFlags holds the names to the flags that there are.
func TestLimitsNameTheirFlags(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/flags.md")
	if err != nil {
		t.Fatal(err)
	}
	for flag, causes := range map[string][]error{
		publish.ArchiveSizeFlag:    {archive.ErrTooLarge, archive.ErrFileTooLarge},
		publish.ArchiveEntriesFlag: {archive.ErrTooManyEntries},
		publish.EditedFileSizeFlag: {archive.ErrEditTooLarge},
	} {
		if !strings.Contains(string(page), " "+flag+" ") {
			t.Errorf("the operator has no flag %s", flag)
		}
		for _, cause := range causes {
			err := publish.Flagged(fmt.Errorf("source: %w", &archive.LimitError{Err: cause, Max: 5}))
			if !errors.Is(err, cause) || !strings.HasSuffix(err.Error(), "more than 5, the limit that "+flag+" sets") {
				t.Errorf("%v became %q, want the flag %s named", cause, err, flag)
			}
		}
	}
	for flag, cause := range map[string]error{publish.BlobSizeFlag: store.ErrTooLarge, publish.StagedSizeFlag: store.ErrStagingFull} {
		err := publish.Flagged(fmt.Errorf("write: %w", cause))
		if !errors.Is(err, cause) || !strings.HasSuffix(err.Error(), "the limit that "+flag+" sets") || !strings.Contains(string(page), " "+flag+" ") {
			t.Errorf("%v became %q, want the flag %s named", cause, err, flag)
		}
	}
	full := fmt.Errorf("%w: %w", store.ErrStagingFull, syscall.ENOSPC) // no flag makes a disk larger
	for _, other := range []error{nil, io.EOF, archive.ErrPathTooDeep, full} {
		if got := publish.Flagged(other); !errors.Is(got, other) || got != nil && got.Error() != other.Error() {
			t.Errorf("%v became %v", other, got)
		}
	}
}
