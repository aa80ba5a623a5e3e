package options

import (
	"net"
	"os"
)

// advertised returns host and port under which other replicas reach the registry of this one; empty when neither flags nor
// environment tell. The address that all replicas have in common is none: who asks for the one that leads there may come to any.
func (o *Options) advertised() (string, error) {
	if o.Registry.Advertise != "" {
		return o.reachable("registry-advertise", "listen", o.Registry.Listen, o.Registry.Advertise)
	}
	host, port, err := net.SplitHostPort(o.Registry.Listen)
	if err != nil {
		return "", err
	}
	if port == "0" {
		return "", nil
	}
	// What listens at one address can't be reached at another one, unless something in the pod passes on to its loopback.
	pod := os.Getenv("POD_IP")
	switch {
	case pod != "" && (unspecified(host) || loopback(host)):
		return net.JoinHostPort(pod, port), nil
	case unspecified(host):
		return "", nil
	default:
		return net.JoinHostPort(host, port), nil
	}
}

func unspecified(host string) bool { return host == "" || net.ParseIP(host).IsUnspecified() }

func loopback(host string) bool { return host == "localhost" || net.ParseIP(host).IsLoopback() }
