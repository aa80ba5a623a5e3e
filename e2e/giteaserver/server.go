// Package giteaserver runs a real Gitea for tests: one process on loopback with a folder of its own, an administrator, and SSH. Its helpers do
// what people do on a forge, by Gitea's own interfaces; what is tested is never judged by the code that it uses.
//
// Gitea is built by package binaries, which takes minutes the first time. It needs a C compiler; tests skip where there is none.
package giteaserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/binaries"
	"github.com/ocm-operator/ocm-operator/e2e/server"
	"github.com/ocm-operator/ocm-operator/git/gittest"
)

const (
	// startTimeout bounds the start, without the time that a missing program takes to build.
	startTimeout = 2 * time.Minute
	// attempts is how often a start is tried when others have taken the ports meanwhile.
	attempts = 5
	// sshUser is the one user whom Gitea's SSH server knows; keys tell who it is.
	sshUser = "git"
)

// Server is a Gitea.
type Server struct {
	// URL is where it is, without a slash at its end.
	URL string
	// Admin is the administrator, who owns what NewRepository makes.
	Admin *User
	// SSHAddress is host:port of its SSH server, and KnownHosts the line of its key.
	SSHAddress string
	KnownHosts []byte

	dir     string
	gitea   *binaries.Gitea
	process *server.Process
}

// Start runs a Gitea until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	cache, err := binaries.Open(binaries.Options{Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	gitea, err := cache.Gitea(t.Context())
	if errors.Is(err, binaries.ErrNoCompiler) {
		t.Skipf("no Gitea: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{dir: t.TempDir(), gitea: gitea}
	key := gittest.NewKey(t, gittest.Ed25519, "")
	// Gitea would make a key of its own, which takes longer than its start.
	s.write(t, "host-key", string(key.Private))
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		err := s.start(ctx, t)
		if err == nil {
			break
		}
		if attempt == attempts || !strings.Contains(err.Error(), "address already in use") {
			t.Fatalf("start Gitea: %v", err)
		}
	}
	s.KnownHosts = []byte(knownhosts.Line([]string{s.SSHAddress}, key.Signer.PublicKey()) + "\n")
	t.Cleanup(func() {
		if err := s.process.Stop(); err != nil {
			t.Errorf("stop Gitea: %v", err)
		}
	})
	return s
}

// PID is the id of Gitea's process.
func (s *Server) PID() int { return s.process.PID() }

// start configures Gitea for ports that are free, and waits until it answers.
func (s *Server) start(ctx context.Context, t testing.TB) error {
	t.Helper()
	address := freeAddress(ctx, t)
	s.URL, s.SSHAddress = "http://"+address, freeAddress(ctx, t)
	config := s.configure(t)
	if s.Admin == nil {
		if err := s.createAdmin(ctx, config); err != nil {
			return err
		}
	}
	process, err := server.Start(ctx, server.Command{
		Path: s.gitea.Program, Args: []string{"--config", config, "web"}, Env: s.environment(), Address: address,
	})
	if err != nil {
		return err
	}
	s.process = process
	if err := s.waitHealthy(ctx); err != nil {
		return errors.Join(err, process.Stop(), errors.New(process.Complaints()))
	}
	return nil
}

// waitHealthy waits until Gitea says that it and its database are well.
func (s *Server) waitHealthy(ctx context.Context) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/api/healthz", http.NoBody)
		if err != nil {
			return err
		}
		answer, err := client.Do(request)
		if err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ticker.C:
		case <-s.process.Exited():
			return errors.New("it ended")
		case <-ctx.Done():
			return fmt.Errorf("wait for it: %w", errors.Join(err, context.Cause(ctx)))
		}
	}
}

// configure writes Gitea's configuration and returns its path.
func (s *Server) configure(t testing.TB) string {
	t.Helper()
	self, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "http://"), ":")
	_, sshPort, _ := strings.Cut(s.SSHAddress, ":")
	root := ""
	if self.Uid == "0" {
		root = "I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true" // as in most containers
	}
	return s.write(t, "app.ini", fmt.Sprintf(configuration, s.dir, self.Username, root, port, s.URL, s.gitea.Static, sshUser, sshPort, filepath.Join(s.dir, "host-key"), rand.Text()))
}

var token = regexp.MustCompile(`\b[0-9a-f]{40}\b`)

// createAdmin makes the database and the administrator.
func (s *Server) createAdmin(ctx context.Context, config string) error {
	if _, err := s.command(ctx, config, "migrate"); err != nil {
		return err
	}
	admin := &User{Name: "owner", password: rand.Text(), server: s}
	out, err := s.command(ctx, config, "admin", "user", "create", "--username", admin.Name, "--password", admin.password, "--email", "owner@example.com",
		"--admin", "--must-change-password=false", "--access-token", "--access-token-scopes", "all")
	if err != nil {
		return err
	}
	if admin.Token = token.FindString(out); admin.Token == "" {
		return fmt.Errorf("find the administrator's token in %q", out)
	}
	s.Admin = admin
	return nil
}

// command runs one of Gitea's own commands.
func (s *Server) command(ctx context.Context, config string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.gitea.Program, append([]string{"--config", config}, args...)...)
	cmd.Env = append(os.Environ(), s.environment()...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("gitea %s: %w\n%s", args[0], err, out)
	}
	return string(out), nil
}

// environment keeps Gitea, and the git that it runs, away from the files of the user.
func (s *Server) environment() []string {
	return []string{"HOME=" + s.dir, "GITEA_WORK_DIR=" + s.dir, "GIT_CONFIG_NOSYSTEM=1"}
}

// write writes a file into the server's folder and returns its path.
func (s *Server) write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// freeAddress is one on loopback that nobody listens on, yet.
func freeAddress(ctx context.Context, t testing.TB) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)) //nolint:forcetypeassert // of a listener for TCP
}
