// Package certs gives the embedded registry a certificate authority of its own.
//
// A Bundle is what is kept: the authority, its key, the serving certificate and its key, all as
// PEM. Ensure makes one, or renews what is about to end in the one there is. Dynamic serves a
// bundle and changes it under way.
//
// When the authority is replaced, clients must not notice. The new one is trusted beside the
// old ones at once (CACert lists both), and the serving chain carries the new authority signed by
// the old one too: a client that still knows only the old authority and one that knows only
// the new one both accept the same server.
package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"time"
)

const (
	defaultCAValidity   = 10 * 365 * 24 * time.Hour
	defaultCertValidity = 90 * 24 * time.Hour
	// backdate allows for clocks that are behind.
	backdate = time.Hour
	// maxAuthorities bounds how many old authorities stay trusted.
	maxAuthorities = 4
	// maxHosts bounds the names and addresses of a serving certificate.
	maxHosts     = 16
	organization = "ocm-operator"
)

// errNoHost says that a certificate was wanted for nothing.
var errNoHost = errors.New("certificate of the registry needs a host name")

// Bundle is an authority and a serving certificate as PEM, in the form that a Secret keeps.
type Bundle struct {
	// CACert is what clients trust: the current authority first, then older ones that are still valid.
	CACert []byte
	// CAKey is the key of the current authority.
	CAKey []byte
	// Cert is the serving certificate with the chain that clients may need.
	Cert []byte
	// Key is the key of the serving certificate.
	Key []byte
}

// Options configures Ensure.
type Options struct {
	// Hosts are the names and addresses that the server is reached by. There has to be one. A certificate may be for others too:
	// one that is replaced because it lacks some keeps those that it has, as servers with one bundle may have several.
	Hosts []string
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// CAValidity is how long an authority lasts; ten years when zero.
	CAValidity time.Duration
	// CertValidity is how long a serving certificate lasts; 90 days when zero.
	CertValidity time.Duration
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.CAValidity <= 0 {
		o.CAValidity = defaultCAValidity
	}
	if o.CertValidity <= 0 {
		o.CertValidity = defaultCertValidity
	}
	return o
}

// Ensure returns a bundle that is good for two thirds of its certificates' lives or less: the
// one given when it is, and else one in which as little as possible was replaced. It tells whether
// anything was. An empty bundle is made from nothing. An unreadable one is an error, because replacing
// it takes the trust of every client; the caller decides by passing an empty one.
func Ensure(b Bundle, o Options) (Bundle, bool, error) {
	o = o.withDefaults()
	if len(o.Hosts) == 0 {
		return Bundle{}, false, errNoHost
	}
	if len(b.CACert) == 0 && len(b.CAKey) == 0 {
		a, err := NewAuthority(o.Now(), o.CAValidity)
		if err != nil {
			return Bundle{}, false, err
		}
		b, err := a.bundle(o)
		return b, true, err
	}
	a, err := parseAuthority(b)
	if err != nil {
		return Bundle{}, false, err
	}
	switch {
	case needsRenewal(a.cert, o.Now()):
		if a, err = a.successor(o); err != nil {
			return Bundle{}, false, err
		}
	default:
		leaf := a.leaf(b, o)
		if leaf == nil {
			break
		}
		if covers(leaf, o.Hosts) {
			return b, false, nil
		}
		o.Hosts = withOthers(o.Hosts, hostsOf(leaf))
	}
	b, err = a.bundle(o)
	return b, true, err
}

// Foreign tells whether the serving certificate is somebody else's, beside an authority and its key that have not signed it:
// whoever wrote it has left those. One that can't be read is nobody's.
func (b Bundle) Foreign() bool {
	chain, err := parseCerts(b.Cert)
	if err != nil {
		return false
	}
	a, err := parseAuthority(b)
	if err != nil {
		return true
	}
	for _, authority := range append([]*x509.Certificate{a.cert}, a.older...) {
		if chain[0].CheckSignatureFrom(authority) == nil {
			return false
		}
	}
	return true
}

// ValidFrom returns when the serving certificate begins to be valid; the zero time if it can't be read.
func (b Bundle) ValidFrom() time.Time {
	chain, err := parseCerts(b.Cert)
	if err != nil {
		return time.Time{}
	}
	return chain[0].NotBefore
}

// Part is what Rotate replaces.
type Part string

const (
	// Certificate is the serving certificate and its key.
	Certificate Part = "certificate"
	// AuthorityPart is the authority, too. The one before stays trusted, so that no client notices.
	AuthorityPart Part = "authority"
	// Forget ends the trust in the authorities before the current one.
	Forget Part = "forget"
)

// Rotate replaces a part of a bundle although it is good still, as when a key has become known to somebody.
func Rotate(b Bundle, o Options, what Part) (Bundle, error) {
	o = o.withDefaults()
	if len(o.Hosts) == 0 {
		return Bundle{}, errNoHost
	}
	a, err := parseAuthority(b)
	if err != nil {
		return Bundle{}, err
	}
	switch what {
	case Certificate:
	case AuthorityPart:
		if a, err = a.successor(o); err != nil {
			return Bundle{}, err
		}
	case Forget:
		a.older, a.bridges = nil, nil
	default:
		return Bundle{}, fmt.Errorf("can't rotate %q: want %s, %s or %s", what, Certificate, AuthorityPart, Forget)
	}
	return a.bundle(o)
}

// Check tells why clients would not accept the bundle for a host now: certificate and key don't belong together, the
// certificate is not for the host or not valid now, or what clients are told to trust doesn't vouch for it. A bundle without
// an authority is for clients that trust the system's.
func (b Bundle) Check(host string, now time.Time) error {
	pair, err := tls.X509KeyPair(b.Cert, b.Key)
	if err != nil {
		return fmt.Errorf("certificate and key: %w", err)
	}
	chain, err := parseCerts(b.Cert)
	if err != nil {
		return err
	}
	options := x509.VerifyOptions{DNSName: host, CurrentTime: now, Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool()}
	trusted := chain[len(chain)-1:]
	if len(b.CACert) > 0 {
		if trusted, err = parseCerts(b.CACert); err != nil {
			return fmt.Errorf("authority: %w", err)
		}
	}
	for _, c := range trusted {
		options.Roots.AddCert(c)
	}
	for _, c := range chain[1:] {
		options.Intermediates.AddCert(c)
	}
	if _, err := pair.Leaf.Verify(options); err != nil {
		return fmt.Errorf("certificate is not one that clients accept: %w", err)
	}
	return nil
}

// Expiry returns when the serving certificate and the current authority end; a zero time means that there is none.
func (b Bundle) Expiry() (cert, authority time.Time) {
	if all, err := parseCerts(b.Cert); err == nil {
		cert = all[0].NotAfter
	}
	if all, err := parseCerts(b.CACert); err == nil {
		authority = all[0].NotAfter
	}
	return cert, authority
}

// NeedsRenewal tells whether Ensure would replace a certificate because of its age, or because
// it can't be read.
func (b Bundle) NeedsRenewal(now time.Time) bool {
	for _, block := range [][]byte{b.CACert, b.Cert} {
		all, err := parseCerts(block)
		if err != nil || needsRenewal(all[0], now) {
			return true
		}
	}
	return false
}

// needsRenewal leaves a third of a certificate's life for whatever goes wrong.
func needsRenewal(c *x509.Certificate, now time.Time) bool {
	life := c.NotAfter.Sub(c.NotBefore)
	return now.Before(c.NotBefore) || now.After(c.NotAfter.Add(-life/3))
}

// Authority signs serving certificates.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	// older are the authorities before this one that clients may still trust.
	older []*x509.Certificate
	// bridges are this authority's certificate, signed by older ones.
	bridges []*x509.Certificate
}

// NewAuthority makes an authority that nobody trusts yet.
func NewAuthority(now time.Time, validity time.Duration) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate key of the registry's authority: %w", err)
	}
	template, err := authorityTemplate(now, validity)
	if err != nil {
		return nil, err
	}
	cert, err := sign(template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return &Authority{cert: cert, key: key}, nil
}

func authorityTemplate(now time.Time, validity time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("generate serial number: %w", err)
	}
	return &x509.Certificate{
		SerialNumber: serial,
		// Every authority has a name of its own, so that chains are never built by a name that two share.
		Subject:               pkix.Name{Organization: []string{organization}, CommonName: fmt.Sprintf("registry authority %x", serial.Bytes()[:4])},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(validity),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, nil
}

// successor makes the next authority and has this one vouch for it.
func (a *Authority) successor(o Options) (*Authority, error) {
	next, err := NewAuthority(o.Now(), o.CAValidity)
	if err != nil {
		return nil, err
	}
	for _, old := range append([]*x509.Certificate{a.cert}, a.older...) {
		if o.Now().Before(old.NotAfter) && len(next.older) < maxAuthorities {
			next.older = append(next.older, old)
		}
	}
	if !o.Now().Before(a.cert.NotAfter) {
		return next, nil
	}
	template := *next.cert
	template.NotAfter = a.cert.NotAfter
	if template.NotAfter.After(next.cert.NotAfter) {
		template.NotAfter = next.cert.NotAfter
	}
	bridge, err := sign(&template, a.cert, &next.key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	// The first bridge is by the first of the older authorities, and so on. Those that nobody trusts any more lead nowhere.
	next.bridges = append([]*x509.Certificate{bridge}, a.bridges...)
	next.bridges = slices.DeleteFunc(next.bridges, func(c *x509.Certificate) bool { return !o.Now().Before(c.NotAfter) })
	next.bridges = next.bridges[:min(len(next.bridges), len(next.older))]
	return next, nil
}

// bundle issues a serving certificate and packs everything.
func (a *Authority) bundle(o Options) (Bundle, error) {
	cert, key, err := a.Issue(o.Hosts, o.Now(), o.CertValidity)
	if err != nil {
		return Bundle{}, err
	}
	caKey, err := encodeKey(a.key)
	if err != nil {
		return Bundle{}, err
	}
	return Bundle{CACert: encodeCerts(append([]*x509.Certificate{a.cert}, a.older...)...), CAKey: caKey, Cert: cert, Key: key}, nil
}

// Issue makes a serving certificate for names and addresses, and its key, as PEM. It never
// outlives the authority.
func (a *Authority) Issue(hosts []string, now time.Time, validity time.Duration) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("generate key of the registry: %w", err)
	}
	template, err := authorityTemplate(now, validity)
	if err != nil {
		return nil, nil, err
	}
	template.IsCA, template.KeyUsage = false, x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	template.Subject.CommonName = "registry"
	if template.NotAfter.After(a.cert.NotAfter) {
		template.NotAfter = a.cert.NotAfter
	}
	template.DNSNames, template.IPAddresses = split(hosts)
	leaf, err := sign(template, a.cert, &private.PublicKey, a.key)
	if err != nil {
		return nil, nil, err
	}
	key, err = encodeKey(private)
	return encodeCerts(append([]*x509.Certificate{leaf}, a.bridges...)...), key, err
}

// leaf returns the bundle's serving certificate when it is this authority's, fresh, and has its key; else nil.
func (a *Authority) leaf(b Bundle, o Options) *x509.Certificate {
	chain, err := parseCerts(b.Cert)
	if err != nil || needsRenewal(chain[0], o.Now()) || chain[0].CheckSignatureFrom(a.cert) != nil {
		return nil
	}
	key, err := parseKey(b.Key)
	if err != nil || !key.PublicKey.Equal(chain[0].PublicKey) {
		return nil
	}
	return chain[0]
}

// covers tells whether a certificate is for all the hosts.
func covers(leaf *x509.Certificate, hosts []string) bool {
	return !slices.ContainsFunc(hosts, func(host string) bool { return leaf.VerifyHostname(host) != nil })
}

// hostsOf returns what a certificate is for.
func hostsOf(leaf *x509.Certificate) []string {
	hosts := slices.Clone(leaf.DNSNames)
	for _, address := range leaf.IPAddresses {
		hosts = append(hosts, address.String())
	}
	return hosts
}

// withOthers adds other hosts to those that there must be, as far as there is room.
func withOthers(hosts, others []string) []string {
	all := slices.Clone(hosts)
	for _, other := range others {
		if len(all) < maxHosts && !slices.Contains(all, other) {
			all = append(all, other)
		}
	}
	return all
}

func split(hosts []string) (names []string, addresses []net.IP) {
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			addresses = append(addresses, ip)
		} else {
			names = append(names, host)
		}
	}
	return names, addresses
}

func sign(template, parent *x509.Certificate, public *ecdsa.PublicKey, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("sign certificate of the registry: %w", err)
	}
	return x509.ParseCertificate(der)
}

func parseAuthority(b Bundle) (*Authority, error) {
	all, err := parseCerts(b.CACert)
	if err != nil {
		return nil, fmt.Errorf("read authority of the registry: %w", err)
	}
	key, err := parseKey(b.CAKey)
	if err != nil {
		return nil, fmt.Errorf("read key of the registry's authority: %w", err)
	}
	if !key.PublicKey.Equal(all[0].PublicKey) {
		return nil, errors.New("authority of the registry and its key do not belong together")
	}
	a := &Authority{cert: all[0], key: key, older: all[1:]}
	// The serving chain is where bridges are kept; one that can't be read costs no more than them.
	if chain, err := parseCerts(b.Cert); err == nil {
		a.bridges = slices.DeleteFunc(chain[1:], func(c *x509.Certificate) bool { return !c.IsCA })
	}
	return a, nil
}

func parseCerts(content []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("parse certificate: %w", err)
		}
		all = append(all, cert)
	}
	if len(all) == 0 {
		return nil, errors.New("there is no certificate in PEM form")
	}
	return all, nil
}

func parseKey(content []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, errors.New("there is no key in PEM form")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parse key: %w", err)
	}
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("key is a %T, not an ECDSA one", key)
	}
	return private, nil
}

func encodeCerts(certs ...*x509.Certificate) []byte {
	var out bytes.Buffer
	for _, c := range certs {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return out.Bytes()
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
