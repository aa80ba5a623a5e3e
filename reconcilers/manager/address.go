package manager

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"time"

	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/ocm-operator/ocm-operator/reconcilers/options"
)

// routeTimeout bounds how long it is looked for the way to the API server.
const routeTimeout = 10 * time.Second

// address returns host and port at which other replicas reach the registry of this one. Where nobody has said it, it is the
// address from which this process asks the API server: that of its pod.
func address(ctx context.Context, config *rest.Config, o *options.Options) (string, error) {
	if o.Registry.Advertise != "" || o.External.Used() {
		return o.Registry.Advertise, nil
	}
	_, port, err := net.SplitHostPort(o.Registry.Listen)
	if err != nil {
		return "", err
	}
	log := ctrl.Log.WithName("setup")
	if port == "0" {
		log.Info("The port of the registry is not known yet, so that other replicas come to any of them: set --registry-advertise-address", "address", o.Registry.Address)
		return o.Registry.Address, nil
	}
	host, err := outgoing(ctx, config)
	if err != nil {
		return "", fmt.Errorf("find the address at which other replicas reach this one, set POD_IP or --registry-advertise-address: %w", err)
	}
	found := net.JoinHostPort(host, port)
	log.Info("Other replicas reach the registry of this one at the address from which it asks the API server; POD_IP or --registry-advertise-address say it otherwise",
		"address", found)
	return found, nil
}

// outgoing returns the address of this process on its way to the API server. To connect with UDP chooses the way and sends nothing.
func outgoing(ctx context.Context, config *rest.Config) (string, error) {
	server, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return "", err
	}
	port := cmp.Or(server.Port(), "443")
	ctx, cancel := context.WithTimeout(ctx, routeTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", net.JoinHostPort(server.Hostname(), port))
	if err != nil {
		return "", err
	}
	host, _, err := net.SplitHostPort(conn.LocalAddr().String())
	if err != nil {
		return "", err
	}
	return host, conn.Close()
}
