package access

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// leastSegments is how many segments the path of a destination in the embedded registry has: with the name of an image behind it, it
// is longer than the repositories of Snapshots, which have two and keep nothing for the sake of a tag.
const leastSegments = 2

// embedded are the addresses of the registry that the operator serves itself.
type embedded []string

// newEmbedded returns addresses with all names that they have within a cluster.
func newEmbedded(addresses []string) embedded {
	var all embedded
	for _, address := range addresses {
		host, port, err := net.SplitHostPort(strings.ToLower(address))
		if err != nil {
			continue // it is not known, or listens nowhere
		}
		host = strings.TrimSuffix(host, ".")
		all = append(all, net.JoinHostPort(host, port))
		// A Service has shorter names, which are resolved within its cluster, and the shortest within its namespace.
		if name, namespace, ok := service(host); ok {
			for _, short := range []string{name, name + "." + namespace, name + "." + namespace + ".svc"} {
				all = append(all, net.JoinHostPort(short, port))
			}
		}
	}
	return all
}

// service returns the name and the namespace of the Service that a host name stands for.
func service(host string) (name, namespace string, ok bool) {
	const parts = 4
	labels := strings.SplitN(host, ".", parts)
	if len(labels) < parts-1 || labels[2] != "svc" {
		return "", "", false
	}
	return labels[0], labels[1], true
}

// has tells whether a location is in the embedded registry.
func (e embedded) has(l oci.Location) bool {
	host, port, err := net.SplitHostPort(strings.ToLower(l.Host))
	if err != nil {
		host, port = strings.Trim(strings.ToLower(l.Host), "[]"), "443"
		if l.PlainHTTP {
			port = "80"
		}
	}
	return slices.Contains(e, net.JoinHostPort(strings.TrimSuffix(host, "."), port))
}

// check refuses to copy to where images would get the repositories of Snapshots.
func (e embedded) check(url string) error {
	l, err := oci.ParseURL(url)
	if err != nil {
		return err
	}
	if !e.has(l) {
		return nil
	}
	segments := strings.FieldsFunc(l.Path, func(r rune) bool { return r == '/' })
	if len(segments) >= leastSegments {
		return nil
	}
	path, add := "<namespace>/components", "two segments"
	if len(segments) > 0 {
		path, add = segments[0]+"/components", "a second segment"
	}
	return fmt.Errorf("%s is the operator's own registry, where repositories of two segments are those of Snapshots, so that images copied there would be removed: "+
		"add %s to the path, as in oci://%s/%s", l.Host, add, l.Host, path)
}
