package nodes

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOverlaps(t *testing.T) {
	t.Parallel()
	names := map[int]string{1: "lo", 2: "eth0", 3: machineLink}
	for name, tc := range map[string]struct {
		reason      string
		destination string
		link        int
		want        []string
	}{
		"default":            {reason: "it is for what has no other route", destination: "0.0.0.0/0", link: 2},
		"half of everything": {reason: "a tunnel's way to be the default", destination: "128.0.0.0/1", link: 2},
		"elsewhere":          {reason: "nothing in common", destination: "10.244.0.0/16", link: 2},
		"sixth version":      {reason: "nodes have addresses of the fourth", destination: "fd00::/64", link: 2},
		"another cluster's":  {reason: "it ends before the next one starts", destination: podRange, link: 3},
		"gone":               {reason: "its link has been removed meanwhile", destination: podRange, link: 4},
		"around ours": {
			reason: "what it is for could not be reached any more", destination: "198.18.0.0/15", link: 2,
			want: []string{"nodes need the addresses 198.18.0.0/24, and this machine has a route for 198.18.0.0/15 (to eth0)"},
		},
		"address in ours": {
			reason: "the machine is one of the addresses", destination: "198.18.0.7/32", link: 1,
			want: []string{"nodes need the addresses 198.18.0.0/24, and this machine has a route for 198.18.0.7/32 (to lo)"},
		},
		"swallowed": {
			reason: "somebody wants that to go nowhere", destination: "198.19.3.0/24",
			want: []string{"nodes need the addresses 198.19.0.0/16, and this machine has a route for 198.19.3.0/24 (to nowhere)"},
		},
		"part of services": {
			reason: "each of the ranges counts", destination: "198.18.200.0/24", link: 2,
			want: []string{"nodes need the addresses 198.18.128.0/17, and this machine has a route for 198.18.200.0/24 (to eth0)"},
		},
	} {
		routes := []route{{Destination: netip.MustParsePrefix(tc.destination), Interface: tc.link}}
		if diff := cmp.Diff(tc.want, overlaps(routes, func(index int) string { return names[index] })); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", name, tc.reason, diff)
		}
	}
}
