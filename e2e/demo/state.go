package main

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/ocm-operator/ocm-operator/e2e/statefile"
)

// folder is where everything of the demo lies.
type folder string

func (f folder) cluster() string  { return filepath.Join(string(f), "cluster") }
func (f folder) operator() string { return filepath.Join(string(f), "operator") }
func (f folder) bin() string      { return filepath.Join(string(f), "bin") }
func (f folder) self() string     { return filepath.Join(f.bin(), "demo") }
func (f folder) binary() string   { return filepath.Join(f.bin(), "ocm-operator") }
func (f folder) key() string      { return filepath.Join(string(f), "release.key") }
func (f folder) fleet() string    { return filepath.Join(string(f), "git") }
func (f folder) state() string    { return filepath.Join(string(f), "demo.json") }

// state is what the background process tells: it is written when everything runs.
type state struct {
	// Registry is the URL of the registry with components.
	Registry string `json:"registry"`
	// OperatorLog is the log file of the operator.
	OperatorLog string `json:"operatorLog"`
	// SigningKey is the file with the private key that component versions are signed with.
	SigningKey string `json:"signingKey"`
	// Fleet is the folder of the git repository that versions are pushed to.
	Fleet string `json:"fleet"`
}

// repository is the URL that components are published at.
func (s *state) repository() string { return s.Registry + "/phoban01" }

// fleetURL is the URL of the git repository.
func (s *state) fleetURL() string { return s.Registry + fleetPrefix + fleetName }

var errNotRunning = errors.New("the demo does not run; start it with make demo")

func (f folder) read() (*state, error) {
	s, err := statefile.Read[state](f.state())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNotRunning
	}
	return s, err
}
