package signing_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest/vectors"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
)

// pkix1 returns any key in PKIX form, however bad it is.
func pkix1(tb testing.TB, key any) []byte {
	tb.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	return armor("PUBLIC KEY", der)
}

// modulus returns a number of a length that ends with some bits. It is no
// product of two primes, which nobody can tell.
func modulus(bits uint, end int64) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(3), bits-2)
	return n.Add(n, big.NewInt(end))
}

// TestKeyForms reads a key in all forms.
func TestKeyForms(t *testing.T) {
	t.Parallel()
	block, _ := pem.Decode(vectors.Key(t, "good.pub.pem"))
	sum := sha256.Sum256(block.Bytes)
	good := "sha256:" + hex.EncodeToString(sum[:])
	wrong := keys(t, "wrong.pub.pem").Fingerprints()[0]
	leaf := keys(t, "leaf.pub.pem").Fingerprints()[0]
	both := slices.Concat(vectors.Key(t, "good.pub.pem"), []byte("the old one\n"), vectors.Key(t, "wrong.pub.pem"))
	for name, c := range map[string]struct {
		text []byte
		want []string
	}{
		"PKIX":             {vectors.Key(t, "good.pub.pem"), []string{good}},
		"PKCS #1":          {vectors.Key(t, "good.pub.pkcs1.pem"), []string{good}},
		"certificate":      {vectors.Key(t, "leaf.crt.pem"), []string{leaf}},
		"two":              {both, []string{good, wrong}},
		"CRLF":             {[]byte(strings.ReplaceAll(string(both), "\n", "\r\n")), []string{good, wrong}},
		"text in front":    {append([]byte("made in 2026\n"), vectors.Key(t, "good.pub.pem")...), []string{good}},
		"longest":          {pkix1(t, &rsa.PublicKey{N: modulus(8192, 1), E: 65537}), nil},
		"exponent 3":       {pkix1(t, &rsa.PublicKey{N: modulus(2048, 1), E: 3}), nil},
		"largest exponent": {pkix1(t, &rsa.PublicKey{N: modulus(2048, 1), E: 1<<31 - 1}), nil},
		"sixteen":          {[]byte(strings.Repeat(string(vectors.Key(t, "good.pub.pem")), 16)), slices.Repeat([]string{good}, 16)},
	} {
		got, err := signing.ParsePublicKeys(c.text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c.want != nil && !slices.Equal(got.Fingerprints(), c.want) {
			t.Errorf("%s: %v, want %v", name, got.Fingerprints(), c.want)
		}
		// Whatever is read can be used.
		if err := withKeys(signed(t, signer(t, "ca.key.pem", ""), signing.Options{}), got); !errors.Is(err, signing.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestKeysRefused has what is no public key, or none that is trusted.
func TestKeysRefused(t *testing.T) {
	t.Parallel()
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := ocmtest.NewChain(ocmtest.Leaf{Subject: pkix.Name{CommonName: "curve"}, Key: curve, Direct: true})
	if err != nil {
		t.Fatal(err)
	}
	good := vectors.Key(t, "good.pub.pem")
	for name, c := range map[string]struct {
		text []byte
		says string
	}{
		"nothing":              {nil, "no PEM block"},
		"text":                 {[]byte("ssh-rsa AAAA"), "-----BEGIN PUBLIC KEY-----"},
		"indented":             {[]byte("  " + strings.ReplaceAll(string(good), "\n", "\n  ")), "no PEM block"},
		"cut off":              {good[:len(good)-10], "damaged"},
		"second cut off":       {append(good, good[:len(good)-40]...), "damaged"},
		"other base64":         {[]byte(strings.Replace(string(good), "MII", "M?I", 1)), "damaged"},
		"other content":        {armor("PUBLIC KEY", []byte("hello")), "read PEM block PUBLIC KEY"},
		"other PKCS #1":        {armor("RSA PUBLIC KEY", []byte("hello")), "read PEM block RSA PUBLIC KEY"},
		"other certificate":    {armor("CERTIFICATE", []byte("hello")), "read PEM block CERTIFICATE"},
		"certificate request":  {armor("CERTIFICATE REQUEST", []byte("hello")), "not a public key"},
		"1,024 bits":           {pkix1(t, &short.PublicKey), "1024 bits is too short"},
		"2,047 bits":           {pkix1(t, &rsa.PublicKey{N: modulus(2047, 1), E: 65537}), "2047 bits is too short"},
		"8,193 bits":           {pkix1(t, &rsa.PublicKey{N: modulus(8193, 1), E: 65537}), "8193 bits is longer"},
		"300,000 bits":         {pkix1(t, &rsa.PublicKey{N: modulus(300_000, 1), E: 65537}), "300000 bits is longer"},
		"even modulus":         {pkix1(t, &rsa.PublicKey{N: modulus(2048, 2), E: 65537}), "even"},
		"exponent 1":           {pkix1(t, &rsa.PublicKey{N: modulus(2048, 1), E: 1}), "exponent 1,"},
		"exponent 2":           {pkix1(t, &rsa.PublicKey{N: modulus(2048, 1), E: 2}), "exponent 2,"},
		"even exponent":        {pkix1(t, &rsa.PublicKey{N: modulus(2048, 1), E: 65536}), "exponent 65536,"},
		"large exponent":       {pkix1(t, &rsa.PublicKey{N: modulus(2048, 1), E: 1<<31 + 1}), "exponent 2147483649,"},
		"ECDSA":                {pkix1(t, &curve.PublicKey), "an ECDSA key"},
		"Ed25519":              {pkix1(t, edwards), "an Ed25519 key"},
		"certificate of ECDSA": {ocmtest.CertificatePEM(chain.Leaf), "an ECDSA key"},
		"seventeen":            {[]byte(strings.Repeat(string(good), 17)), "17 PEM blocks are too many"},
		"large":                {append(good, make([]byte, 64<<10)...), "too many"},
		"one of two":           {append(good, pkix1(t, edwards)...), "public key 2 of 2"},
		"the only one":         {pkix1(t, edwards), "public key: it is"},
	} {
		_, err := signing.ParsePublicKeys(c.text)
		if errors.Is(err, signing.ErrInvalid) {
			t.Errorf("%s: %v: a key is not a signature", name, err)
		}
		saying(t, err, "public key", c.says)
	}
}

// TestPrivateKeyIsNotShown gives private keys where public ones belong.
func TestPrivateKeyIsNotShown(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"good.priv.pem", "ca.key.pem"} {
		private := string(vectors.Key(t, name))
		_, err := signing.ParsePublicKeys([]byte(string(vectors.Key(t, "good.pub.pem")) + private))
		saying(t, err, "private key", "openssl pkey -pubout")
		_, rootErr := signing.NewAuthority([]byte(private), "CN=a")
		saying(t, rootErr, "private key")
		_, brokenErr := signing.ParseSigner([]byte(private[:len(private)-200]+"\n-----END PRIVATE KEY-----\n"), nil)
		saying(t, brokenErr, "private key")
		for line := range strings.Lines(private) {
			line = strings.TrimSpace(line)
			if len(line) < 20 || strings.HasPrefix(line, "-----") {
				continue
			}
			for _, e := range []error{err, rootErr, brokenErr} {
				if strings.Contains(e.Error(), line[:16]) {
					t.Errorf("error shows the key: %v", e)
				}
			}
		}
	}
}

// TestRotation checks with two keys, of which either may have signed.
func TestRotation(t *testing.T) {
	t.Parallel()
	both := keys(t, "wrong.pub.pem", "good.pub.pem")
	for _, name := range []string{"wrong", "good"} {
		d := signed(t, signer(t, name+".priv.pem", ""), signing.Options{})
		got, err := signing.Check(d, signing.Request{Name: "release", Keys: both}, now)
		if err != nil {
			t.Fatal(err)
		}
		if want := keys(t, name+".pub.pem").Fingerprints()[0]; got.KeyFingerprint != want {
			t.Errorf("made with %s, want %s", got.KeyFingerprint, want)
		}
	}
	err := withKeys(signed(t, signer(t, "leaf.key.pem", ""), signing.Options{}), both)
	if !errors.Is(err, signing.ErrInvalid) {
		t.Errorf("made with a third key: %v", err)
	}
	saying(t, err, append(both.Fingerprints(), "the 2 that are configured")...)
}

// TestFingerprint tells apart keys that are to be told apart.
func TestFingerprint(t *testing.T) {
	t.Parallel()
	same := keys(t, "good.pub.pem", "wrong.pub.pem").Fingerprint()
	if got := keys(t, "wrong.pub.pem", "good.pub.pkcs1.pem", "wrong.pub.pem").Fingerprint(); got != same {
		t.Errorf("the order makes a difference: %s, %s", got, same)
	}
	seen := map[string]string{}
	for _, names := range [][]string{{"good.pub.pem"}, {"wrong.pub.pem"}, {"good.pub.pem", "wrong.pub.pem"}, {"leaf.pub.pem"}, {"leaf.crt.pem"}} {
		got := keys(t, names...).Fingerprint()
		if was, ok := seen[got]; ok {
			t.Errorf("%v has the fingerprint of %s", names, was)
		}
		seen[got] = strings.Join(names, " ")
	}
}

// TestCertificateAsKey pins the key of a certificate while it is valid.
func TestCertificateAsKey(t *testing.T) {
	t.Parallel()
	made, _ := ocmtest.SignerOf(t, "pinned")
	certificate := func(from, until time.Time) []byte {
		chain, err := ocmtest.NewChain(ocmtest.Leaf{
			Subject: pkix.Name{CommonName: "pinned"}, Key: made.Key, NotBefore: from, NotAfter: until, Direct: true, Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		})
		if err != nil {
			t.Fatal(err)
		}
		return ocmtest.CertificatePEM(chain.Leaf)
	}
	var (
		old     = certificate(now.AddDate(-2, 0, 0), now.AddDate(-1, 0, 0))
		current = certificate(now.AddDate(-1, 0, 0), now.AddDate(1, 0, 0))
		renewed = certificate(now.AddDate(0, -1, 0), now.AddDate(2, 0, 0))
		next    = certificate(now.AddDate(1, 0, 0), now.AddDate(3, 0, 0))
		d       = signed(t, made, signing.Options{})
	)
	for name, c := range map[string]struct {
		keys    []byte
		expires time.Time
		says    string
	}{
		"valid":                     {keys: current, expires: now.AddDate(1, 0, 0)},
		"expired":                   {keys: old, says: "expired on 2026-01-01T00:00:00Z"},
		"not yet valid":             {keys: next, says: "not valid before 2028-01-01T00:00:00Z"},
		"one of them valid":         {keys: slices.Concat(old, current, next), expires: now.AddDate(1, 0, 0)},
		"the one that lasts":        {keys: slices.Concat(renewed, current), expires: now.AddDate(2, 0, 0)},
		"the one that lasts, later": {keys: slices.Concat(current, renewed), expires: now.AddDate(2, 0, 0)},
		"the key itself as well":    {keys: slices.Concat(current, pkix1(t, made.Key.Public()), renewed)},
		"none of them valid":        {keys: slices.Concat(old, next), says: "valid before"},
		"another's":                 {keys: vectors.Key(t, "leaf.crt.pem"), says: "another key"},
	} {
		k, err := signing.ParsePublicKeys(c.keys)
		if err != nil {
			t.Fatal(err)
		}
		got, err := signing.Check(d, signing.Request{Name: "release", Keys: k}, now)
		if c.says != "" {
			if !errors.Is(err, signing.ErrInvalid) || errors.Is(err, signing.ErrNotValidNow) != (name != "another's") {
				t.Errorf("%s: %v", name, err)
			}
			saying(t, err, c.says)
			continue
		}
		if err != nil || !got.Expires.Equal(c.expires) {
			t.Errorf("%s: %+v, %v, want until %s", name, got, err, c.expires)
		}
	}
}
