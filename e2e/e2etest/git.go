package e2etest

import (
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Git is a Git repository that git itself serves over HTTP on loopback.
type Git struct {
	// URL is what a client clones.
	URL string

	tb         testing.TB
	program    string
	env        []string
	bare, work string
}

// ServeGit serves an empty repository, whose branch is main, until the test ends.
func ServeGit(tb testing.TB) *Git {
	tb.Helper()
	program, err := exec.LookPath("git")
	if err != nil {
		tb.Fatalf("the tests need git: %v", err)
	}
	root := tb.TempDir()
	g := &Git{
		tb: tb, program: program, bare: filepath.Join(root, "site.git"), work: filepath.Join(tb.TempDir(), "work"),
		env: []string{
			"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "HOME=" + root, "PATH=" + os.Getenv("PATH"),
			"GIT_AUTHOR_NAME=e2e", "GIT_AUTHOR_EMAIL=e2e@example.com", "GIT_COMMITTER_NAME=e2e", "GIT_COMMITTER_EMAIL=e2e@example.com",
		},
	}
	g.run("init", "--quiet", "--bare", "--initial-branch=main", g.bare)
	g.run("init", "--quiet", "--initial-branch=main", g.work)
	server := httptest.NewServer(&cgi.Handler{
		Path: program, Args: []string{"http-backend"}, Dir: root,
		Env: append(g.env, "GIT_PROJECT_ROOT="+root, "GIT_HTTP_EXPORT_ALL=1"),
	})
	tb.Cleanup(server.Close)
	g.URL = server.URL + "/site.git"
	return g
}

// Push commits a file and pushes the commit.
func (g *Git) Push(name, content string) {
	g.tb.Helper()
	file := filepath.Join(g.work, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		g.tb.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		g.tb.Fatal(err)
	}
	g.run("-C", g.work, "add", name)
	g.run("-C", g.work, "commit", "--quiet", "--message=change "+name)
	g.run("-C", g.work, "push", "--quiet", g.bare, "main")
}

func (g *Git) run(args ...string) {
	g.tb.Helper()
	cmd := exec.CommandContext(g.tb.Context(), g.program, args...)
	cmd.Env = g.env
	if out, err := cmd.CombinedOutput(); err != nil {
		g.tb.Fatalf("git %v: %v\n%s", args, err, out)
	}
}
