package statefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type state struct{ Name string }

func TestReadWhatWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	if _, err := Read[state](path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before anything is written: got %v, want fs.ErrNotExist", err)
	}
	for _, name := range []string{"first", "second"} {
		if err := Write(path, state{name}); err != nil {
			t.Fatal(err)
		}
		if got, err := Read[state](path); err != nil || got.Name != name {
			t.Errorf("got %+v, %v; want %q", got, err, name)
		}
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("got %v, %v; want the file and nothing beside it", entries, err)
	}
}

func TestReadNamesTheFileThatIsDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read[state](path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want an error with %s", err, path)
	}
}
