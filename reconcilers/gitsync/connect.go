package gitsync

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"github.com/ocm-operator/ocm-operator/git/forge"
	"github.com/ocm-operator/ocm-operator/git/remote"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// open makes the repository ready; nothing is sent before it is asked.
func (c *controller) open(r *run) (repository, error) {
	found := r.credentials
	opened, err := remote.Open(remote.Options{
		URL: r.obj.Spec.Repository.URL, Auth: found.auth, CA: found.authority, Certificate: found.certificate, Key: found.key, Proxy: found.proxy,
		Dial: c.dialer(r.location), UserAgent: c.userAgent, MaxPackBytes: c.maxBytes, TempDir: c.tempDir,
	})
	if err != nil {
		return nil, err
	}
	return opened, nil
}

// dialer connects to the host that the user chose, or to the proxy. The name is checked besides, as behind a proxy nobody here sees the
// address that it stands for.
func (c *controller) dialer(location *remote.URL) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if err := c.hosts.CheckChosen(location.Address(), location.Scheme); err != nil {
			return nil, err
		}
		return c.hosts.DialChosen(ctx, network, address)
	}
}

// forge makes the forge ready that has the pull requests of a repository; nothing is sent before it is asked. What the returned function
// ends are connections.
func (c *controller) forge(r *run, repositoryURL string) (forge.Forge, func(), error) {
	spec := r.obj.Spec.Repository
	api := spec.APIURL
	if api == "" {
		var err error
		if api, err = forge.APIURL(spec.Provider, repositoryURL); err != nil {
			return nil, nil, err
		}
	}
	location, err := url.Parse(api)
	if err != nil {
		return nil, nil, fmt.Errorf("spec.repository.apiURL: it cannot be read: want for example https://git.acme.org/api/v4") //nolint:err113 // what was written may hold a password
	}
	transport, err := oci.NewTransport(oci.TransportOptions{
		Hosts: c.hosts, Proxy: r.credentials.proxy,
		CertificateAuthority: r.credentials.authority, Certificate: r.credentials.certificate, PrivateKey: r.credentials.key,
	})
	if err != nil {
		return nil, nil, err
	}
	made, err := forge.New(forge.Options{
		Provider: spec.Provider, RepositoryURL: repositoryURL, APIURL: api, Token: r.credentials.apiToken, UserAgent: c.userAgent,
		Client: &http.Client{Transport: oci.Chosen(location.Host, transport, transport, c.hosts)},
	})
	return made, transport.CloseIdleConnections, err
}
