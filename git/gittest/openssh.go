package gittest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// privileges is where sshd, when root runs it, puts the part of itself that strangers talk to. A service makes the folder when it starts.
const privileges = "/run/sshd"

// NewOpenSSH is NewSSH with OpenSSH's own server. The error says why this machine can't run it, so that a test can print that and be
// content with NewSSH.
func NewOpenSSH(t testing.TB, o SSHOptions) (*SSHServer, error) {
	t.Helper()
	sshd, err := findSSHD()
	if err != nil {
		return nil, err
	}
	self, err := user.Current()
	if err != nil {
		return nil, fmt.Errorf("find the user whom sshd would let in: %w", err)
	}
	s := newSSHServer(t, &o)
	s.User, s.prefix = self.Username, filepath.ToSlash(s.root)
	probe := NewKey(t, Ed25519, "")
	config := s.configure(t, o, probe)
	if out, err := exec.CommandContext(t.Context(), sshd, "-t", "-f", config).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s does not accept its configuration: %w: %s", sshd, err, bytes.TrimSpace(out))
	}
	listener := listen(t)
	s.announce(listener)
	log := &logBuffer{}
	stop := serveSSHD(listener, log, sshd, config)
	t.Cleanup(stop)
	if err := s.login(t.Context(), probe); err != nil {
		return nil, fmt.Errorf("log in as %s: %w; sshd says: %s", s.User, err, log)
	}
	return s, nil
}

// findSSHD finds a server that can run here.
func findSSHD() (string, error) {
	path, err := exec.LookPath("sshd")
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/sshd") // not in the PATH of most users
	}
	if err != nil {
		return "", errors.New("sshd is not installed (Debian: apt-get install openssh-server)")
	}
	if path, err = filepath.Abs(path); err != nil { // sshd insists
		return "", fmt.Errorf("find sshd: %w", err)
	}
	if os.Getuid() != 0 {
		return path, nil
	}
	if _, err := user.Lookup("sshd"); err != nil {
		return "", fmt.Errorf("root can't run sshd without the user sshd: %w", err)
	}
	if err := os.Mkdir(privileges, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("root can't run sshd without %s: %w", privileges, err)
	}
	return path, nil
}

// configure writes sshd's configuration, keys and the script by which git runs, and returns the configuration's path.
func (s *SSHServer) configure(t testing.TB, o SSHOptions, probe Key) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var config, authorized strings.Builder
	for i, key := range s.hostKeys(t, o.HostKeys) {
		fmt.Fprintln(&config, "HostKey", write(fmt.Sprintf("host-%d", i), string(key.Private), 0o600))
	}
	// The first argument says what the key may do; env cuts off what the login shell of the user has set.
	git := write("run-git", fmt.Sprintf(`#!/bin/sh
case "$1 $SSH_ORIGINAL_COMMAND" in
"read git-receive-pack "*)
  echo 'ERROR: The key you are authenticating with has been marked as read only.' >&2
  exit 1
  ;;
esac
exec env -i %s GIT_PROTOCOL="$GIT_PROTOCOL" git shell -c "$SSH_ORIGINAL_COMMAND"
`, "'"+strings.Join(Environment(), "' '")+"'"), 0o700)
	allow := func(key []byte, right string) {
		fmt.Fprintf(&authorized, "restrict,command=\"%s %s\" %s\n", git, right, bytes.TrimSpace(key))
	}
	for _, key := range o.Authorized {
		allow(key, "write")
	}
	for _, key := range append(o.ReadOnly, probe.Public) {
		allow(key, "read")
	}
	fmt.Fprintf(&config, `AuthorizedKeysFile %s
AuthenticationMethods publickey
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
AcceptEnv GIT_PROTOCOL
PidFile none
UseDNS no
PrintMotd no
`, write("authorized_keys", authorized.String(), 0o600))
	return write("sshd_config", config.String(), 0o600)
}

// serveSSHD runs one sshd for each connection, as inetd does: no port is taken twice, and nothing stays when the listener is closed.
func serveSSHD(listener net.Listener, log *logBuffer, sshd, config string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				if err := runSSHD(ctx, conn.(*net.TCPConn), log, sshd, config); err != nil { //nolint:forcetypeassert // of a listener for TCP
					_, _ = fmt.Fprintln(log, err)
				}
			})
		}
	})
	return func() {
		cancel()
		_ = listener.Close()
		running.Wait()
	}
}

func runSSHD(ctx context.Context, conn *net.TCPConn, log *logBuffer, sshd, config string) error {
	file, err := conn.File() // a copy, which is sshd's
	_ = conn.Close()
	if err != nil {
		return fmt.Errorf("hand over the connection: %w", err)
	}
	defer func() { _ = file.Close() }()
	cmd := exec.CommandContext(ctx, sshd, "-i", "-e", "-f", config)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = file, file, log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	return cmd.Run()
}

// login shows that sshd lets its user in: accounts can be locked, and what else a machine forbids nobody can know.
func (s *SSHServer) login(ctx context.Context, key Key) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.Address)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	client, channels, requests, err := ssh.NewClientConn(conn, s.Address, &ssh.ClientConfig{
		User: s.User, Auth: []ssh.AuthMethod{ssh.PublicKeys(key.Signer)}, HostKeyCallback: ssh.FixedHostKey(s.hosts[0]),
		HostKeyAlgorithms: hostAlgorithms(s.hosts[0]),
	})
	if err != nil {
		_ = conn.Close()
		return err
	}
	return ssh.NewClient(client, channels, requests).Close()
}

// hostAlgorithms lists the algorithms of a host key. An RSA key has several, and the one that has the key's name is refused today.
func hostAlgorithms(key ssh.PublicKey) []string {
	if key.Type() == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{key.Type()}
}

// logBuffer keeps the first lines of what is written, for an error.
type logBuffer struct {
	mu   sync.Mutex
	text []byte
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.text) < 4096 {
		l.text = append(l.text, p...)
	}
	return len(p), nil
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimSpace(string(l.text))
}
