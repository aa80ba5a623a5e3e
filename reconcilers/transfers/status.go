package transfers

import (
	"cmp"
	"fmt"
	"math"
	"strings"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
)

// waiting is the phase of a job that waits for its turn.
const waiting = "Waiting"

// phase is what the job is doing. One that runs and has reported nothing reads what there is to do.
func (s State) phase() string {
	if s.Queued > 0 {
		return waiting
	}
	return string(cmp.Or(s.Progress.Phase, transfer.Reading))
}

// Status returns how far the job for a version has come, as the statuses of objects have it.
func (s State) Status(version string) *v1alpha1.ReplicationProgress {
	return &v1alpha1.ReplicationProgress{
		Version: version, Phase: s.phase(), Bytes: s.Progress.Bytes, TotalBytes: s.Progress.TotalBytes,
		Blobs: count(s.Progress.Blobs), TotalBlobs: count(s.Progress.TotalBlobs),
	}
}

func count(n int) int32 { return int32(min(max(n, 0), math.MaxInt32)) }

// String says how far the job has come, for messages.
func (s State) String() string {
	phase := strings.ToLower(s.phase())
	switch {
	case s.Queued == 2:
		return phase + ", another one comes first"
	case s.Queued > 2:
		return fmt.Sprintf("%s, %d others come first", phase, s.Queued-1)
	case s.Queued > 0 || s.Progress.TotalBlobs == 0:
		return phase
	}
	return fmt.Sprintf("%s, %d of %d blobs, %d of %d bytes", phase, s.Progress.Blobs, s.Progress.TotalBlobs, s.Progress.Bytes, s.Progress.TotalBytes)
}
