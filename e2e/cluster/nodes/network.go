package nodes

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/internal/process"
)

// The network of the machine's nodes. The ranges are parts of the one for benchmarks, 198.18.0.0/15: hardly any machine has
// routes there, whereas those that Kubernetes' documentation uses are taken on every machine that is itself a node.
const (
	// machineLink is the machine's end of the cable that leads to the switch, switchPort the other one.
	machineLink    = "ocm-nodes"
	switchPort     = "machine"
	bridge         = "nodes"
	machineAddress = "198.18.0.1"
	nodeRange      = "198.18.0.0/24"
	podRange       = "198.19.0.0/16"
	serviceRange   = cluster.ServiceRange
	dnsAddress     = "198.18.128.10"
	// protocol marks our routes for people who look at them.
	protocol = "199"
	// serviceMetric is nobody else's, so replacing the route to services can't replace a route of somebody else.
	serviceMetric = "4199"
)

func nodeAddress(index int) string { return fmt.Sprintf("198.18.0.%d", 10+index) }
func nodePods(index int) string    { return fmt.Sprintf("198.19.%d.0/24", index) }
func nodeLink(index int) string    { return fmt.Sprintf("ocm-node-%d", index) }

// network joins the machine and its nodes. It is a bridge in a network namespace of its own: there the machine's firewall,
// which may drop what is forwarded, has no say, and the kernel takes the namespace away with the process that holds it. The
// machine has one link to it. All that the machine knows of nodes are routes by way of that link, which end with it.
type network struct {
	programs *programs
	holder   *process.Process
}

// hold starts the process that has the namespace.
func (n *network) hold(spawner *process.Spawner, logs string) error {
	var err error
	n.holder, err = spawner.Start(process.Command{
		Name: "network of nodes", Path: n.programs.Pause, Isolated: true, LogFile: filepath.Join(logs, "network.log"),
	})
	return err
}

// identities are the processes of the network.
func (n *network) identities() []process.Identity {
	if n.holder == nil {
		return nil
	}
	return []process.Identity{n.holder.Identity}
}

// inside runs ip(8) in the network's namespace.
func (n *network) inside(ctx context.Context, lines ...string) error {
	return n.programs.ipIn(ctx, enterNetwork(n.holder.Identity.PID), lines...)
}

// connect makes the machine a member of the network. It takes only what nobody has.
func (n *network) connect(ctx context.Context, count int) error {
	if taken, err := takenRanges(); err != nil || len(taken) > 0 {
		return errors.Join(err, complain(taken))
	}
	if err := n.programs.ip(ctx, fmt.Sprintf("link add %s type veth peer name %s netns %d", machineLink, switchPort, n.holder.Identity.PID)); err != nil {
		return err
	}
	err := n.inside(ctx,
		"link add "+bridge+" type bridge",
		"link set "+switchPort+" master "+bridge,
		"link set "+switchPort+" up",
		"link set "+bridge+" up",
	)
	if err != nil {
		return err
	}
	lines := []string{
		"addr add " + machineAddress + "/24 dev " + machineLink,
		"link set " + machineLink + " up",
		// What finds no better route ends at the switch, as nobody answers for it there. Otherwise it would follow the machine's
		// default route to wherever that leads.
		"route add " + podRange + " dev " + machineLink + " proto " + protocol,
		"route add " + serviceRange + " dev " + machineLink + " proto " + protocol + " metric " + serviceMetric,
	}
	for index := 1; index <= count; index++ {
		lines = append(lines, "route add "+nodePods(index)+" via "+nodeAddress(index)+" proto "+protocol)
	}
	return n.programs.ip(ctx, lines...)
}

func complain(taken []string) error {
	if len(taken) == 0 {
		return nil
	}
	return errors.New(strings.Join(taken, "; "))
}

// routeServices leads the machine to services by way of one node, whose proxy translates; 0 leads nowhere.
func (n *network) routeServices(ctx context.Context, index int) error {
	by := "dev " + machineLink
	if index != 0 {
		by = "via " + nodeAddress(index)
	}
	return n.programs.ip(ctx, "route replace "+serviceRange+" "+by+" proto "+protocol+" metric "+serviceMetric)
}

// plug connects a node, given by the id of its first process.
func (n *network) plug(ctx context.Context, index, count, pid int) error {
	link := nodeLink(index)
	if err := n.unplug(ctx, index); err != nil {
		return err
	}
	err := n.inside(ctx,
		fmt.Sprintf("link add %s type veth peer name eth0 netns %d", link, pid),
		"link set "+link+" master "+bridge,
		"link set "+link+" up",
	)
	if err != nil {
		return err
	}
	lines := []string{
		"link set lo up",
		"link set eth0 up",
		"addr add " + nodeAddress(index) + "/24 dev eth0",
		// The proxy translates before this route is used; what it does not know ends here, as nobody answers for it.
		"route add " + serviceRange + " dev eth0",
	}
	for other := 1; other <= count; other++ {
		if other != index {
			lines = append(lines, "route add "+nodePods(other)+" via "+nodeAddress(other))
		}
	}
	return n.programs.ipIn(ctx, enterNetwork(pid), lines...)
}

// unplug removes a node's link. That of a node whose end the kernel has not yet finished may still be there.
func (n *network) unplug(ctx context.Context, index int) error {
	return ignoreMissing(n.inside(ctx, "link del "+nodeLink(index)))
}

// close takes the machine out of the network, and ends it.
func (n *network) close(ctx context.Context) error {
	err := disconnect(ctx, n.programs)
	if n.holder != nil {
		err = errors.Join(err, n.holder.Stop(0))
		n.holder = nil
	}
	return err
}

// disconnect removes the machine's link, and with it its address and routes. It may be called at any time and twice.
func disconnect(ctx context.Context, p *programs) error {
	return ignoreMissing(p.ip(ctx, "link del "+machineLink))
}

// ignoreMissing takes the absence of what was to be removed for success.
func ignoreMissing(err error) error {
	if err != nil && strings.Contains(err.Error(), "Cannot find device") {
		return nil
	}
	return err
}
