package signing_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest/vectors"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
)

// issuer is a certificate with its key.
type issuer struct {
	*x509.Certificate

	key crypto.Signer
}

// issue makes a certificate that is valid in the year around now, unless change
// says otherwise. It is an authority if it has no key usage, and self-signed if
// it has no parent.
func issue(t *testing.T, name string, key crypto.Signer, parent *issuer, change func(c *x509.Certificate)) *issuer {
	t.Helper()
	if key == nil {
		made, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		key = made
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name, Organization: []string{"Acme, Inc."}, Country: []string{"DE"}},
		NotBefore: now.AddDate(0, -6, 0), NotAfter: now.AddDate(0, 6, 0),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	if change != nil {
		change(c)
	}
	if parent == nil {
		parent = &issuer{Certificate: c, key: key}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent.Certificate, key.Public(), parent.key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issuer{Certificate: parsed, key: key}
}

// forSigning makes a certificate one of a signer.
func forSigning(c *x509.Certificate) {
	c.IsCA, c.KeyUsage, c.ExtKeyUsage = false, x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
}

// withChain returns a component version whose signature by a key carries
// certificates, whatever they are.
func withChain(t *testing.T, key crypto.Signer, certificates ...*issuer) *descriptor.Descriptor {
	t.Helper()
	own := issue(t, "release", key, nil, forSigning)
	d := signed(t, &signing.Signer{Key: key, Chain: []*x509.Certificate{own.Certificate}}, signing.Options{})
	value := &d.Signatures[0].Signature.Value
	*value, _, _ = strings.Cut(*value, "-----BEGIN CERTIFICATE-----")
	for _, c := range certificates {
		*value += string(ocmtest.CertificatePEM(c.Certificate))
	}
	return d
}

// TestChains checks signatures that carry certificates.
func TestChains(t *testing.T) {
	t.Parallel()
	made, _ := ocmtest.SignerOf(t, "chain")
	other, _ := ocmtest.SignerOf(t, "another chain")
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	usage := func(usages ...x509.ExtKeyUsage) func(c *x509.Certificate) {
		return func(c *x509.Certificate) { forSigning(c); c.ExtKeyUsage = usages }
	}
	valid := func(from, until time.Time, and func(c *x509.Certificate)) func(c *x509.Certificate) {
		return func(c *x509.Certificate) {
			if and != nil {
				and(c)
			}
			c.NotBefore, c.NotAfter = from, until
		}
	}
	subject := func(name pkix.Name) func(c *x509.Certificate) {
		return func(c *x509.Certificate) { forSigning(c); c.Subject = name }
	}
	var (
		root    = issue(t, "root", nil, nil, nil)
		fake    = issue(t, "root", nil, nil, nil)
		middle  = issue(t, "middle", nil, root, nil)
		stale   = issue(t, "stale", nil, root, valid(now.AddDate(-2, 0, 0), now.AddDate(-1, 0, 0), nil))
		early   = issue(t, "early", nil, root, valid(now.AddDate(1, 0, 0), now.AddDate(2, 0, 0), nil))
		brief   = issue(t, "brief", nil, root, valid(now.AddDate(0, -1, 0), now.AddDate(0, 1, 0), nil))
		forTLS  = issue(t, "for servers", nil, root, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
		weak    = issue(t, "weak", short, root, nil)
		noCA    = issue(t, "no authority", nil, root, forSigning)
		self    = issue(t, "release", made.Key, nil, forSigning)
		curve   = issue(t, "release", nil, root, forSigning)
		leaf    = func(parent *issuer) *issuer { return issue(t, "release", made.Key, parent, forSigning) }
		changed = func(change func(c *x509.Certificate)) []*issuer {
			return []*issuer{issue(t, "release", made.Key, root, change)}
		}
	)
	lapsed := issue(t, "lapsed", nil, nil, valid(now.AddDate(-2, 0, 0), now.AddDate(-1, 0, 0), nil))
	for name, c := range map[string]struct {
		key     crypto.Signer
		chain   []*issuer
		roots   []*issuer
		subject string
		expires time.Time
		says    string
		timed   bool
	}{
		"direct":                {chain: []*issuer{leaf(root)}},
		"below another":         {chain: []*issuer{leaf(middle), middle}},
		"with the root":         {chain: []*issuer{leaf(middle), middle, root}},
		"in another order":      {chain: []*issuer{leaf(middle), root, brief, middle}},
		"two roots":             {chain: []*issuer{leaf(root)}, roots: []*issuer{fake, root}},
		"middle as root":        {chain: []*issuer{leaf(middle)}, roots: []*issuer{middle}},
		"leaf as root":          {chain: []*issuer{self}, roots: []*issuer{self}},
		"any usage":             {chain: changed(usage(x509.ExtKeyUsageAny))},
		"among other usages":    {chain: changed(usage(x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageCodeSigning))},
		"ends before the leaf":  {chain: []*issuer{leaf(brief), brief}, expires: brief.NotAfter},
		"more of the subject":   {chain: []*issuer{leaf(root)}, subject: `C=DE,CN=release+O=Acme\, Inc.`},
		"two of one kind":       {chain: changed(subject(pkix.Name{CommonName: "release", Organization: []string{"Other", "Acme, Inc."}}))},
		"subject in other case": {chain: changed(subject(pkix.Name{CommonName: "Release"})), says: "lacks CN=release"},
		"another subject":       {chain: changed(subject(pkix.Name{CommonName: "mallory"})), says: "lacks CN=release"},
		"a longer name":         {chain: changed(subject(pkix.Name{CommonName: "release2"})), says: "lacks CN=release"},
		"part of the subject":   {chain: []*issuer{leaf(root)}, subject: "CN=release,OU=Ops", says: "lacks OU=Ops"},
		"attributes in a name":  {chain: changed(subject(pkix.Name{CommonName: "x,CN=release"})), says: "lacks CN=release"},
		"name of another kind":  {chain: changed(subject(pkix.Name{Organization: []string{"release"}})), says: "lacks CN=release"},
		"no subject":            {chain: changed(subject(pkix.Name{})), says: "lacks CN=release"},
		"only in its issuer": {
			chain: []*issuer{issue(t, "mallory", made.Key, issue(t, "release", nil, root, nil), forSigning)}, says: "lacks CN=release",
		},

		"no certificate":        {says: "carries no certificate"},
		"another's":             {chain: []*issuer{issue(t, "release", other.Key, root, forSigning)}, says: "not made with the key"},
		"made with another key": {key: other.Key, chain: []*issuer{leaf(root)}, says: "not made with the key"},
		"leaf not first":        {chain: []*issuer{middle, leaf(middle)}, says: "an ECDSA key"},
		"leaf with a curve":     {chain: []*issuer{curve}, says: "an ECDSA key"},
		"wrong root":            {chain: []*issuer{leaf(middle), middle}, roots: []*issuer{fake}, says: "leads to none of the configured root"},
		"self-made":             {chain: []*issuer{leaf(fake), fake}, says: "leads to none of the configured root"},
		"self-signed":           {chain: []*issuer{self}, says: "leads to none of the configured root"},
		"middle is missing":     {chain: []*issuer{leaf(middle)}, says: "intermediate certificate is missing"},
		"below a leaf":          {chain: []*issuer{leaf(noCA), noCA}, says: "leads to none of the configured root"},
		"below one for servers": {chain: []*issuer{leaf(forTLS), forTLS}, says: "is not accepted"},
		"below a short key":     {chain: []*issuer{leaf(weak), weak}, says: "1024 bits is too short"},
		"not for code":          {chain: changed(usage(x509.ExtKeyUsageServerAuth)), says: "codeSigning"},
		"for nothing":           {chain: changed(usage()), says: "codeSigning"},
		"not for signatures": {
			chain: changed(func(c *x509.Certificate) { forSigning(c); c.KeyUsage = x509.KeyUsageKeyEncipherment }), says: "digitalSignature",
		},
		"what it must mean is not known": {
			chain: changed(func(c *x509.Certificate) {
				forSigning(c)
				c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
			}),
			says: "unhandled critical extension",
		},
		"expired": {
			chain: changed(valid(now.AddDate(-2, 0, 0), now.AddDate(-1, 0, 0), forSigning)), says: "expired on 2026-01-01T00:00:00Z", timed: true,
		},
		"not yet valid": {
			chain: changed(valid(now.AddDate(1, 0, 0), now.AddDate(2, 0, 0), forSigning)), says: "not valid before 2028-01-01T00:00:00Z", timed: true,
		},
		"below one that expired":        {chain: []*issuer{leaf(stale), stale}, says: `"CN=stale,`, timed: true},
		"below one that is not valid":   {chain: []*issuer{leaf(early), early}, says: `"CN=early,`, timed: true},
		"below a root that has expired": {chain: []*issuer{leaf(lapsed)}, roots: []*issuer{lapsed}, says: `"CN=lapsed,`, timed: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.key == nil {
				c.key = made.Key
			}
			if c.roots == nil {
				c.roots = []*issuer{root}
			}
			if c.subject == "" {
				c.subject = "CN=release"
			}
			var roots []byte
			for _, r := range c.roots {
				roots = append(roots, ocmtest.CertificatePEM(r.Certificate)...)
			}
			authority, err := signing.NewAuthority(roots, c.subject)
			if err != nil {
				t.Fatal(err)
			}
			got, err := signing.Check(withChain(t, c.key, c.chain...), signing.Request{Name: "release", Authority: authority}, now)
			if c.says != "" {
				if !errors.Is(err, signing.ErrInvalid) || errors.Is(err, signing.ErrNotValidNow) != c.timed {
					t.Errorf("error %v", err)
				}
				saying(t, err, c.says)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.expires.IsZero() {
				c.expires = now.AddDate(0, 6, 0)
			}
			if want, err := signing.ParsePublicKeys(pkix1(t, c.key.Public())); err != nil || got.KeyFingerprint != want.Fingerprints()[0] {
				t.Errorf("made with %s, want %v, %v", got.KeyFingerprint, want, err)
			}
			if !got.Expires.Equal(c.expires) {
				t.Errorf("expires %s, want %s", got.Expires, c.expires)
			}
		})
	}
}

// TestChainOfReferenceTool checks what the reference tool made with a chain.
func TestChainOfReferenceTool(t *testing.T) {
	t.Parallel()
	d := vector(t, "classic/signed-pem", "vectors.example/orchard/root", "3.0.0")
	root, middle, leaf := vectors.Key(t, "ca.crt.pem"), vectors.Key(t, "int.crt.pem"), vectors.Key(t, "leaf.crt.pem")
	for name, c := range map[string]struct {
		roots   []byte
		subject string
		says    string
	}{
		"root":            {roots: root, subject: vectors.ChainSubject},
		"middle":          {roots: middle, subject: "CN=pear-signer"},
		"leaf":            {roots: leaf, subject: "O=Orchard Test"},
		"more":            {roots: slices.Concat(leaf, middle, root), subject: vectors.ChainSubject},
		"another subject": {roots: root, subject: "CN=apple-signer,O=Orchard Test", says: "lacks CN=apple-signer"},
		"its issuer":      {roots: root, subject: "CN=Orchard Test Intermediate", says: "lacks"},
	} {
		authority, err := signing.NewAuthority(c.roots, c.subject)
		if err != nil {
			t.Fatal(err)
		}
		got, err := signing.Check(d, signing.Request{Name: vectors.ChainSignature, Authority: authority}, now)
		if c.says != "" {
			if !errors.Is(err, signing.ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
			saying(t, err, c.says)
			continue
		}
		if err != nil || got.KeyFingerprint != keys(t, "leaf.pub.pem").Fingerprints()[0] || got.Expires.Year() != 2046 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// TestAuthorityRefused has roots and subjects that cannot be used.
func TestAuthorityRefused(t *testing.T) {
	t.Parallel()
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	root := vectors.Key(t, "ca.crt.pem")
	for name, c := range map[string]struct {
		roots   []byte
		subject string
		says    string
	}{
		"no subject":    {root, "", "subject"},
		"other subject": {root, "release", "equals sign"},
		"no roots":      {nil, "CN=a", "-----BEGIN CERTIFICATE-----"},
		"a key":         {vectors.Key(t, "good.pub.pem"), "CN=a", "not a certificate"},
		"cut off":       {root[:len(root)-30], "CN=a", "damaged"},
		"other content": {slices.Concat(root, armor("CERTIFICATE", []byte("hello"))), "CN=a", "root certificate 2 of 2"},
		"a short key":   {ocmtest.CertificatePEM(issue(t, "root", short, nil, nil).Certificate), "CN=a", "1024 bits is too short"},
		"thirty-three":  {slices.Repeat(root, 33), "CN=a", "too many"},
	} {
		if _, err := signing.NewAuthority(c.roots, c.subject); errors.Is(err, signing.ErrInvalid) {
			t.Errorf("%s: %v: a certificate is not a signature", name, err)
		} else {
			saying(t, err, c.says)
		}
	}
}

// TestAuthorityFingerprint tells apart authorities that are to be told apart.
func TestAuthorityFingerprint(t *testing.T) {
	t.Parallel()
	root, middle := vectors.Key(t, "ca.crt.pem"), vectors.Key(t, "int.crt.pem")
	fingerprint := func(subject string, roots ...[]byte) string {
		a, err := signing.NewAuthority(slices.Concat(roots...), subject)
		if err != nil {
			t.Fatal(err)
		}
		return a.Fingerprint()
	}
	same := fingerprint("CN=a,O=b", root, middle)
	if got := fingerprint("o=b, cn=a", middle, root, root); got != same {
		t.Errorf("the order makes a difference: %s, %s", got, same)
	}
	for _, got := range []string{fingerprint("CN=a", root, middle), fingerprint(`CN=a\,O=b`, root, middle), fingerprint("CN=a,O=b", root)} {
		if got == same {
			t.Errorf("two authorities have the fingerprint %s", got)
		}
	}
}
