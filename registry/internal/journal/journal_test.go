package journal_test

import (
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/registry/internal/journal"
)

// TestComplaints: however much fails, the log tells a little of it, and how much it did not tell.
func TestComplaints(t *testing.T) {
	t.Parallel()
	var c journal.Complaints
	now := time.Unix(1_700_000_000, 0)
	logged, omitted := 0, int64(0)
	for range 3600 * 100 {
		now = now.Add(10 * time.Millisecond)
		if missed, due := c.Due(now); due {
			logged++
			omitted += missed
		}
	}
	if logged < 360 || logged > 371 {
		t.Errorf("%d of 360000 errors within an hour are logged", logged)
	}
	missed, due := c.Due(now.Add(time.Hour))
	if total := int64(logged) + omitted + missed; !due || total != 3600*100 {
		t.Errorf("%d errors are told of", total)
	}
}
