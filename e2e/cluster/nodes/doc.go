// Package nodes adds real nodes to a test cluster: on each of them containerd and runc run containers, and kubelet and
// kube-proxy make it a part of Kubernetes, with a cluster DNS behind the usual address. All of them live on this machine,
// next to each other on one bridge.
//
// A node is a set of namespaces (network, mounts, processes, host name) with a disk, which is a folder of the cluster.
// Whatever a node does stays inside of them: mounts are not seen outside, /var, /run and kernel settings are the node's
// own, and when the first process of the node ends the kernel ends all others. As that process ends with whoever started
// the cluster, a killed test leaves nothing running behind. What remains then, a bridge, routes and empty control groups,
// is removed by Down, or by the next start on this machine.
//
// Nothing leaves the machine: before anything else is set up, routes are put in place that swallow what is meant for a pod
// or a service and that nobody has translated; nodes have no other way out, and the machine forwards nothing for them.
package nodes
