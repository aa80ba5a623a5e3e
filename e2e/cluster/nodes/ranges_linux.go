package nodes

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
)

// What rtnetlink(7) numbers, as far as package syscall does not name it.
const (
	lengthOfRouteHeader = 12
	flagCloned          = 0x200 // a cached answer, no route
	attributeExpires    = 23
)

// readRoutes asks the kernel for the routes of all tables. It needs no program, which may not be there before the packages
// are.
func readRoutes() ([]route, error) {
	answer, err := syscall.NetlinkRIB(syscall.RTM_GETROUTE, syscall.AF_UNSPEC)
	if err != nil {
		return nil, fmt.Errorf("ask the kernel for the machine's routes: %w", err)
	}
	messages, err := syscall.ParseNetlinkMessage(answer)
	if err != nil {
		return nil, fmt.Errorf("read the machine's routes: %w", err)
	}
	var routes []route
	for _, message := range messages {
		if message.Header.Type != syscall.RTM_NEWROUTE || len(message.Data) < lengthOfRouteHeader {
			continue
		}
		if binary.NativeEndian.Uint32(message.Data[8:])&flagCloned != 0 {
			continue
		}
		r, err := readRoute(message)
		if err != nil {
			return nil, err
		}
		routes = append(routes, r)
	}
	return routes, nil
}

func readRoute(message syscall.NetlinkMessage) (route, error) {
	attributes, err := syscall.ParseNetlinkRouteAttr(&message)
	if err != nil {
		return route{}, fmt.Errorf("read one of the machine's routes: %w", err)
	}
	// family, length of destination and of source, tos, table, protocol, scope, type
	family, bits := message.Data[0], int(message.Data[1])
	r := route{}
	address := netip.IPv4Unspecified()
	if family == syscall.AF_INET6 {
		address = netip.IPv6Unspecified()
	}
	details := []string{fmt.Sprintf("% x", message.Data[2:8])}
	for _, attribute := range attributes {
		switch attribute.Attr.Type {
		case syscall.RTA_DST:
			if destination, ok := netip.AddrFromSlice(attribute.Value); ok {
				address = destination
			}
		case syscall.RTA_OIF:
			if len(attribute.Value) == 4 {
				r.Interface = int(binary.NativeEndian.Uint32(attribute.Value))
			}
		case syscall.RTA_CACHEINFO, attributeExpires: // they differ each time
		default:
			details = append(details, fmt.Sprintf("%d: % x", attribute.Attr.Type, attribute.Value))
		}
	}
	r.Destination = netip.PrefixFrom(address, bits)
	slices.Sort(details[1:])
	r.Detail = strings.Join(details, ", ")
	return r, nil
}
