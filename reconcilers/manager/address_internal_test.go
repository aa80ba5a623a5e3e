package manager

import (
	"net"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/ocm-operator/ocm-operator/reconcilers/options"
)

// TestAddress is how other replicas reach this one, where nobody has said it.
func TestAddress(t *testing.T) {
	t.Parallel()
	const all = "registry.example.com:443"
	for name, tc := range map[string]struct {
		server   string
		registry options.Registry
		want     string
	}{
		"said":                   {"https://127.0.0.1:6443", options.Registry{Listen: ":5000", Address: all, Advertise: "10.0.0.7:5000"}, "10.0.0.7:5000"},
		"the way out":            {"https://127.0.0.1:6443", options.Registry{Listen: ":5000", Address: all}, "127.0.0.1:5000"},
		"without a port":         {"https://127.0.0.1/prefix", options.Registry{Listen: "0.0.0.0:5001", Address: all}, "127.0.0.1:5001"},
		"a port that is not yet": {"https://127.0.0.1:6443", options.Registry{Listen: ":0", Address: all}, all},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := address(t.Context(), &rest.Config{Host: tc.server}, &options.Options{Registry: tc.registry})
			if err != nil || got != tc.want {
				t.Errorf("it is %q (%v), want %q", got, err, tc.want)
			}
		})
	}
	if _, err := address(t.Context(), &rest.Config{Host: "://"}, &options.Options{Registry: options.Registry{Listen: ":5000"}}); err == nil {
		t.Error("there is no way to the API server, and an address")
	}
	external := &options.Options{External: options.External{URL: "oci://registry.example.com/path"}, Registry: options.Registry{Listen: ":5000"}}
	if got, err := address(t.Context(), &rest.Config{Host: "://"}, external); err != nil || got != "" {
		t.Errorf("nobody asks this replica: %q, %v", got, err)
	}
}

// TestOutgoingIsOurs: the address is one that others can reach, not that of the API server.
func TestOutgoingIsOurs(t *testing.T) {
	t.Parallel()
	host, err := outgoing(t.Context(), &rest.Config{Host: "https://127.0.0.2:6443"})
	if err != nil || !net.ParseIP(host).IsLoopback() {
		t.Errorf("it is %q (%v)", host, err)
	}
}
