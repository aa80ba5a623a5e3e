package remote

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"golang.org/x/crypto/ssh"
	"golang.org/x/net/proxy"
)

// sshTransport runs the services on a host by SSH, each in a connection of its own. It knows what the options say, and
// reads no file and no agent of the machine.
type sshTransport struct {
	url    *URL
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
	config ssh.ClientConfig
	limits advertLimits
	clean  func(string) string
}

func newSSH(u *URL, o Options, clean func(string) string) (*sshTransport, error) {
	signer, err := identity(o.Auth)
	if err != nil {
		return nil, err
	}
	keys, err := parseKnownHosts(o.Auth.KnownHosts, u, o.TempDir)
	if err != nil {
		return nil, err
	}
	t := &sshTransport{url: u, dial: o.Dial, limits: advertLimits{refs: o.MaxRefs}, clean: clean}
	t.config = ssh.ClientConfig{
		User:              u.User,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyCallback:   keys.check,
		HostKeyAlgorithms: keys.algorithms,
		ClientVersion:     "SSH-2.0-ocm-operator",
	}
	if o.Proxy != nil && strings.HasPrefix(o.Proxy.Scheme, "socks5") {
		if t.dial, err = throughProxy(o); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// identity reads the private key.
func identity(a Auth) (ssh.Signer, error) {
	if len(bytes.TrimSpace(a.Identity)) == 0 {
		return nil, errors.New("SSH needs a private key: put it into the key identity of the Secret")
	}
	if err := checkIdentity(a.Identity); err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey(a.Identity)
	if _, locked := errors.AsType[*ssh.PassphraseMissingError](err); locked {
		if a.Passphrase == "" {
			return nil, errors.New("the private key in identity has a password: put it into the key password of the Secret")
		}
		if signer, err = ssh.ParsePrivateKeyWithPassphrase(a.Identity, []byte(a.Passphrase)); err != nil {
			return nil, errors.New("the password does not open the private key in identity; check both in the Secret")
		}
	}
	if err != nil {
		// What the parser says may repeat parts of the key.
		return nil, errors.New("identity is not a private key of OpenSSH or PEM; check the Secret")
	}
	return signer, nil
}

const (
	// maxIdentity is how many bytes a private key may have; one of RSA with 16384 bits has 13000.
	maxIdentity = 32 << 10
	// maxRounds is how often a password may be hashed before it opens a key, which nothing can interrupt. ssh-keygen does
	// it 24 times.
	maxRounds = 2048
)

// checkIdentity refuses keys that would take hours to read.
func checkIdentity(raw []byte) error {
	if len(raw) > maxIdentity {
		return fmt.Errorf("the private key in identity has more than %d bytes; use another one", maxIdentity)
	}
	const magic = "openssh-key-v1\x00"
	block, _ := pem.Decode(raw)
	if block == nil || !bytes.HasPrefix(block.Bytes, []byte(magic)) {
		return nil
	}
	var key struct {
		Cipher, Hash, Options string
		Rest                  []byte `ssh:"rest"`
	}
	var options struct {
		Salt   string
		Rounds uint32
	}
	// What cannot be read is left to the parser of keys.
	if ssh.Unmarshal(block.Bytes[len(magic):], &key) == nil && ssh.Unmarshal([]byte(key.Options), &options) == nil && options.Rounds > maxRounds {
		return fmt.Errorf("the password of the private key in identity is hashed more than %d times; make it anew by `ssh-keygen -p -a 100`", maxRounds)
	}
	return nil
}

// dialer is a function that opens connections, as a proxy.ContextDialer.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// Dial implements proxy.Dialer.
func (d dialer) Dial(network, address string) (net.Conn, error) {
	return d(context.Background(), network, address)
}

// DialContext implements proxy.ContextDialer.
func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return d(ctx, network, address)
}

// throughProxy returns what connects through a SOCKS5 proxy.
func throughProxy(o Options) (dialer, error) {
	var auth *proxy.Auth
	if user := o.Proxy.User; user != nil {
		password, _ := user.Password()
		auth = &proxy.Auth{User: user.Username(), Password: password}
	}
	address := o.Proxy.Host
	if o.Proxy.Port() == "" {
		address = net.JoinHostPort(o.Proxy.Hostname(), "1080")
	}
	socks, err := proxy.SOCKS5("tcp", address, auth, dialer(o.Dial))
	if err != nil {
		return nil, fmt.Errorf("the proxy: %w", err)
	}
	through, ok := socks.(proxy.ContextDialer)
	if !ok {
		return nil, errors.New("the proxy cannot be given up while it connects")
	}
	return through.DialContext, nil
}

// close implements transport.
func (t *sshTransport) close() {}

// resume implements transport: the server speaks first in every connection.
func (t *sshTransport) resume(ctx context.Context, service string, _ capabilities) (conversation, error) {
	return t.open(ctx, service)
}

// sshConversation is a command that runs on the server.
type sshConversation struct {
	client *ssh.Client
	run    *ssh.Session
	in     io.WriteCloser
	out    io.Reader
	said   *heard
	clean  func(string) string
	advert *advertisement
	asked  bool
	// unwatch stops to wait for the end of the context.
	unwatch func() bool
}

// open implements transport.
func (t *sshTransport) open(ctx context.Context, service string) (conversation, error) {
	conn, err := t.dial(ctx, "tcp", t.url.Address())
	if err != nil {
		return nil, err
	}
	c := &sshConversation{said: &heard{}, clean: t.clean}
	// Nothing in SSH knows contexts: without its connection all of it ends.
	c.unwatch = context.AfterFunc(ctx, func() { _ = conn.Close() })
	if c.client, err = t.handshake(conn); err != nil {
		c.unwatch()
		_ = conn.Close()
		return nil, err
	}
	if err := c.start(service+" "+quote(t.url.Path), t.limits); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// handshake makes sure of the host and logs in.
func (t *sshTransport) handshake(conn net.Conn) (*ssh.Client, error) {
	var refused error
	config := t.config
	config.HostKeyCallback = func(host string, addr net.Addr, key ssh.PublicKey) error {
		refused = t.config.HostKeyCallback(host, addr, key)
		return refused
	}
	opened, channels, requests, err := ssh.NewClientConn(conn, t.url.Address(), &config)
	if err == nil {
		return ssh.NewClient(opened, channels, requests), nil
	}
	const advice = "if its operator says that it was changed, replace it in known_hosts of the Secret"
	_, differ := errors.AsType[*ssh.AlgorithmNegotiationError](err)
	switch {
	case refused != nil:
		return nil, fmt.Errorf("%w: %w; %s", ErrHostKey, refused, advice)
	case differ:
		return nil, fmt.Errorf("%w, or no way to show it is known to both: %s; %s", ErrHostKey, t.clean(err.Error()), advice)
	case strings.Contains(err.Error(), "unable to authenticate"):
		return nil, fmt.Errorf("%w: the server knows user %s by another key than identity, or not at all", ErrUnauthorized, t.url.User)
	}
	return nil, err
}

// start runs a command and reads what the server has.
func (c *sshConversation) start(command string, limits advertLimits) (err error) {
	if c.run, err = c.client.NewSession(); err != nil {
		return err
	}
	c.run.Stderr = c.said
	if c.in, err = c.run.StdinPipe(); err != nil {
		return err
	}
	if c.out, err = c.run.StdoutPipe(); err != nil {
		return err
	}
	if err := c.run.Start(command); err != nil {
		return fmt.Errorf("%w: the server does not run commands of git: %w", ErrProtocol, err)
	}
	if c.advert, err = readAdvertisement(c.out, limits, c.clean); err != nil {
		return c.explain(err)
	}
	return nil
}

// quote makes one word of a path for a shell.
func quote(path string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "!", `'\!'`).Replace(path) + "'"
}

// advertised implements conversation.
func (c *sshConversation) advertised() *advertisement {
	return c.advert
}

// ask implements conversation.
func (c *sshConversation) ask(_ context.Context, request body) (io.ReadCloser, error) {
	content, _, err := request()
	if err != nil {
		return nil, err
	}
	defer content.Close()
	c.asked = true
	if _, err := io.Copy(c.in, content); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	// A server that stopped to read has said why, in the answer or beside it.
	if err := c.in.Close(); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return io.NopCloser(c.out), nil
}

// explain implements conversation.
func (c *sshConversation) explain(err error) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	// The command has ended, and what it has to say comes before it is told. The status adds nothing to that.
	_ = c.run.Wait()
	if said := c.said.String(); c.clean(said) != "" {
		return saidError(said, c.clean)
	}
	return err
}

// close implements conversation.
func (c *sshConversation) close() {
	if c.in != nil && c.advert != nil && !c.asked {
		// Nothing is wanted. A server that does not hear it ends with the connection.
		_ = pktline.NewEncoder(c.in).Flush()
	}
	_ = c.client.Close()
	c.unwatch()
}

// heard keeps the beginning of what a server says to people.
type heard struct {
	mu   sync.Mutex
	text []byte
}

// Write implements io.Writer.
func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text = append(h.text, p[:min(len(p), maxHeard-len(h.text))]...)
	return len(p), nil
}

// String is what was kept.
func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return string(h.text)
}
