package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
	content, err := os.ReadFile(f.state())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNotRunning
	}
	if err != nil {
		return nil, fmt.Errorf("read the demo's state: %w", err)
	}
	s := &state{}
	if err := json.Unmarshal(content, s); err != nil {
		return nil, fmt.Errorf("read the demo's state from %s: %w", f.state(), err)
	}
	return s, nil
}

// write replaces the file in one step, as it is waited for.
func (f folder) write(s *state) error {
	content, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the demo's state: %w", err)
	}
	if err := os.WriteFile(f.state()+".new", append(content, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the demo's state: %w", err)
	}
	return os.Rename(f.state()+".new", f.state())
}
