// Command coredns is the cluster's DNS server: CoreDNS with the few plugins that a Kubernetes cluster without a way out
// needs. What a plugin is called in a Corefile, and in which order plugins run, is CoreDNS's own list.
package main

import (
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
)

func main() { coremain.Run() }
