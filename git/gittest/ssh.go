package gittest

import (
	"context"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	glssh "github.com/gliderlabs/ssh"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// SSHOptions says who may do what on an SSHServer. Nobody may do anything without a key.
type SSHOptions struct {
	// Authorized lists keys that may write, as lines of authorized_keys.
	Authorized [][]byte
	// ReadOnly lists keys that may read, and are refused when they push, like deploy keys of forges.
	ReadOnly [][]byte
	// HostKeys are the kinds of keys by which the server shows who it is; Ed25519 when empty.
	HostKeys []KeyKind
	// Root is the folder with the repositories; one of the test when empty.
	Root string
}

// SSHServer is an SSH server on loopback that runs git's own git-upload-pack and git-receive-pack.
type SSHServer struct {
	// Address is host:port.
	Address string
	// User is whom clients have to name.
	User string
	// KnownHosts has a line for each host key.
	KnownHosts []byte

	root  string
	hosts []ssh.PublicKey
	// prefix is what stands before a repository's name in its URL.
	prefix string

	mu       sync.Mutex
	commands []string
}

// NewSSH serves repositories until the test ends. The server is one of Go; see NewOpenSSH for the usual one.
func NewSSH(t testing.TB, o SSHOptions) *SSHServer {
	t.Helper()
	s := newSSHServer(t, &o)
	s.User = "git"
	server := &glssh.Server{Version: "gittest"}
	for _, signer := range s.hostKeys(t, o.HostKeys) {
		server.AddHostKey(signer.Signer)
	}
	authorized, readOnly := parseKeys(t, o.Authorized), parseKeys(t, o.ReadOnly)
	server.PublicKeyHandler = func(ctx glssh.Context, key glssh.PublicKey) bool {
		return ctx.User() == s.User && (has(authorized, key) || has(readOnly, key))
	}
	var sessions sync.WaitGroup
	git := program(t)
	server.Handler = func(session glssh.Session) {
		sessions.Add(1)
		defer sessions.Done()
		_ = session.Exit(s.serve(git, session, has(readOnly, session.PublicKey()))) // the client may be gone
	}
	listener := listen(t)
	s.announce(listener)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // ends with Close
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
		sessions.Wait()
	})
	return s
}

func newSSHServer(t testing.TB, o *SSHOptions) *SSHServer {
	t.Helper()
	if o.Root == "" {
		o.Root = t.TempDir()
	}
	if len(o.HostKeys) == 0 {
		o.HostKeys = []KeyKind{Ed25519}
	}
	return &SSHServer{root: o.Root}
}

// hostKeys makes keys of the server.
func (s *SSHServer) hostKeys(t testing.TB, kinds []KeyKind) []Key {
	t.Helper()
	keys := make([]Key, len(kinds))
	for i, kind := range kinds {
		keys[i] = NewKey(t, kind, "")
		s.hosts = append(s.hosts, keys[i].Signer.PublicKey())
	}
	return keys
}

// announce completes what clients need to know, with the address.
func (s *SSHServer) announce(listener net.Listener) {
	s.Address = listener.Addr().String()
	for _, key := range s.hosts {
		s.KnownHosts = append(append(s.KnownHosts, knownhosts.Line([]string{s.Address}, key)...), '\n')
	}
}

// Dir is the folder of a repository of that name, which NewRepository makes.
func (s *SSHServer) Dir(name string) string { return filepath.Join(s.root, filepath.FromSlash(name)) }

// URL is where clients find the repository of that name.
func (s *SSHServer) URL(name string) string {
	return "ssh://" + s.User + "@" + s.Address + path.Join("/", s.prefix, name)
}

// Commands returns what clients have run; an OpenSSH server does not tell.
func (s *SSHServer) Commands() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.commands)
}

// serve runs git for a session and returns the exit code.
func (s *SSHServer) serve(git string, session glssh.Session, readOnly bool) int {
	s.mu.Lock()
	s.commands = append(s.commands, session.RawCommand())
	s.mu.Unlock()
	args := session.Command()
	if len(args) != 2 || args[0] != "git-upload-pack" && args[0] != "git-receive-pack" {
		fmt.Fprintln(session.Stderr(), "this server runs git only")
		return 128
	}
	if readOnly && args[0] == "git-receive-pack" {
		fmt.Fprintln(session.Stderr(), "ERROR: The key you are authenticating with has been marked as read only.")
		return 1
	}
	// Cleaned as an absolute path, a name can't leave the root.
	dir := filepath.Join(s.root, filepath.FromSlash(path.Clean("/"+args[1])))
	ctx, cancel := context.WithCancel(session.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, git, strings.TrimPrefix(args[0], "git-"), dir)
	cmd.Env, cmd.Stdout, cmd.Stderr = Environment(), session, session.Stderr()
	for _, variable := range session.Environ() {
		if strings.HasPrefix(variable, "GIT_PROTOCOL=") {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	// Not as cmd.Stdin: a client may keep its end open for longer than the command runs.
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return 1
	}
	if err := cmd.Start(); err != nil {
		return 1
	}
	go func() {
		_, _ = io.Copy(stdin, session) // ends with the session
		_ = stdin.Close()
	}()
	if err := cmd.Wait(); err != nil {
		return max(1, cmd.ProcessState.ExitCode())
	}
	return 0
}

func parseKeys(t testing.TB, lines [][]byte) []ssh.PublicKey {
	t.Helper()
	keys := make([]ssh.PublicKey, len(lines))
	for i, line := range lines {
		key, _, _, _, err := ssh.ParseAuthorizedKey(line)
		if err != nil {
			t.Fatalf("parse the public key %q: %v", line, err)
		}
		keys[i] = key
	}
	return keys
}

func has(keys []ssh.PublicKey, key ssh.PublicKey) bool {
	return slices.ContainsFunc(keys, func(k ssh.PublicKey) bool { return glssh.KeysEqual(k, key) })
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}
