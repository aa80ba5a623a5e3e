package transfers_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
	"github.com/ocm-operator/ocm-operator/reconcilers/transfers"
)

func TestStateInStatusAndMessages(t *testing.T) {
	t.Parallel()
	half := transfer.Progress{Phase: transfer.Copying, Versions: 2, Blobs: 3, TotalBlobs: 12, Bytes: 10, TotalBytes: 40}
	for name, tc := range map[string]struct {
		state  transfers.State
		says   string
		status v1alpha1.ReplicationProgress
	}{
		"first in line": {transfers.State{Queued: 1}, "waiting", v1alpha1.ReplicationProgress{Phase: "Waiting"}},
		"second":        {transfers.State{Queued: 2}, "waiting, another one comes first", v1alpha1.ReplicationProgress{Phase: "Waiting"}},
		"last in line":  {transfers.State{Queued: 3}, "waiting, 2 others come first", v1alpha1.ReplicationProgress{Phase: "Waiting"}},
		"just begun":    {transfers.State{Running: true}, "reading", v1alpha1.ReplicationProgress{Phase: "Reading"}},
		"copying": {
			transfers.State{Running: true, Progress: half},
			"copying, 3 of 12 blobs, 10 of 40 bytes",
			v1alpha1.ReplicationProgress{Phase: "Copying", Blobs: 3, TotalBlobs: 12, Bytes: 10, TotalBytes: 40},
		},
	} {
		tc.status.Version = "1.0.0"
		if diff := cmp.Diff(&tc.status, tc.state.Status("1.0.0")); diff != "" || tc.state.String() != tc.says {
			t.Errorf("%s: says %q, want %q; status (-want +got):\n%s", name, tc.state, tc.says, diff)
		}
	}
}
