package cluster

import (
	"crypto/tls"
	"net/http"
	"time"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/internal/pki"
)

const (
	loopback = "127.0.0.1"
	// ServiceRange is the range of service addresses; the API server takes the first for itself.
	ServiceRange     = "198.18.128.0/17"
	apiServerService = "198.18.128.1"
)

// keys are the authorities and certificates of a cluster. There are three authorities, as none of the three circles
// of trust may enter another: users of the API, the aggregation layer, the database.
type keys struct {
	users, frontProxy, database *pki.Authority

	apiServer, etcd, etcdClient, proxyClient, kubeletClient, controllers *pki.Leaf

	tokenKey, tokenPublicKey string
	admin                    *pki.Leaf
}

// makeKeys makes the keys of a cluster whose API server listens at the address.
func makeKeys(files layout, address string) (*keys, error) {
	k := &keys{}
	dir := files.keys()
	for name, authority := range map[string]**pki.Authority{"ca": &k.users, "front-proxy-ca": &k.frontProxy, "etcd-ca": &k.database} {
		opened, err := pki.OpenAuthority(dir, name)
		if err != nil {
			return nil, err
		}
		*authority = opened
	}
	local := []string{"localhost", loopback}
	for _, leaf := range []struct {
		authority *pki.Authority
		into      **pki.Leaf
		request   pki.Request
	}{
		{k.users, &k.apiServer, pki.Request{Name: "apiserver", CommonName: "kube-apiserver", Hosts: append([]string{
			apiServerService, "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
			address,
		}, local...)}},
		{k.users, &k.admin, pki.Request{Name: "admin", CommonName: "admin", Groups: []string{"system:masters"}}},
		{k.users, &k.kubeletClient, pki.Request{Name: "apiserver-kubelet", CommonName: "kube-apiserver-kubelet-client", Groups: []string{"system:masters"}}},
		{k.users, &k.controllers, pki.Request{Name: "controllers", CommonName: "kube-controllers", Hosts: local}},
		{k.frontProxy, &k.proxyClient, pki.Request{Name: "front-proxy", CommonName: frontProxyUser}},
		{k.database, &k.etcd, pki.Request{Name: "etcd", CommonName: "etcd", Hosts: local, ServerClient: true}},
		{k.database, &k.etcdClient, pki.Request{Name: "etcd-client", CommonName: "kube-apiserver"}},
	} {
		issued, err := leaf.authority.Issue(leaf.request)
		if err != nil {
			return nil, err
		}
		*leaf.into = issued
	}
	var err error
	k.tokenKey, k.tokenPublicKey, err = pki.SigningKey(dir, "service-account")
	return k, err
}

// user issues a client certificate and writes a kubeconfig file with it.
func (c *Cluster) user(name, commonName string, groups ...string) (string, error) {
	leaf, err := c.keys.users.Issue(pki.Request{Name: name, CommonName: commonName, Groups: groups})
	if err != nil {
		return "", err
	}
	path := c.files.user(name)
	return path, writeKubeconfig(path, c.config.Host, c.keys.users.CertPEM(), leaf)
}

// probe answers whether a URL says 200, to a client that trusts one authority only: another program that was faster
// on the same port is not taken for ours.
func probe(authority *pki.Authority, client *pki.Leaf) (*http.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if authority != nil {
		config.RootCAs = authority.Pool()
	}
	if client != nil {
		pair, err := tls.X509KeyPair(client.CertPEM, client.KeyPEM)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	return &http.Client{Timeout: 2 * time.Second, Transport: transport}, nil
}
