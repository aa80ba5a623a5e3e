package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/internal/process"
	"github.com/ocm-operator/ocm-operator/e2e/statefile"
)

// ErrNoCluster says that no cluster is recorded in a folder.
var ErrNoCluster = errors.New("no cluster is recorded here")

// State is what state.json records of a running cluster.
type State struct {
	// Ready is true when everything that was asked for runs.
	Ready bool `json:"ready"`
	// Server is the URL of the API server.
	Server string `json:"server,omitempty"`
	// Kubeconfig is the file for kubectl, with all rights.
	Kubeconfig string `json:"kubeconfig"`
	// Kubectl is a kubectl of the API server's version.
	Kubectl string `json:"kubectl,omitempty"`
	// Supervisor is the process in the background whose children all others are; empty for a cluster that runs inside a
	// test.
	Supervisor *RecordedProcess `json:"supervisor,omitempty"`
	// Processes are in the order in which they were started.
	Processes []RecordedProcess `json:"processes"`
}

// RecordedProcess is a process of a cluster.
type RecordedProcess struct {
	process.Identity
	Name  string         `json:"name"`
	Ports map[string]int `json:"ports,omitempty"`
	Log   string         `json:"log,omitempty"`
}

// ReadState returns what is recorded of the cluster in dir, or ErrNoCluster.
func ReadState(dir string) (*State, error) {
	state, err := statefile.Read[State](layout(dir).state())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", dir, ErrNoCluster)
	}
	return state, err
}

// Running tells whether the cluster is ready and all its processes are alive.
func (s *State) Running() bool {
	return s.Ready && !slices.ContainsFunc(s.Processes, func(p RecordedProcess) bool { return !p.Alive() })
}

// Process returns the process of that name, such as kube-apiserver or source-controller.
func (s *State) Process(name string) (RecordedProcess, bool) {
	i := slices.IndexFunc(s.Processes, func(p RecordedProcess) bool { return p.Name == name })
	if i < 0 {
		return RecordedProcess{}, false
	}
	return s.Processes[i], true
}

func removeState(l layout) error {
	if err := os.Remove(l.state()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the cluster's state: %w", err)
	}
	return nil
}

// endAll ends what is recorded, the last started first.
func (s *State) endAll(grace time.Duration) error {
	var errs []error
	if s.Supervisor != nil {
		errs = append(errs, s.Supervisor.End(2*grace)) // it ends its children in good order
	}
	for _, p := range slices.Backward(s.Processes) {
		errs = append(errs, p.End(grace))
	}
	return errors.Join(errs...)
}
