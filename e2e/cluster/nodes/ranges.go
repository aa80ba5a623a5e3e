package nodes

import (
	"fmt"
	"net"
	"net/netip"
)

// widest is the longest prefix of a route that is taken for a default route. A tunnel for everything may have two of them,
// each for one half of all addresses.
const widest = 1

// route is one of the machine's routes, of any table.
type route struct {
	Destination netip.Prefix
	// Interface is the index of the network interface to which it leads; 0 if there is none, or several.
	Interface int
	// Detail is the rest, for comparing.
	Detail string
}

// takenRanges says which routes and addresses of this machine are where those of nodes would be.
func takenRanges() ([]string, error) {
	routes, err := readRoutes()
	if err != nil {
		return nil, err
	}
	return overlaps(routes, func(index int) string {
		link, err := net.InterfaceByIndex(index)
		if err != nil {
			return ""
		}
		return link.Name
	}), nil
}

// overlaps names the routes that lead to parts of our ranges. Those of another cluster with nodes don't count, as it ends
// before the next one starts; nor do those of a link that is gone by the time we ask for its name.
func overlaps(routes []route, name func(index int) string) []string {
	var taken []string
	for _, r := range routes {
		ours := r.overlapped()
		if ours == "" {
			continue
		}
		link := "nowhere"
		if r.Interface != 0 {
			link = name(r.Interface)
		}
		if link != "" && link != machineLink {
			taken = append(taken, fmt.Sprintf("nodes need the addresses %s, and this machine has a route for %s (to %s)", ours, r.Destination, link))
		}
	}
	return taken
}

// overlapped is the first of our ranges of which the route leads to a part, or nothing.
func (r route) overlapped() string {
	if r.Destination.Bits() <= widest {
		return ""
	}
	for _, ours := range []string{nodeRange, podRange, serviceRange} {
		if netip.MustParsePrefix(ours).Overlaps(r.Destination) {
			return ours
		}
	}
	return ""
}
