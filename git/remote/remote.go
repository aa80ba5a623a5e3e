package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Bounds that hold where Options say nothing else.
const (
	defaultMaxPack = 1 << 30
	defaultMaxRefs = 100_000
	defaultAgent   = "git/ocm-operator"
)

// defaultPatience is how long a server is listened to that has taken a push.
const defaultPatience = 30 * time.Second

// Auth are the credentials of a repository. The zero value is none.
type Auth struct {
	// Username and Password are for HTTP. The password may be a token; the user is "git" if it is empty.
	Username, Password string
	// BearerToken is for HTTP, in place of Username and Password.
	BearerToken string
	// Identity is the private key of SSH, in PEM, and Passphrase is its password if it has one.
	Identity   []byte
	Passphrase string
	// KnownHosts are the keys of the hosts of SSH, as in the file of OpenSSH.
	KnownHosts []byte
}

// Options say which repository is spoken to, and how.
type Options struct {
	// URL is the address of the repository.
	URL string
	// Auth are the credentials. They are sent to the host of URL only.
	Auth Auth
	// CA are certificates in PEM that are trusted besides those of the system.
	CA []byte
	// Certificate and Key, in PEM, are what the server knows the client by.
	Certificate, Key []byte
	// Proxy is where connections go through: http, https or socks5 for HTTP, socks5 for SSH. Nil is what the environment
	// says for HTTP, and none for SSH.
	Proxy *url.URL
	// Dial opens all connections, also those to the proxy. Nil is net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// UserAgent is what the client calls itself.
	UserAgent string
	// MaxPackBytes is how much may be fetched. Zero is 1 GiB.
	MaxPackBytes int64
	// TempDir is where files for packs are made, which have no names. Empty is that of the system.
	TempDir string
	// MaxRefs is how many branches the repository may have. Zero is 100000. Other refs may be many times more.
	MaxRefs int
}

// Remote is a repository. It can be used by several goroutines.
type Remote struct {
	url       *URL
	options   Options
	transport transport
	secrets   *strings.Replacer
	patience  time.Duration

	mu sync.Mutex
	// fetching is what the server said that it can do when it fetches, as soon as that is known.
	fetching capabilities
}

// Open checks the options, and connects to nothing.
func Open(o Options) (*Remote, error) {
	u, err := ParseURL(o.URL)
	if err != nil {
		return nil, err
	}
	if o.MaxPackBytes <= 0 {
		o.MaxPackBytes = defaultMaxPack
	}
	if o.MaxRefs <= 0 {
		o.MaxRefs = defaultMaxRefs
	}
	if o.UserAgent == "" {
		o.UserAgent = defaultAgent
	}
	if strings.ContainsFunc(o.UserAgent, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("the name of the client has characters that are not allowed in a message of git")
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	r := &Remote{url: u, options: o, secrets: secretsOf(o), patience: defaultPatience}
	if u.Scheme == schemeSSH {
		r.transport, err = newSSH(u, o, r.clean)
	} else {
		r.transport, err = newHTTP(u, o, r.clean)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", u, err)
	}
	return r, nil
}

// URL is the address of the repository.
func (r *Remote) URL() *URL {
	return r.url
}

// Close ends connections that are kept. Stores stay usable until they are asked for what they do not have.
func (r *Remote) Close() {
	r.transport.close()
}

// Refs returns the branches. It costs one request.
func (r *Remote) Refs(ctx context.Context) (*Refs, error) {
	talk, err := r.transport.open(ctx, uploadPack)
	if err != nil {
		return nil, r.failed(ctx, "list the branches", err)
	}
	defer talk.close()
	advert := talk.advertised()
	r.learn(advert.caps)
	return &advert.refs, nil
}

// learn keeps what the server can do, and returns what is known. A server that has nothing does not say it.
func (r *Remote) learn(caps capabilities) capabilities {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(caps) > 0 {
		r.fetching = caps
	}
	return r.fetching
}

// failed says what was done when an error came, and to which repository. A call that was given up has no other error.
func (r *Remote) failed(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fmt.Errorf("%s of %s: %w", what, r.url, err)
}
