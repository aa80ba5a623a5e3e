package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
)

// The git repository of the demo, which manifests/7-gitsync.yaml pushes to, and who may.
const (
	fleetPrefix   = "/git/"
	fleetName     = "fleet.git"
	fleetUser     = "demo"
	fleetPassword = "demo"
)

// serveFleet makes an empty git repository and returns what serves it: git itself, for its user alone.
func serveFleet(ctx context.Context, dir string) (http.Handler, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the folder of the git repository: %w", err)
	}
	repository := filepath.Join(dir, fleetName)
	for _, args := range [][]string{
		{"init", "--quiet", "--bare", "--initial-branch=main", repository},
		{"-C", repository, "config", "http.receivepack", "true"},
	} {
		if _, err := git(ctx, args...); err != nil {
			return nil, err
		}
	}
	program, err := exec.LookPath("git")
	if err != nil {
		return nil, fmt.Errorf("the demo needs git: %w", err)
	}
	backend := &cgi.Handler{
		Path: program, Args: []string{"http-backend"}, Dir: dir, Root: strings.TrimSuffix(fleetPrefix, "/"),
		Env: append(gitEnvironment(), "GIT_PROJECT_ROOT="+dir, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER="+fleetUser),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != fleetUser || password != fleetPassword {
			w.Header().Set("WWW-Authenticate", `Basic realm="demo"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, r)
	}), nil
}

// git runs git, without whatever configuration this machine has, and returns what it prints.
func git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Env = append(gitEnvironment(), "PATH="+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

func gitEnvironment() []string {
	return []string{"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "HOME=/nonexistent"}
}

// showFleet waits until a version is in the git repository, and shows the commits that brought it there.
func showFleet(ctx context.Context, out *screen, c client.Client, s *state, version string) error {
	out.step("Look at the git repository that the GitSync has filled meanwhile")
	sync, err := synced(ctx, c, version)
	if err != nil {
		return err
	}
	commits, err := git(ctx, "-C", s.Fleet, "log", "--format=%h %an: %s", sync.Status.Branch)
	if err != nil {
		return err
	}
	files, err := git(ctx, "-C", s.Fleet, "ls-tree", "-r", "--name-only", sync.Status.Branch)
	if err != nil {
		return err
	}
	out.line("%s", out.dim("git log "+sync.Status.Branch))
	for line := range strings.Lines(commits) {
		out.line("%s", strings.TrimSpace(line))
	}
	out.blank()
	out.result("GitSync", sync.Name, "pushed", fmt.Sprintf("%d files below %s", strings.Count(files, "\n")+1, sync.Spec.SubPath))
	return nil
}

// synced waits for the GitSync to have pushed a version.
func synced(ctx context.Context, c client.Client, version string) (*v1alpha1.GitSync, error) {
	ctx, cancel := context.WithTimeout(ctx, deliverTimeout)
	defer cancel()
	ticker := time.NewTicker(tablePoll)
	defer ticker.Stop()
	for {
		sync := &v1alpha1.GitSync{}
		if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "podinfo"}, sync); err != nil {
			return nil, fmt.Errorf("get GitSync podinfo: %w", err)
		}
		if sync.Status.Version == version && sync.Status.Commit != "" {
			return sync, nil
		}
		select {
		case <-ctx.Done():
			missing := errors.New("it says nothing")
			for _, condition := range sync.Status.Conditions {
				missing = fmt.Errorf("%s is %s: %s", condition.Type, condition.Status, condition.Message)
			}
			return nil, fmt.Errorf("version %s was not pushed: %w", version, errors.Join(context.Cause(ctx), missing))
		case <-ticker.C:
		}
	}
}
