package cluster

import (
	"github.com/ocm-operator/ocm-operator/e2e/cluster/internal/pki"
)

// Membership holds the paths of the files with which a node takes part in a cluster.
type Membership struct {
	// CA is the authority of all users and of the API server.
	CA string
	// Kubelet and Proxy are the kubeconfig files of the node's two agents.
	Kubelet, Proxy string
	// Cert and Key are what the kubelet serves with.
	Cert, Key string
}

// hasNodes tells whether nodes can reach the API server.
func (c *Cluster) hasNodes() bool { return c.address != loopback }

// Admit issues the certificates of a node with that name and address. The cluster needs Options.Address, as a node does
// not reach the loopback interface of this machine.
func (c *Cluster) Admit(node, address string) (*Membership, error) {
	kubelet, err := c.user("node-"+node, "system:node:"+node, "system:nodes")
	if err != nil {
		return nil, err
	}
	proxy, err := c.user("kube-proxy", "system:kube-proxy")
	if err != nil {
		return nil, err
	}
	serving, err := c.keys.users.Issue(pki.Request{Name: "kubelet-" + node, CommonName: node, Hosts: []string{node, address}})
	if err != nil {
		return nil, err
	}
	return &Membership{
		CA: c.keys.users.CertFile(), Kubelet: kubelet, Proxy: proxy, Cert: serving.CertFile, Key: serving.KeyFile,
	}, nil
}
