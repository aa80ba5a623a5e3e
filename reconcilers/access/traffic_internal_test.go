package access

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestHostsAreBounded: components choose hosts, and metrics name some of them only.
func TestHostsAreBounded(t *testing.T) {
	t.Parallel()
	traffic := newTraffic()
	for range 2 {
		for i := range 2 * maxHosts {
			traffic.answered("host"+strconv.Itoa(i), http.MethodGet, http.StatusOK)
		}
	}
	if got := testutil.CollectAndCount(traffic.requests); got != maxHosts+1 {
		t.Errorf("there are %d series, want %d hosts and one for all others", got, maxHosts)
	}
	if got := testutil.ToFloat64(traffic.requests.WithLabelValues(otherHost, http.MethodGet, "200")); got != 2*maxHosts {
		t.Errorf("%v requests to other hosts are counted, want %d", got, 2*maxHosts)
	}
	traffic.answered("host0", "BREW", 0)
	if got := testutil.ToFloat64(traffic.requests.WithLabelValues("host0", otherMethod, noAnswer)); got != 1 {
		t.Errorf("%v odd requests without an answer are counted, want one", got)
	}
}
