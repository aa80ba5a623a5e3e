package nodes

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/internal/process"
)

// Processes are those on the node now, with those in containers. With the UID of a pod they are only those of the pod.
func (n *Node) Processes(pod types.UID) ([]process.Identity, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list the processes of node %s: %w", n.Name, err)
	}
	var inside []process.Identity
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue // about the machine
		}
		groups, err := os.ReadFile("/proc/" + entry.Name() + "/cgroup")
		if err != nil || !n.contains(string(groups), pod) {
			continue // ended meanwhile, or somebody else's
		}
		if identity, err := process.Identify(pid); err == nil { // otherwise it has ended by now
			inside = append(inside, identity)
		}
	}
	return inside, nil
}

// contains tells whether a process with these control groups, a line for each hierarchy, is on the node and in the pod, if there is one.
// Not every hierarchy has to know of it.
func (n *Node) contains(groups string, pod types.UID) bool {
	for line := range strings.Lines(groups) {
		_, below, onNode := strings.Cut(line, "/"+cgroupParent+"/"+n.Name+"/")
		if onNode && (pod == "" || strings.Contains(below, "/pod"+string(pod)+"/")) {
			return true
		}
	}
	return false
}
