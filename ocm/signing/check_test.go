package signing_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest/vectors"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
)

// TestEveryFieldCounts changes each text of a signature. Two are not looked at,
// because nothing protects them.
func TestEveryFieldCounts(t *testing.T) {
	t.Parallel()
	ignored := map[string]bool{"Issuer": true, "Timestamp": true}
	plain := signed(t, signer(t, "good.priv.pem", ""), signing.Options{})
	armored := signed(t, signer(t, "leaf.key.pem", "chain.pem"), signing.Options{})
	for name, d := range map[string]*descriptor.Descriptor{"plain": plain, "PEM": armored} {
		good, original := keys(t, "good.pub.pem", "leaf.pub.pem"), d.Signatures[0]
		var walk func(v reflect.Value, path string) int
		walk = func(v reflect.Value, path string) int {
			n := 0
			for i := range v.NumField() {
				field, name := v.Field(i), v.Type().Field(i).Name
				switch {
				case ignored[name]:
				case field.Kind() == reflect.Struct:
					n += walk(field, path+name+".")
				default:
					n++
					was := field.String()
					for what, text := range map[string]string{
						"empty": "", "longer": was + "0", "shorter": was[:len(was)-1], "reversed": reverse(was), "upper or lower case": swapCase(was),
						"of another": "sigstore", "large": strings.Repeat("ab", 100_000), "nul": "\x00" + was[1:],
					} {
						field.SetString(text)
						// The case of the value's digits makes no difference, nor does the last end of a line.
						if strings.TrimSpace(text) == strings.TrimSpace(was) || path+name+what == "Signature.Valueupper or lower case" {
							field.SetString(was)
							continue
						}
						if err := withKeys(d, good); !errors.Is(err, signing.ErrInvalid) {
							t.Errorf("%s%s %s: %v", path, name, what, err)
						} else if err != nil && len(err.Error()) > 1000 {
							t.Errorf("%s%s %s: a message of %d bytes", path, name, what, len(err.Error()))
						}
						field.SetString(was)
					}
				}
			}
			return n
		}
		if n := walk(reflect.ValueOf(&d.Signatures[0]).Elem(), ""); n != 7 {
			t.Errorf("%s: %d fields, want 7", name, n)
		}
		d.Signatures[0].Signature.Issuer = "CN=Mallory"
		d.Signatures[0].Timestamp = &descriptor.Timestamp{Value: "nonsense", Time: "1970-01-01T00:00:00Z"}
		if err := withKeys(d, good); err != nil {
			t.Errorf("%s: with another issuer and a timestamp: %v", name, err)
		}
		d.Signatures[0] = original
	}
}

func reverse(s string) string {
	b := []byte(s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}

func swapCase(s string) string {
	if upper := strings.ToUpper(s); upper != s {
		return upper
	}
	return strings.ToLower(s)
}

// TestEveryDigitCounts changes each digit of digest and signature.
func TestEveryDigitCounts(t *testing.T) {
	t.Parallel()
	d, good := signed(t, signer(t, "good.priv.pem", ""), signing.Options{}), keys(t, "good.pub.pem")
	s := &d.Signatures[0]
	for _, field := range []*string{&s.Digest.Value, &s.Signature.Value} {
		was := []byte(*field)
		for i := range was {
			changed := append([]byte{}, was...)
			if changed[i]++; changed[i] == '9'+1 || changed[i] == 'f'+1 {
				changed[i] = '0'
			}
			*field = string(changed)
			if err := withKeys(d, good); !errors.Is(err, signing.ErrInvalid) {
				t.Fatalf("digit %d of %q: %v", i, was, err)
			}
		}
		*field = string(was)
	}
	if err := withKeys(d, good); err != nil {
		t.Errorf("as it was: %v", err)
	}
}

// sign makes a signature over any bytes, as Sign never does.
func sign(tb testing.TB, hash crypto.Hash, digest []byte, pss bool) string {
	tb.Helper()
	var o crypto.SignerOpts = hash
	if pss {
		o = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto, Hash: hash}
	}
	value, err := signer(tb, "good.priv.pem", "").Key.Sign(rand.Reader, digest, o)
	if err != nil {
		tb.Fatal(err)
	}
	return hex.EncodeToString(value)
}

// TestConfusion has signatures by the right key that mean something else.
func TestConfusion(t *testing.T) {
	t.Parallel()
	private := signer(t, "good.priv.pem", "")
	digestOf := func(d *descriptor.Descriptor, hash string) (string, []byte) {
		digest, err := normalize.Digest(d, hash, normalize.V3)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := hex.DecodeString(digest.Value)
		if err != nil {
			t.Fatal(err)
		}
		return digest.Value, raw
	}
	for name, c := range map[string]struct {
		options signing.Options
		change  func(d *descriptor.Descriptor, s *descriptor.Signature)
		says    string
	}{
		"PSS that says it is PKCS #1": {
			options: signing.Options{Algorithm: signing.PSS},
			change: func(_ *descriptor.Descriptor, s *descriptor.Signature) {
				s.Signature.Algorithm, s.Signature.MediaType = signing.PKCS1, "application/vnd.ocm.signature.rsa"
			},
			says: "another key",
		},
		"PKCS #1 that says it is PSS": {
			change: func(_ *descriptor.Descriptor, s *descriptor.Signature) {
				s.Signature.Algorithm, s.Signature.MediaType = signing.PSS, "application/vnd.ocm.signature.rsa.pss"
			},
			says: "another key",
		},
		"PSS with the media type of PKCS #1": {
			options: signing.Options{Algorithm: signing.PSS},
			change: func(_ *descriptor.Descriptor, s *descriptor.Signature) {
				s.Signature.MediaType = "application/vnd.ocm.signature.rsa"
			},
			says: "does not go with",
		},
		"PKCS #1 with the media type of PSS": {
			change: func(_ *descriptor.Descriptor, s *descriptor.Signature) {
				s.Signature.MediaType = "application/vnd.ocm.signature.rsa.pss"
			},
			says: "does not go with",
		},
		"plain with the media type of PEM": {
			change: func(_ *descriptor.Descriptor, s *descriptor.Signature) {
				s.Signature.MediaType = "application/x-pem-file"
			},
			says: "no PEM block",
		},
		"a SHA-512 digest under the name SHA-256": {
			options: signing.Options{HashAlgorithm: descriptor.SHA512},
			change:  func(_ *descriptor.Descriptor, s *descriptor.Signature) { s.Digest.HashAlgorithm = descriptor.SHA256 },
			says:    "128 characters",
		},
		"a SHA-512 digest, cut off, under the name SHA-256": {
			change: func(d *descriptor.Descriptor, s *descriptor.Signature) {
				value, raw := digestOf(d, descriptor.SHA512)
				s.Digest.Value, s.Signature.Value = value[:64], sign(t, crypto.SHA256, raw[:32], false)
			},
			says: "was changed after",
		},
		"a digest that is cut off": {
			change: func(_ *descriptor.Descriptor, s *descriptor.Signature) { s.Digest.Value = s.Digest.Value[:62] },
			says:   "62 characters",
		},
		"the right digest, signed with the hash of another length": {
			change: func(d *descriptor.Descriptor, s *descriptor.Signature) {
				_, raw := digestOf(d, descriptor.SHA512)
				s.Signature.Value = sign(t, crypto.SHA512, raw, false)
			},
			says: "another key",
		},
		"the digest, hashed another time": {
			change: func(d *descriptor.Descriptor, s *descriptor.Signature) {
				_, raw := digestOf(d, descriptor.SHA256)
				hash := crypto.SHA256.New()
				hash.Write(raw)
				s.Signature.Value = sign(t, crypto.SHA256, hash.Sum(nil), false)
			},
			says: "another key",
		},
		"the digest without its hash": {
			change: func(d *descriptor.Descriptor, s *descriptor.Signature) {
				_, raw := digestOf(d, descriptor.SHA256)
				s.Signature.Value = sign(t, 0, raw, false)
			},
			says: "another key",
		},
		"a digest in upper case": {
			change: func(_ *descriptor.Descriptor, s *descriptor.Signature) {
				s.Digest.Value = strings.ToUpper(s.Digest.Value)
			},
			says: "lower case",
		},
		"nothing": {
			change: func(_ *descriptor.Descriptor, s *descriptor.Signature) {
				s.Digest = descriptor.Digest{HashAlgorithm: "NO-DIGEST", NormalisationAlgorithm: "EXCLUDE-FROM-SIGNATURE", Value: "NO-DIGEST"}
			},
			says: "signs nothing",
		},
		"SHA-1": {
			change: func(_ *descriptor.Descriptor, s *descriptor.Signature) { s.Digest.HashAlgorithm = "SHA-1" },
			says:   "not allowed",
		},
		"the signature of another component version": {
			change: func(d *descriptor.Descriptor, _ *descriptor.Signature) { d.Component.Version = "2.0.0" },
			says:   "was changed after",
		},
		"the digest of what it is now, with the signature of what it was": {
			change: func(d *descriptor.Descriptor, s *descriptor.Signature) {
				d.Component.Version = "2.0.0"
				s.Digest.Value, _ = digestOf(d, descriptor.SHA256)
			},
			says: "another key",
		},
		"a value longer than any key": {
			change: func(_ *descriptor.Descriptor, s *descriptor.Signature) {
				s.Signature.Value = strings.Repeat("00", 1025)
			},
			says: "2050 characters",
		},
		"a PEM block that says it is PSS": {
			change: func(_ *descriptor.Descriptor, s *descriptor.Signature) {
				raw, err := hex.DecodeString(s.Signature.Value)
				if err != nil {
					t.Fatal(err)
				}
				s.Signature.MediaType = "application/x-pem-file"
				s.Signature.Value = strings.Replace(string(armor("SIGNATURE", raw)), "\n", "\nSignature Algorithm: RSASSA-PSS\n\n", 1)
			},
			says: "its PEM block says",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := signed(t, private, c.options)
			if err := withKeys(d, keys(t, "good.pub.pem")); err != nil {
				t.Fatalf("before the change: %v", err)
			}
			c.change(d, &d.Signatures[0])
			err := withKeys(d, keys(t, "good.pub.pem"))
			if !errors.Is(err, signing.ErrInvalid) {
				t.Errorf("error %v", err)
			}
			saying(t, err, `signature "release"`, c.says)
		})
	}
}

// TestPEMValue has values in PEM form that are not what they should be.
func TestPEMValue(t *testing.T) {
	t.Parallel()
	d := signed(t, signer(t, "leaf.key.pem", "chain.pem"), signing.Options{})
	value, good := &d.Signatures[0].Signature.Value, keys(t, "leaf.pub.pem")
	was := *value
	block, certificates, _ := strings.Cut(was, "-----BEGIN CERTIFICATE-----")
	certificates = "-----BEGIN CERTIFICATE-----" + certificates
	for name, c := range map[string]struct {
		value string
		holds bool
	}{
		"as it was":                     {was, true},
		"without certificates":          {block, true},
		"with another's certificates":   {block + string(vectors.Key(t, "ca.crt.pem")), true},
		"blanks around":                 {"\n  \n" + was + "\n\n", true},
		"CRLF":                          {strings.ReplaceAll(was, "\n", "\r\n"), true},
		"certificates first":            {certificates + block, false},
		"certificates only":             {certificates, false},
		"two signatures":                {block + was, false},
		"a key":                         {was + string(vectors.Key(t, "leaf.pub.pem")), false},
		"text in front":                 {"# signed by us\n" + was, false},
		"text between":                  {block + "and\n" + certificates, false},
		"cut off":                       {was[:len(was)-20], false},
		"signature cut off":             {block[:len(block)-30] + certificates, false},
		"eleven certificates":           {block + strings.Repeat(string(vectors.Key(t, "ca.crt.pem")), 11), false},
		"large":                         {was + strings.Repeat("\n", 64<<10), false},
		"without content":               {string(armor("SIGNATURE", nil)), false},
		"with a signature of megabytes": {string(armor("SIGNATURE", make([]byte, 40<<10))), false},
	} {
		*value = c.value
		if err := withKeys(d, good); (err == nil) != c.holds || err != nil && !errors.Is(err, signing.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNames has descriptors where the signature is not there exactly once.
func TestNames(t *testing.T) {
	t.Parallel()
	good := keys(t, "good.pub.pem")
	d := signed(t, signer(t, "good.priv.pem", ""), signing.Options{})
	s := d.Signatures[0]
	other, garbage := s, s
	other.Name, garbage.Signature.Value = "other", "00"

	d.Signatures = []descriptor.Signature{other, s, other}
	if err := withKeys(d, good); err != nil {
		t.Errorf("among others: %v", err)
	}
	for name, twice := range map[string][]descriptor.Signature{"equal": {s, s}, "bad first": {garbage, other, s}, "bad last": {s, garbage}} {
		d.Signatures = twice
		err := withKeys(d, good)
		if !errors.Is(err, signing.ErrInvalid) {
			t.Errorf("twice, %s: %v", name, err)
		}
		saying(t, err, `"release"`, "several")
	}
	d.Signatures = []descriptor.Signature{other}
	saying(t, withKeys(d, good), `"release"`, `"other"`)
	d.Signatures = nil
	saying(t, withKeys(d, good), `"release"`, "no signatures")
	for range 1000 {
		other.Name += "another and longer name\n"
		d.Signatures = append(d.Signatures, other)
	}
	if err := withKeys(d, good); len(err.Error()) > 2000 || strings.Contains(err.Error(), "\n") {
		t.Errorf("a message of %d bytes: %s", len(err.Error()), err)
	}
}

// TestLegacyNames checks a signature with the old name of its hash.
func TestLegacyNames(t *testing.T) {
	t.Parallel()
	d := component()
	for i := range d.Component.References {
		d.Component.References[i].Digest.HashAlgorithm = "sha256"
	}
	digest, err := normalize.Digest(d, "sha256", normalize.V1)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := hex.DecodeString(digest.Value)
	if err != nil {
		t.Fatal(err)
	}
	d.Signatures = []descriptor.Signature{{Name: "release", Digest: digest, Signature: descriptor.SignatureValue{
		Algorithm: signing.PKCS1, MediaType: "application/vnd.ocm.signature.rsa", Value: sign(t, crypto.SHA256, raw, false),
	}}}
	if err := withKeys(d, keys(t, "good.pub.pem")); err != nil {
		t.Error(err)
	}
	// The name is a part of what was signed.
	d.Component.References[0].Digest.HashAlgorithm = descriptor.SHA256
	if err := withKeys(d, keys(t, "good.pub.pem")); !errors.Is(err, signing.ErrInvalid) {
		t.Errorf("with another name at a reference: %v", err)
	}
}

// TestNoCanonicalForm has a descriptor that no digest can be made of.
func TestNoCanonicalForm(t *testing.T) {
	t.Parallel()
	d := signed(t, signer(t, "good.priv.pem", ""), signing.Options{})
	d.Component.Labels = []descriptor.Label{{Name: "broken", Value: []byte("{"), Signing: true}}
	err := withKeys(d, keys(t, "good.pub.pem"))
	if !errors.Is(err, signing.ErrInvalid) {
		t.Errorf("error %v", err)
	}
	saying(t, err, "cannot be computed")
	if _, err := signing.Sign(d, "release", signer(t, "good.priv.pem", ""), signing.Options{}); err == nil {
		t.Error("it is signed")
	}
}

// TestMisuse has requests that are no fault of the component version.
func TestMisuse(t *testing.T) {
	t.Parallel()
	d, good := signed(t, signer(t, "good.priv.pem", ""), signing.Options{}), keys(t, "good.pub.pem")
	authority, err := signing.NewAuthority(vectors.Key(t, "ca.crt.pem"), "CN=a")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		request signing.Request
		at      time.Time
	}{
		"no name":          {signing.Request{Keys: good}, now},
		"no key":           {signing.Request{Name: "release"}, now},
		"two kinds":        {signing.Request{Name: "release", Keys: good, Authority: authority}, now},
		"empty keys":       {signing.Request{Name: "release", Keys: &signing.Keys{}}, now},
		"empty authority":  {signing.Request{Name: "release", Authority: &signing.Authority{}}, now},
		"no time is given": {signing.Request{Name: "release", Keys: good}, time.Time{}},
	} {
		if _, err := signing.Check(d, c.request, c.at); err == nil || errors.Is(err, signing.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCheckAtOnce uses keys and authorities from several goroutines.
func TestCheckAtOnce(t *testing.T) {
	t.Parallel()
	d := signed(t, signer(t, "leaf.key.pem", "chain.pem"), signing.Options{})
	authority, err := signing.NewAuthority(vectors.Key(t, "ca.crt.pem"), vectors.ChainSubject)
	if err != nil {
		t.Fatal(err)
	}
	requests := []signing.Request{{Name: "release", Keys: keys(t, "leaf.pub.pem")}, {Name: "release", Authority: authority}}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			if _, err := signing.Check(d, requests[i%2], now); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
