package oci

import (
	"context"
	"net"
	"net/http"
	"strings"
	"time"
)

// Chosen returns a transport for requests to one server that the user chose, which
// may be this machine, and to where that redirects, which must be a host that
// components may lead to. Only the first is sent through own, which may have a
// certificate of the client.
func Chosen(server string, own, others http.RoundTripper, hosts *Hosts) http.RoundTripper {
	return &chosen{server: server, own: own, others: others, hosts: hosts}
}

type chosen struct {
	server      string
	own, others http.RoundTripper
	hosts       *Hosts
}

// RoundTrip implements http.RoundTripper.
func (c *chosen) RoundTrip(req *http.Request) (*http.Response, error) {
	if !strings.EqualFold(req.URL.Host, c.server) {
		if err := c.hosts.CheckRequest(req); err != nil {
			return nil, err
		}
		return c.others.RoundTrip(req)
	}
	if err := c.hosts.checkLiteral(req.URL.Host, req.URL.Scheme, true); err != nil {
		return nil, redirected(req, err)
	}
	return c.own.RoundTrip(toChosen(req))
}

// CheckChosen returns a *HostError if requests must not be sent to a host although the user chose it. Its addresses are left to whoever
// connects.
func (h *Hosts) CheckChosen(hostport, scheme string) error {
	return h.checkLiteral(hostport, scheme, true)
}

// DialChosen connects to a host that the user chose, which may be this machine, for what is not done with an http.Client of this package.
// Addresses where clouds serve secrets to their machines are refused unless they are listed.
func (h *Hosts) DialChosen(ctx context.Context, network, address string) (net.Conn, error) {
	dial := h.dial(net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}, nil)
	return dial(context.WithValue(ctx, chosenKey{}, true), network, address)
}

// ExplainServer makes an error of a request to a server that the user chose match
// ErrUnreachable where there was no answer, and says what to do. The field says
// where the user chose it.
func ExplainServer(err error, field string) error {
	if advice := unreachable(err, "; check "+field); advice != "" {
		return &hint{advice, ErrUnreachable, err}
	}
	return err
}
