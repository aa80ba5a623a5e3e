package nodes

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// dnsTimeout bounds one question: the first ones may be lost while the proxies are learning.
const dnsTimeout = time.Second

//go:embed dns.yaml
var dnsManifest string

// startDNS runs the cluster's name server and returns when it answers.
func (c *Cluster) startDNS(ctx context.Context) error {
	manifest := strings.NewReplacer("${IMAGE}", dnsImage, "${ADDRESS}", dnsAddress, "${REPLICAS}", strconv.Itoa(min(2, c.options.Count))).Replace(dnsManifest)
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(manifest), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(object); err != nil {
			break // the end: the manifest is a part of this program
		}
		err := c.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("nodes"), client.ForceOwnership)
		if err != nil {
			return fmt.Errorf("apply %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	// Asked by its service address: that takes a ready pod, and a proxy that leads to it.
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(dnsAddress, "53"))
	}}
	return poll(ctx, "the cluster's name server answers", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, dnsTimeout)
		defer cancel()
		_, err := resolver.LookupHost(ctx, "kubernetes.default.svc.cluster.local.")
		return errors.Join(err, c.failure())
	})
}

func (c *Cluster) failure() error { return c.each((*Node).failure) }
