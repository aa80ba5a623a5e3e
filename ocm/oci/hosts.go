package oci

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// ErrHostRefused says that a component leads to a host that requests must not
// be sent to.
var ErrHostRefused = errors.New("host refused")

// HostError says which host a request was not sent to.
type HostError struct {
	// Host is the host as it was written, with its port if it has one.
	Host string
	// Address is the address of the host that is refused. It is empty if the
	// host itself is.
	Address netip.Addr
	// Special is true for a name that stands for such an address.
	Special bool
	// Unsure is true where a server's redirect led to the host, or a name server
	// to the address, and not what the component says.
	Unsure bool
}

// Error says what to do.
func (e *HostError) Error() string {
	if e.Address.IsValid() {
		return fmt.Sprintf("no request is sent to host %s: its address %s is one of those that only a machine itself should reach, "+
			"such as the metadata of a cloud; if this is intended, list %s in --allowed-hosts, with all the hosts that components may lead to", e.Host, e.Address, e.Address)
	}
	if e.Special {
		return fmt.Sprintf("no request is sent to host %s: it is another name of an address that only a machine itself should reach, "+
			"such as the metadata of a cloud; if this is intended, list %s in --allowed-hosts, with all the hosts that components may lead to", e.Host, e.Host)
	}
	return fmt.Sprintf("no request is sent to host %s, which the component leads to: it is not one of --allowed-hosts; "+
		"add it there, or transfer the component version by value", e.Host)
}

// Is makes the error match ErrHostRefused, and ErrUnsure where it is.
func (e *HostError) Is(target error) bool {
	return target == ErrHostRefused || e.Unsure && target == ErrUnsure
}

// Hosts are the hosts that components may lead to. Whoever publishes a component
// version chooses where its resources are, and so where this process sends
// requests. Nil allows all hosts but the special addresses, where clouds serve
// secrets to their machines, and this machine itself, where profiles and metrics
// are. The former are refused for every host, the latter for all but the one that
// the user chose, unless they are listed.
type Hosts struct {
	patterns []hostGlob
}

// hostGlob is host, host:port, *.domain or *.domain:port.
type hostGlob struct {
	host string
	// below is true if host is a domain and everything below it is meant.
	below bool
	port  string // empty is any
}

var domainPattern = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

// ParseHosts reads patterns of the form host[:port], where the host is a name,
// an address, or *.domain for all names below a domain. Without a port all
// ports are meant. No pattern at all is nil, which allows every host.
func ParseHosts(patterns []string) (*Hosts, error) {
	if len(patterns) == 0 {
		return nil, nil //nolint:nilnil // documented: nil is a set of hosts
	}
	h := &Hosts{}
	for _, raw := range patterns {
		glob, err := parseGlob(strings.ToLower(strings.TrimSpace(raw)))
		if err != nil {
			return nil, fmt.Errorf("%q is no pattern for hosts, want for example ghcr.io, *.example.com or 10.0.0.1:5000: %w", raw, err)
		}
		h.patterns = append(h.patterns, glob)
	}
	return h, nil
}

func parseGlob(raw string) (hostGlob, error) {
	if raw == "" {
		return hostGlob{}, errors.New("it is empty")
	}
	if strings.Contains(raw, "/") {
		return hostGlob{}, errors.New("it must have no scheme and no path")
	}
	var g hostGlob
	g.host, g.port = splitPort(raw)
	g.host, g.below = strings.CutPrefix(g.host, "*.")
	if addr, err := netip.ParseAddr(g.host); err == nil && !g.below {
		g.host = addr.Unmap().String()
		return g, nil
	}
	if !domainPattern.MatchString(g.host) {
		return hostGlob{}, fmt.Errorf("%q is neither a host nor an address", g.host)
	}
	return g, nil
}

// splitPort takes the port from a host, and brackets from an address.
func splitPort(hostport string) (host, port string) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		host, port = strings.Trim(hostport, "[]"), ""
	}
	return strings.TrimSuffix(strings.ToLower(host), "."), port
}

func (h *Hosts) lists(host, port string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		host = addr.Unmap().String()
	}
	if host == dockerAPIHost && h.lists(dockerHost, port) {
		return true
	}
	return h != nil && slices.ContainsFunc(h.patterns, func(g hostGlob) bool {
		name := g.host == host
		if g.below {
			name = strings.HasSuffix(host, "."+g.host)
		}
		return name && (g.port == "" || g.port == port)
	})
}

// names reports whether a host is listed as itself: a whole domain is no leave to
// connect to what is special in it.
func (h *Hosts) names(host, port string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		host = addr.Unmap().WithZone("").String()
	}
	return h != nil && slices.ContainsFunc(h.patterns, func(g hostGlob) bool {
		return !g.below && g.host == host && (g.port == "" || g.port == port)
	})
}

// Check returns a *HostError if a component must not lead to a host, which has
// a port if that is not the one of its scheme. The addresses of a name are left
// to the transport, which knows them when it connects.
func (h *Hosts) Check(hostport, scheme string) error {
	host, port := splitHost(hostport, scheme)
	if h != nil && !h.lists(host, port) {
		return &HostError{Host: hostport}
	}
	return h.checkLiteral(hostport, scheme, false)
}

// CheckRequest is Check for a request that may come from a redirect.
func (h *Hosts) CheckRequest(req *http.Request) error {
	return redirected(req, h.Check(req.URL.Host, req.URL.Scheme))
}

// redirected marks the error about the host of a request that a redirect led to.
func redirected(req *http.Request, err error) error {
	if host, ok := errors.AsType[*HostError](err); ok && req.Response != nil {
		host.Unsure = true
	}
	return err
}

// splitHost is splitPort with the port of the scheme where there is none.
func splitHost(hostport, scheme string) (host, port string) {
	host, port = splitPort(hostport)
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[scheme]
	}
	return host, port
}

// checkLiteral refuses special addresses in place of names, and names that are
// known to stand for them, which a proxy would connect to. The host that the user
// chose may be this machine.
func (h *Hosts) checkLiteral(hostport, scheme string, chosen bool) error {
	host, port := splitHost(hostport, scheme)
	addr, err := netip.ParseAddr(host)
	switch {
	case h.names(host, port):
		return nil
	case err == nil && refused(addr, chosen):
		return &HostError{Host: hostport, Address: addr.Unmap()}
	case err != nil && (specialName(host) || !chosen && localName(host)):
		return &HostError{Host: hostport, Special: true}
	}
	return nil
}

// chosenKey marks the context of requests to the host that the user chose.
type chosenKey struct{}

// toChosen returns a request that may connect to this machine.
func toChosen(req *http.Request) *http.Request {
	return req.WithContext(context.WithValue(req.Context(), chosenKey{}, true))
}

// dial connects to a host unless its address is special. The check is on the
// address that is connected to, so that no name and no redirect gets around it.
// A proxy may be on this machine: it was not a component that chose it.
func (h *Hosts) dial(dialer net.Dialer, proxies *proxies) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		chosen := ctx.Value(chosenKey{}) != nil || proxies.has(address)
		d := dialer
		d.Control = func(_, resolved string, _ syscall.RawConn) error {
			host, port := splitPort(resolved)
			addr, err := netip.ParseAddr(host)
			if err != nil {
				return fmt.Errorf("connect to %q: %w", resolved, err)
			}
			if refused(addr, chosen) && !h.names(host, port) {
				return &HostError{Host: address, Address: addr.Unmap(), Unsure: isName(address)}
			}
			return nil
		}
		opened, err := d.DialContext(ctx, network, address)
		if tcp, ok := opened.(*net.TCPConn); ok {
			return &conn{tcp}, err
		}
		return opened, err
	}
}

// isName reports whether an address to connect to has a name that is resolved.
func isName(address string) bool {
	host, _ := splitPort(address)
	_, err := netip.ParseAddr(host)
	return err != nil
}

// Addresses that are not link-local and serve a machine nevertheless.
var (
	metadataAddresses = []netip.Addr{
		netip.MustParseAddr("100.100.100.200"), // Alibaba Cloud
		netip.MustParseAddr("168.63.129.16"),   // Azure
		netip.MustParseAddr("192.0.0.192"),     // Oracle Cloud
		netip.MustParseAddr("fd00:ec2::254"),   // AWS
		netip.MustParseAddr("fd00:ec2::23"),    // AWS, the identities of pods
		netip.MustParseAddr("fd20:ce::254"),    // Google Cloud
	}
	// translated are IPv4 addresses as IPv6-only networks write them.
	translated = netip.MustParsePrefix("64:ff9b::/96")
)

// special reports whether an address is one that only a machine itself should
// connect to.
func special(addr netip.Addr) bool {
	addr = untranslated(addr)
	return addr.IsLinkLocalUnicast() || slices.Contains(metadataAddresses, addr)
}

// untranslated returns the IPv4 address that an IPv6 address stands for, or the
// address itself.
func untranslated(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if translated.Contains(addr) {
		raw := addr.As16()
		return netip.AddrFrom4([4]byte(raw[12:]))
	}
	return addr
}

// refused reports whether an address is not to be connected to. What the user
// chose may be on this machine.
func refused(addr netip.Addr, chosen bool) bool {
	return special(addr) || !chosen && local(addr)
}

// local reports whether an address is that of this machine.
func local(addr netip.Addr) bool {
	addr = untranslated(addr)
	return addr.IsLoopback() || addr.IsUnspecified()
}

// metadataNames are the names that clouds give to those addresses.
var metadataNames = []string{"metadata", "metadata.google.internal", "instance-data", "instance-data.ec2.internal"}

// otherDigits are the last labels of addresses as only some resolvers read them:
// 2852039166, 0xa9fea9fe and 0251.0376.0251.0376. No domain ends like this.
var otherDigits = regexp.MustCompile(`(^|\.)(\d+|0x[0-9a-f]*)$`)

// specialName reports whether a name stands for a special address wherever it is
// resolved. A proxy does that where nobody checks the address.
func specialName(host string) bool {
	return slices.Contains(metadataNames, host) || otherDigits.MatchString(host)
}

// localName reports whether a name stands for the machine that resolves it.
func localName(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
