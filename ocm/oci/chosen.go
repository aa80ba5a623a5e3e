package oci

import (
	"net/http"
	"strings"
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

// ExplainServer makes an error of a request to a server that the user chose match
// ErrUnreachable where there was no answer, and says what to do. The field says
// where the user chose it.
func ExplainServer(err error, field string) error {
	if advice := unreachable(err, "; check "+field); advice != "" {
		return &hint{advice, ErrUnreachable, err}
	}
	return err
}
