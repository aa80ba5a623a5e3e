package nodes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// searchPath has the folders of programs for administrators, which the PATH of a user may lack.
func searchPath() string {
	return "PATH=" + os.Getenv("PATH") + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
}

// command runs a program of this machine.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// ip runs ip(8) with a batch of commands. It comes from the packages if the machine has none.
func (p *programs) ip(ctx context.Context, lines ...string) error {
	return p.ipIn(ctx, nil, lines...)
}

// ipIn runs ip(8) behind a program that enters a namespace.
func (p *programs) ipIn(ctx context.Context, enter []string, lines ...string) error {
	program := "ip"
	var env []string
	if p != nil && p.Root != "" {
		program = filepath.Join(p.Root, "usr", "sbin", "ip")
		if libraries, err := filepath.Glob(filepath.Join(p.Root, "usr", "lib", "*-linux-gnu")); err == nil {
			env = append(env, "LD_LIBRARY_PATH="+strings.Join(libraries, ":"))
		}
	}
	args := append(append([]string{}, enter...), program, "-batch", "-")
	cmd := command(ctx, args[0], args[1:]...)
	cmd.Env = append(append(os.Environ(), searchPath()), env...)
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	if err := runCommand(cmd); err != nil {
		return fmt.Errorf("set up network (ip %s): %w", strings.Join(lines, "; "), err)
	}
	return nil
}

// runCommand runs a command whose output matters only when it fails.
func runCommand(cmd *exec.Cmd) error {
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, clip(&output))
	}
	return nil
}

// maxOutput bounds what of a program's output goes into an error.
const maxOutput = 2048

func clip(output *bytes.Buffer) []byte {
	content := bytes.TrimSpace(output.Bytes())
	return content[max(0, len(content)-maxOutput):]
}

const pollInterval = 50 * time.Millisecond

// poll asks until it hears no error. When ctx ends it returns the last one.
func poll(ctx context.Context, what string, ask func(context.Context) error) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w", what, errors.Join(context.Cause(ctx), err))
		case <-ticker.C:
		}
	}
}

func say(to io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(to, format+"\n", args...) // progress is for people; losing a line harms nothing
}
