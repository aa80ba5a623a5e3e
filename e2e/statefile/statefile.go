// Package statefile records what runs in the background, for whoever looks for it or ends it: a file of JSON that is complete whenever
// it is read and whenever its writer is killed.
package statefile

import (
	"encoding/json"
	"fmt"
	"os"
)

// Read returns what is recorded in the file at path. The error is fs.ErrNotExist if there is none.
func Read[T any](path string) (*T, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read what is recorded: %w", err)
	}
	state := new(T)
	if err := json.Unmarshal(content, state); err != nil {
		return nil, fmt.Errorf("read what is recorded in %s: %w", path, err)
	}
	return state, nil
}

// Write replaces the file in one step. Only its owner may read it.
func Write(path string, state any) error {
	content, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		return fmt.Errorf("record for %s: %w", path, err)
	}
	temp := path + ".new"
	if err := os.WriteFile(temp, append(content, '\n'), 0o600); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	return nil
}
