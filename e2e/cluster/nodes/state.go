package nodes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/binaries"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/internal/process"
	"github.com/ocm-operator/ocm-operator/e2e/statefile"
)

// files names the files of a cluster's nodes.
type files string

func (f files) path(name ...string) string {
	return filepath.Join(append([]string{string(f), "nodes"}, name...)...)
}
func (f files) state() string           { return f.path("state.json") }
func (f files) logs() string            { return filepath.Join(string(f), "logs") }
func (f files) disk(node string) string { return f.path(node) }

// State is what is recorded of the nodes of a cluster.
type State struct {
	// Packages is the folder with the unpacked packages of the container runtime, if it is not the installed one.
	Packages string `json:"packages,omitempty"`
	// Network are the processes of the network between the nodes.
	Network []process.Identity `json:"network,omitempty"`
	// Nodes are in the order of their addresses.
	Nodes []NodeState `json:"nodes"`
}

// NodeState is what is recorded of a node.
type NodeState struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	// Processes are those of the node, the first one first: the kernel ends all others with it.
	Processes []process.Identity `json:"processes"`
}

// Verdict says for people whether the node runs.
func (s NodeState) Verdict() string {
	if len(s.Processes) == 0 {
		return "off"
	}
	if slices.ContainsFunc(s.Processes, func(p process.Identity) bool { return !p.Alive() }) {
		return "gone"
	}
	return "running"
}

// errNoNodes says that no nodes are recorded in a folder.
var errNoNodes = errors.New("no nodes are recorded here")

// ReadState returns what is recorded of the nodes of the cluster in dir. It is empty if the cluster has none.
func ReadState(dir string) (*State, error) {
	state, err := files(dir).readState()
	if errors.Is(err, errNoNodes) {
		return &State{}, nil
	}
	return state, err
}

func (f files) readState() (*State, error) {
	state, err := statefile.Read[State](f.state())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", string(f), errNoNodes)
	}
	return state, err
}

// programs are those with which a cluster that has this state is removed.
func (s *State) programs() *programs {
	return &programs{Runtime: &binaries.Runtime{Root: s.Packages}}
}

func (f files) removeState() error {
	if err := os.Remove(f.state()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the state of nodes: %w", err)
	}
	return nil
}
