package cluster

import (
	"context"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	frontProxyUser = "front-proxy-client"
	issuer         = "https://kubernetes.default.svc.cluster.local"
)

func address(scheme string, port int) string {
	return scheme + "://" + hostPort(port)
}

// server is the URL of the API server.
func (c *Cluster) server(port int) string {
	return "https://" + net.JoinHostPort(c.address, strconv.Itoa(port))
}

func hostPort(port int) string { return loopback + ":" + strconv.Itoa(port) }

// siblingKubectl returns the kubectl that lies beside the API server.
func siblingKubectl(paths *programs) string {
	return filepath.Join(filepath.Dir(paths.apiServer), "kubectl")
}

func (c *Cluster) startEtcd(ctx context.Context, paths *programs) (int, error) {
	client, err := probe(c.keys.database, c.keys.etcdClient)
	if err != nil {
		return 0, err
	}
	tls := c.keys.etcd
	ca := c.keys.database.CertFile()
	ports, err := c.startComponent(ctx, component{
		name: "etcd", path: paths.etcd, ports: []string{"client", "peer"},
		args: func(ports map[string]int) []string {
			clientURL, peerURL := address("https", ports["client"]), address("https", ports["peer"])
			return []string{
				"--name=default", "--data-dir=" + c.files.path("etcd"),
				"--listen-client-urls=" + clientURL, "--advertise-client-urls=" + clientURL,
				"--listen-peer-urls=" + peerURL, "--initial-advertise-peer-urls=" + peerURL, "--initial-cluster=default=" + peerURL,
				"--cert-file=" + tls.CertFile, "--key-file=" + tls.KeyFile, "--trusted-ca-file=" + ca, "--client-cert-auth",
				"--peer-cert-file=" + tls.CertFile, "--peer-key-file=" + tls.KeyFile, "--peer-trusted-ca-file=" + ca, "--peer-client-cert-auth",
				"--heartbeat-interval=20", "--election-timeout=200", // there is nobody to wait for in an election
				"--log-level=warn", "--unsafe-no-fsync", // a crash of the machine may cost the data, which is nobody's loss
			}
		},
		ready: func(ctx context.Context, ports map[string]int) bool {
			return answers(ctx, client, address("https", ports["client"])+"/readyz")
		},
	})
	return ports["client"], err
}

func (c *Cluster) startAPIServer(ctx context.Context, paths *programs, etcdPort int, serviceAccounts bool) error {
	client, err := probe(c.keys.users, c.keys.admin)
	if err != nil {
		return err
	}
	ports, err := c.startComponent(ctx, component{
		name: "kube-apiserver", path: paths.apiServer, ports: []string{"https"},
		args: func(ports map[string]int) []string { return c.apiServerArgs(ports["https"], etcdPort, serviceAccounts) },
		ready: func(ctx context.Context, ports map[string]int) bool {
			return answers(ctx, client, c.server(ports["https"])+"/readyz")
		},
	})
	if err != nil {
		return err
	}
	server := c.server(ports["https"])
	c.config = restConfig(server, c.keys.users.CertPEM(), c.keys.admin)
	if err := writeKubeconfig(c.files.kubeconfig(), server, c.keys.users.CertPEM(), c.keys.admin); err != nil {
		return err
	}
	return c.update(func(s *State) { s.Server = server })
}

func (c *Cluster) apiServerArgs(port, etcdPort int, serviceAccounts bool) []string {
	k := c.keys
	args := []string{
		"--bind-address=" + c.address, "--advertise-address=" + c.address, "--secure-port=" + strconv.Itoa(port),
		"--enable-aggregator-routing=true", // no kube-proxy makes service addresses work
		"--service-cluster-ip-range=" + ServiceRange,
		"--tls-cert-file=" + k.apiServer.CertFile, "--tls-private-key-file=" + k.apiServer.KeyFile,
		"--client-ca-file=" + k.users.CertFile(), "--authorization-mode=Node,RBAC",
		"--etcd-servers=" + address("https", etcdPort), "--etcd-cafile=" + k.database.CertFile(),
		"--etcd-certfile=" + k.etcdClient.CertFile, "--etcd-keyfile=" + k.etcdClient.KeyFile,
		"--service-account-issuer=" + issuer, "--service-account-key-file=" + k.tokenPublicKey,
		"--service-account-signing-key-file=" + k.tokenKey,
		"--kubelet-client-certificate=" + k.kubeletClient.CertFile, "--kubelet-client-key=" + k.kubeletClient.KeyFile,
		"--requestheader-client-ca-file=" + k.frontProxy.CertFile(), "--requestheader-allowed-names=" + frontProxyUser,
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + k.proxyClient.CertFile, "--proxy-client-key-file=" + k.proxyClient.KeyFile,
		"--allow-privileged=true", "--profiling=false",
	}
	if !serviceAccounts {
		// Nobody would create the default service accounts that the plugin insists on.
		args = append(args, "--disable-admission-plugins=ServiceAccount")
	}
	if c.hasNodes() {
		args = append(args, "--enable-admission-plugins=NodeRestriction",
			"--kubelet-certificate-authority="+k.users.CertFile(), "--kubelet-preferred-address-types=InternalIP")
	} else {
		args = append(args, "--endpoint-reconciler-type=none") // it refuses to publish a loopback address
	}
	return append(args, c.apiArgs...)
}

func (c *Cluster) startControllerManager(ctx context.Context, paths *programs) error {
	args := []string{
		"--service-account-private-key-file=" + c.keys.tokenKey, "--root-ca-file=" + c.keys.users.CertFile(),
		"--cluster-signing-cert-file=" + c.keys.users.CertFile(), "--cluster-signing-key-file=" + c.keys.users.KeyFile(),
		"--use-service-account-credentials=true", "--concurrent-serviceaccount-token-syncs=20", "--min-resync-period=12h",
		// Nodes come with their keys and their range of addresses, if there are any.
		"--controllers=*,-nodeipam,-bootstrap-signer-controller,-token-cleaner-controller",
	}
	if c.hasNodes() {
		args = append(args, "--node-monitor-grace-period=20s") // a lost node is noticed in half the usual time
	}
	return c.startController(ctx, "kube-controller-manager", paths.controllerManager, args...)
}

func (c *Cluster) startScheduler(ctx context.Context, paths *programs) error {
	return c.startController(ctx, "kube-scheduler", paths.scheduler)
}

// startController starts one of Kubernetes's own controllers, which share most of their flags.
func (c *Cluster) startController(ctx context.Context, name, path string, args ...string) error {
	client, err := probe(c.keys.users, nil)
	if err != nil {
		return err
	}
	kubeconfig, err := c.user(name, "system:"+name)
	if err != nil {
		return err
	}
	args = append(args,
		"--kubeconfig="+kubeconfig, "--authentication-kubeconfig="+kubeconfig, "--authorization-kubeconfig="+kubeconfig,
		"--bind-address="+loopback, "--tls-cert-file="+c.keys.controllers.CertFile, "--tls-private-key-file="+c.keys.controllers.KeyFile,
		"--leader-elect=false", "--kube-api-qps=300", "--kube-api-burst=600", // the defaults make a start take long
	)
	_, err = c.startComponent(ctx, component{
		name: name, path: path, ports: []string{"https"},
		args: func(ports map[string]int) []string {
			return append(args, "--secure-port="+strconv.Itoa(ports["https"]))
		},
		ready: func(ctx context.Context, ports map[string]int) bool {
			return answers(ctx, client, address("https", ports["https"])+"/healthz")
		},
	})
	return err
}

// waitForServiceAccount waits until the controller manager has done its first work: pods and impersonation need the
// service accounts of a namespace.
func (c *Cluster) waitForServiceAccount(ctx context.Context) error {
	client, err := probe(c.keys.users, c.keys.admin)
	if err != nil {
		return err
	}
	url := strings.TrimSuffix(c.config.Host, "/") + "/api/v1/namespaces/default/serviceaccounts/default"
	err = c.waitUntil(ctx, "the default service account exists", nil, func(ctx context.Context) bool {
		return answers(ctx, client, url)
	})
	if err != nil {
		return err
	}
	c.say("%-24s ready after %s", "service accounts", time.Since(c.started).Round(10*time.Millisecond))
	return nil
}
