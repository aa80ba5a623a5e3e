package gittest

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const (
	// somebody makes the commits that are not the operator's.
	somebody      = "Somebody Else"
	somebodyEmail = "somebody@example.com"
	// someDate makes commits of a test the same in each run.
	someDate = "1767225600 +0000"
)

// Git runs the git command in the folder and returns its standard output; the test ends if the command fails.
func Git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	out, err := TryGit(t, dir, args...)
	if err != nil {
		t.Fatalf("git %s in %s: %v\n%s", strings.Join(args, " "), dir, err, out)
	}
	return out
}

// TryGit is Git for commands that may fail: the output has what the command complains about, too.
func TryGit(t testing.TB, dir string, args ...string) (string, error) {
	t.Helper()
	var complaints bytes.Buffer
	out, err := run(t, dir, nil, &complaints, args...)
	if err != nil {
		return string(out) + complaints.String(), err
	}
	return string(out), nil
}

// run runs the git command with its input and returns its standard output.
func run(t testing.TB, dir string, stdin io.Reader, stderr io.Writer, args ...string) ([]byte, error) {
	t.Helper()
	// Hooks of servers and cleanups of tests call this as well, so the command does not end with the test's context.
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program(t), args...)
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stderr = dir, Environment(), stdin, stderr
	var out bytes.Buffer
	cmd.Stdout = &out
	err := cmd.Run()
	return out.Bytes(), err
}

// feed runs the git command with its input, and ends the test if that fails.
func feed(t testing.TB, dir string, stdin io.Reader, args ...string) []byte {
	t.Helper()
	var complaints bytes.Buffer
	out, err := run(t, dir, stdin, &complaints, args...)
	if err != nil {
		t.Fatalf("git %s in %s: %v\n%s", strings.Join(args, " "), dir, err, &complaints)
	}
	return out
}

func program(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("git")
	if err != nil {
		t.Fatalf("the tests need git: %v", err)
	}
	return path
}

// Environment is what the git command runs with: no configuration of the machine or of the user reaches it.
func Environment() []string {
	return []string{
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "HOME=/nonexistent", "PATH=" + os.Getenv("PATH"),
		"GIT_CONFIG_COUNT=2", "GIT_CONFIG_KEY_0=init.defaultBranch", "GIT_CONFIG_VALUE_0=main", "GIT_CONFIG_KEY_1=gc.auto", "GIT_CONFIG_VALUE_1=0",
		"GIT_AUTHOR_NAME=" + somebody, "GIT_AUTHOR_EMAIL=" + somebodyEmail, "GIT_AUTHOR_DATE=" + someDate,
		"GIT_COMMITTER_NAME=" + somebody, "GIT_COMMITTER_EMAIL=" + somebodyEmail, "GIT_COMMITTER_DATE=" + someDate,
		"GIT_TERMINAL_PROMPT=0", "LC_ALL=C", "TMPDIR=" + os.TempDir(),
	}
}
