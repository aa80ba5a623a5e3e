package operator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Build compiles the operator of this clone into a folder and returns the path of the program. The build cache of Go
// makes that a matter of seconds. Further flags are those of "go build".
func Build(ctx context.Context, dir string, flags ...string) (string, error) {
	root, err := ModuleRoot()
	if err != nil {
		return "", err
	}
	path, err := filepath.Abs(filepath.Join(dir, "ocm-operator"))
	if err != nil {
		return "", fmt.Errorf("find the folder for the operator: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", append(append([]string{"build", "-buildvcs=false", "-o", path}, flags...), ".")...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build the operator in %s: %w\n%s", root, err, bytes.TrimSpace(output.Bytes()))
	}
	return path, nil
}

// BuiltEnv names a program that was built already, so that not every package of a whole test run links its own.
const BuiltEnv = "OCM_OPERATOR_BINARY"

// Built returns the program that BuiltEnv names, or what Build makes in the folder.
func Built(ctx context.Context, dir string) (string, error) {
	path := os.Getenv(BuiltEnv)
	if path == "" {
		return Build(ctx, dir)
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("find the operator that %s names: %w", BuiltEnv, err)
	}
	return path, nil
}

// ModuleRoot returns the folder of this clone: the nearest one with a go.mod, from the working directory upwards.
func ModuleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the clone: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod in this folder or above it: run this inside a clone of the operator")
		}
		dir = parent
	}
}
