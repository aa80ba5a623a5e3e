package forgetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// bare is a bare repository, seen and changed with the git command alone.
type bare string

// errConflict says that two branches cannot be merged.
var errConflict = errors.New("the branches conflict")

// run runs git without any configuration of the machine.
func (b bare) run(ctx context.Context, args ...string) (string, error) {
	return runGit(ctx, string(b), args...)
}

// with runs git with a variable in its environment.
func (b bare) with(ctx context.Context, variable string, args ...string) (string, error) {
	return runGitWith(ctx, string(b), []string{variable}, args...)
}

func runGit(ctx context.Context, dir string, args ...string) (string, error) {
	return runGitWith(ctx, dir, nil, args...)
}

func runGitWith(ctx context.Context, dir string, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	cmd.Env = append(
		os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_TERMINAL_PROMPT=0", "LC_ALL=C",
		"GIT_AUTHOR_NAME=Forge", "GIT_AUTHOR_EMAIL=forge@example.org", "GIT_COMMITTER_NAME=Forge", "GIT_COMMITTER_EMAIL=forge@example.org",
	)
	cmd.Env = append(cmd.Env, env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return strings.TrimSpace(stdout.String()), fmt.Errorf("git %s in %s: %w: %s", args[0], dir, err, stderr.String())
	}
	return strings.TrimSpace(stdout.String()), nil
}

// tip returns the commit of a reference, or nothing if there is none.
func (b bare) tip(ctx context.Context, ref string) string {
	out, err := b.run(ctx, "rev-parse", "--verify", "--quiet", ref+"^{commit}")
	if err != nil {
		return ""
	}
	return out
}

// branch returns the tip of a branch, or nothing if there is none.
func (b bare) branch(ctx context.Context, name string) string { return b.tip(ctx, "refs/heads/"+name) }

// reaches tells whether a commit is in the history of another.
func (b bare) reaches(ctx context.Context, from, commit string) bool {
	_, err := b.run(ctx, "merge-base", "--is-ancestor", commit, from)
	return err == nil
}

// ahead returns how many commits head has that base has not; all of them without a base.
func (b bare) ahead(ctx context.Context, base, head string) int {
	span := head
	if base != "" {
		span = base + ".." + head
	}
	out, err := b.run(ctx, "rev-list", "--count", span)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(out)
	if err != nil {
		return 0
	}
	return n
}

// related tells whether two commits have history in common.
func (b bare) related(ctx context.Context, one, other string) bool {
	_, err := b.run(ctx, "merge-base", one, other)
	return err == nil
}

// stat returns how many lines and files a request changes.
func (b bare) stat(ctx context.Context, base, head string) (added, removed, files int) {
	out, err := b.run(ctx, "diff", "--numstat", base+"..."+head)
	if err != nil {
		return 0, 0, 0
	}
	for line := range strings.Lines(out) {
		var plus, minus int
		// Binary files have dashes for numbers; they count as files.
		if _, err := fmt.Sscanf(line, "%d\t%d", &plus, &minus); err == nil {
			added, removed = added+plus, removed+minus
		}
		files++
	}
	return added, removed, files
}

// mergeTree returns the tree of a merge, or errConflict.
func (b bare) mergeTree(ctx context.Context, base, head string) (string, error) {
	out, err := b.run(ctx, "merge-tree", "--write-tree", base, head)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 {
		return "", errConflict
	}
	return out, err
}

// commit writes a commit.
func (b bare) commit(ctx context.Context, tree, message string, parents ...string) (string, error) {
	args := []string{"commit-tree", tree, "-m", message}
	for _, p := range parents {
		args = append(args, "-p", p)
	}
	return b.run(ctx, args...)
}

// mergeCommit writes the commit of a merge, in no branch.
func (b bare) mergeCommit(ctx context.Context, base, head, message string) (string, error) {
	tree, err := b.mergeTree(ctx, base, head)
	if err != nil {
		return "", err
	}
	return b.commit(ctx, tree, message, base, head)
}

// squashCommit writes one commit on top of base with all that head changes.
func (b bare) squashCommit(ctx context.Context, base, head, message string) (string, error) {
	tree, err := b.mergeTree(ctx, base, head)
	if err != nil {
		return "", err
	}
	return b.commit(ctx, tree, message, base)
}

// rebased writes the commits of head on top of base, and returns the last of them. It needs files, so it works in a clone.
func (b bare) rebased(ctx context.Context, base, head string) (tip string, err error) {
	dir, err := os.MkdirTemp("", "rebase")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	clone := filepath.Join(dir, "clone")
	if _, err := runGit(ctx, dir, "clone", "-q", "--no-checkout", string(b), clone); err != nil {
		return "", err
	}
	// Commits of forks are in no branch, so that a clone does not bring them along.
	if _, err := runGit(ctx, clone, "fetch", "-q", string(b), "+refs/*:refs/origin/*"); err != nil {
		return "", err
	}
	if _, err := runGit(ctx, clone, "checkout", "-q", "--detach", head); err != nil {
		return "", err
	}
	if _, err := runGit(ctx, clone, "rebase", "-q", base); err != nil {
		return "", errConflict
	}
	tip, err = runGit(ctx, clone, "rev-parse", "HEAD")
	if err != nil {
		return "", err
	}
	_, err = b.run(ctx, "fetch", "-q", clone, tip)
	return tip, err
}

// move moves a branch if it is still where it was seen.
func (b bare) move(ctx context.Context, branch, to, from string) error {
	_, err := b.run(ctx, "update-ref", "refs/heads/"+branch, to, from)
	return err
}

// keep makes a reference to a commit of this or of another repository, as forges do for each request.
func (b bare) keep(ctx context.Context, from bare, commit, ref string) error {
	if from == b {
		_, err := b.run(ctx, "update-ref", ref, commit)
		return err
	}
	_, err := b.run(ctx, "fetch", "-q", string(from), "+"+commit+":"+ref)
	return err
}
