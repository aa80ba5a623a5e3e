package certs_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/registry/certs"
)

const day = 24 * time.Hour

// clock is a time that tests move.
type clock struct{ now time.Time }

func (c *clock) options(hosts ...string) certs.Options {
	return certs.Options{Hosts: hosts, Now: func() time.Time { return c.now }, CAValidity: 300 * day, CertValidity: 30 * day}
}

func ensure(t testing.TB, b certs.Bundle, o certs.Options) (certs.Bundle, bool) {
	t.Helper()
	b, changed, err := certs.Ensure(b, o)
	if err != nil {
		t.Fatal(err)
	}
	return b, changed
}

// verify checks the serving chain as a client does that trusts only what is in trust.
func verify(t testing.TB, trust []byte, b certs.Bundle, host string, now time.Time) error {
	t.Helper()
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	if !roots.AppendCertsFromPEM(trust) {
		t.Fatal("there is no certificate to trust")
	}
	pair, err := tls.X509KeyPair(b.Cert, b.Key)
	if err != nil {
		t.Fatal(err)
	}
	for _, der := range pair.Certificate[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		between.AddCert(c)
	}
	_, err = pair.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots, Intermediates: between, CurrentTime: now})
	return err
}

// first returns the first certificate of a PEM file.
func first(t testing.TB, content []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(content)
	if block == nil {
		t.Fatal("there is no certificate")
	}
	return pem.EncodeToMemory(block)
}

func TestEnsure(t *testing.T) {
	t.Parallel()
	c := &clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	o := c.options("registry.ocm-system.svc", "127.0.0.1", "::1")
	made, changed := ensure(t, certs.Bundle{}, o)
	if !changed || made.NeedsRenewal(c.now) {
		t.Errorf("a new bundle: changed %v, needs renewal %v", changed, made.NeedsRenewal(c.now))
	}
	for _, host := range []string{"registry.ocm-system.svc", "127.0.0.1", "::1"} {
		if err := verify(t, made.CACert, made, host, c.now); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	if verify(t, made.CACert, made, "other", c.now) == nil {
		t.Error("it is good for another host")
	}
	if again, changed := ensure(t, made, o); changed || !bytes.Equal(again.Cert, made.Cert) {
		t.Error("a good bundle was changed")
	}
	if moved, changed := ensure(t, made, c.options("other")); !changed || !bytes.Equal(moved.CACert, made.CACert) || verify(t, made.CACert, moved, "other", c.now) != nil {
		t.Error("another host needs another certificate of the same authority")
	}

	c.now = c.now.Add(21 * day)
	if !made.NeedsRenewal(c.now) {
		t.Error("two thirds are over")
	}
	renewed, changed := ensure(t, made, o)
	if !changed || bytes.Equal(renewed.Cert, made.Cert) || !bytes.Equal(renewed.CACert, made.CACert) {
		t.Errorf("renewal: changed %v", changed)
	}
	if _, _, err := certs.Ensure(certs.Bundle{}, c.options()); err == nil {
		t.Error("no host was accepted")
	}
}

// TestAuthorityRotation lives through two authorities with clients that learn of them late.
func TestAuthorityRotation(t *testing.T) {
	t.Parallel()
	c := &clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	o := c.options("registry")
	one, _ := ensure(t, certs.Bundle{}, o)
	c.now = c.now.Add(201 * day)
	two, changed := ensure(t, one, o)
	if !changed || !bytes.Contains(two.CACert, one.CACert) {
		t.Fatal("the old authority is not trusted beside the new one")
	}
	clients := map[string][]byte{"old trust": one.CACert, "both": two.CACert, "new trust": first(t, two.CACert)}
	for name, trust := range clients {
		if err := verify(t, trust, two, "registry", c.now); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	c.now = c.now.Add(25 * day)
	renewed, changed := ensure(t, two, o)
	if !changed || !bytes.Equal(renewed.CACert, two.CACert) {
		t.Fatalf("renewal under the new authority: changed %v", changed)
	}
	for name, trust := range clients {
		if err := verify(t, trust, renewed, "registry", c.now); err != nil {
			t.Errorf("renewed, %s: %v", name, err)
		}
	}
	c.now = c.now.Add(200 * day)
	three, _ := ensure(t, renewed, o)
	if bytes.Contains(three.CACert, one.CACert) {
		t.Error("an authority that ended is still trusted")
	}
	if err := verify(t, two.CACert, three, "registry", c.now); err != nil {
		t.Errorf("the client of before: %v", err)
	}
}

func TestEnsureRefusesDamage(t *testing.T) {
	t.Parallel()
	c := &clock{now: time.Now()}
	good, _ := ensure(t, certs.Bundle{}, c.options("registry"))
	other, _ := ensure(t, certs.Bundle{}, c.options("registry"))
	for name, b := range map[string]certs.Bundle{
		"no key":          {CACert: good.CACert},
		"no authority":    {CAKey: good.CAKey},
		"other key":       {CACert: good.CACert, CAKey: other.CAKey},
		"torn":            {CACert: good.CACert[:50], CAKey: good.CAKey},
		"cert as the key": {CACert: good.CACert, CAKey: good.CACert},
	} {
		if _, _, err := certs.Ensure(b, c.options("registry")); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	mixed := good
	mixed.Cert, mixed.Key = other.Cert, other.Key
	if fixed, changed := ensure(t, mixed, c.options("registry")); !changed || verify(t, good.CACert, fixed, "registry", c.now) != nil {
		t.Error("a serving certificate of another authority stays")
	}
	if !(certs.Bundle{}).NeedsRenewal(c.now) {
		t.Error("an empty bundle is good")
	}
}

// TestHotReload rotates certificate and authority while clients transfer, some of which
// keep a connection and some of which make a new one each time.
func TestHotReload(t *testing.T) {
	t.Parallel()
	var dynamic certs.Dynamic
	if _, err := dynamic.GetCertificate(nil); !errors.Is(err, certs.ErrNoCertificate) {
		t.Errorf("got %v", err)
	}
	// The authority is so old that it is due for replacement; until round 3 nobody looks.
	present := time.Now()
	c := &clock{now: present.Add(-201 * day)}
	o := c.options("127.0.0.1")
	o.CertValidity = 300 * day
	bundle, _ := ensure(t, certs.Bundle{}, o)
	if err := dynamic.Set(bundle); err != nil {
		t.Fatal(err)
	}
	content := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", dynamic.Config())
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) })}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	url := "https://" + listener.Addr().String()

	var stop atomic.Bool
	var clients sync.WaitGroup
	var transfers atomic.Int64
	for i := range 4 {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(bundle.CACert)
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: i%2 == 0}
		clients.Go(func() {
			defer transport.CloseIdleConnections()
			for !stop.Load() {
				resp, err := (&http.Client{Transport: transport}).Get(url)
				if err != nil {
					t.Errorf("client %d: %v", i, err)
					return
				}
				got, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || !bytes.Equal(got, content) {
					t.Errorf("client %d: %d bytes, %v", i, len(got), err)
					return
				}
				transfers.Add(1)
			}
		})
	}
	for round := range int64(6) {
		for ticker, deadline := time.NewTicker(time.Millisecond), time.After(20*time.Second); transfers.Load() < 8*(round+1) && !t.Failed(); {
			select {
			case <-ticker.C:
			case <-deadline:
				t.Error("clients stand still")
			}
		}
		hosts := o
		hosts.Hosts = []string{"127.0.0.1", "round-" + string(rune('a'+round))}
		if round >= 3 {
			c.now = present
		}
		next, changed := ensure(t, bundle, hosts)
		if !changed || bytes.Equal(next.CACert, bundle.CACert) != (round != 3) {
			t.Errorf("round %d: changed %v", round, changed)
		}
		// The clients go on with the trust that they began with.
		if err := dynamic.Set(next); err != nil {
			t.Error(err)
		}
		bundle = next
	}
	stop.Store(true)
	clients.Wait()
	if err := dynamic.Set(certs.Bundle{Cert: []byte("x")}); err == nil {
		t.Error("a torn bundle was accepted")
	}
	if _, err := dynamic.GetCertificate(nil); err != nil {
		t.Errorf("a torn bundle replaced the good one: %v", err)
	}
}

// TestRotateOnDemand rotates the authority more often than old ones are remembered, with clients that learn of it one rotation
// late, and then ends the trust in all but the last.
func TestRotateOnDemand(t *testing.T) {
	t.Parallel()
	c := &clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	o := c.options("registry")
	b, _ := ensure(t, certs.Bundle{}, o)
	rotate := func(what certs.Part) {
		t.Helper()
		before := b
		var err error
		if b, err = certs.Rotate(b, o, what); err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(b.Cert, before.Cert) || bytes.Equal(b.Key, before.Key) {
			t.Errorf("%s: the serving certificate or its key is the one before", what)
		}
		if same := bytes.Equal(b.CAKey, before.CAKey); same != (what != certs.AuthorityPart) {
			t.Errorf("%s: the authority is the same: %t", what, same)
		}
		if again, changed := ensure(t, b, o); changed || !bytes.Equal(again.Cert, b.Cert) {
			t.Errorf("%s: what was made is replaced at once", what)
		}
		if what == certs.Forget {
			return
		}
		for name, trust := range map[string][]byte{"of before": before.CACert, "current": b.CACert, "newest alone": first(t, b.CACert), "newest of before": first(t, before.CACert)} {
			if err := verify(t, trust, b, "registry", c.now); err != nil {
				t.Errorf("%s, trust %s: %v", what, name, err)
			}
		}
	}
	rotate(certs.Certificate)
	for range 12 {
		rotate(certs.AuthorityPart)
		if n := bytes.Count(b.CACert, []byte("BEGIN")); n > 5 {
			t.Fatalf("%d authorities are trusted", n)
		}
		if n := bytes.Count(b.Cert, []byte("BEGIN")); n > 5 {
			t.Fatalf("the chain has %d certificates", n)
		}
	}
	before := b
	rotate(certs.Forget)
	if !bytes.Equal(b.CACert, first(t, before.CACert)) || bytes.Count(b.Cert, []byte("BEGIN")) != 1 {
		t.Error("old authorities are trusted still")
	}
	if err := verify(t, before.CACert, b, "registry", c.now); err != nil {
		t.Errorf("who trusts the old ones, too: %v", err)
	}
	for name, what := range map[string]certs.Part{"nothing": "", "unknown": "all"} {
		if _, err := certs.Rotate(b, o, what); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := certs.Rotate(certs.Bundle{}, o, certs.Certificate); err == nil {
		t.Error("there is nothing to rotate")
	}
	if _, err := certs.Rotate(b, c.options(), certs.Certificate); err == nil {
		t.Error("no host was accepted")
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	c := &clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	good, _ := ensure(t, certs.Bundle{}, c.options("registry", "10.0.0.1"))
	other, _ := ensure(t, certs.Bundle{}, c.options("registry"))
	rotated, err := certs.Rotate(good, c.options("registry"), certs.AuthorityPart)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		bundle certs.Bundle
		host   string
		after  time.Duration
		good   bool
	}{
		"good":                {good, "registry", 0, true},
		"address":             {good, "10.0.0.1", 0, true},
		"other host":          {good, "example.com", 0, false},
		"ended":               {good, "registry", 31 * day, false},
		"not yet":             {good, "registry", -day, false},
		"system's authority":  {certs.Bundle{Cert: good.Cert, Key: good.Key}, "registry", 0, true},
		"old trust":           {certs.Bundle{CACert: good.CACert, Cert: rotated.Cert, Key: rotated.Key}, "registry", 0, true},
		"both trusted":        {certs.Bundle{CACert: append(append([]byte{}, other.CACert...), good.CACert...), Cert: good.Cert, Key: good.Key}, "registry", 0, true},
		"other authority":     {certs.Bundle{CACert: other.CACert, Cert: good.Cert, Key: good.Key}, "registry", 0, false},
		"authority is broken": {certs.Bundle{CACert: []byte("x"), Cert: good.Cert, Key: good.Key}, "registry", 0, false},
		"other key":           {certs.Bundle{CACert: good.CACert, Cert: good.Cert, Key: other.Key}, "registry", 0, false},
		"half written":        {certs.Bundle{CACert: good.CACert, Cert: good.Cert}, "registry", 0, false},
		"nothing":             {certs.Bundle{}, "registry", 0, false},
	} {
		if err := tc.bundle.Check(tc.host, c.now.Add(tc.after)); (err == nil) != tc.good {
			t.Errorf("%s: %v", name, err)
		}
	}
	cert, authority := good.Expiry()
	if cert != c.now.Add(30*day) || authority != c.now.Add(300*day) {
		t.Errorf("ends at %s and %s", cert, authority)
	}
	if cert, authority := (certs.Bundle{}).Expiry(); !cert.IsZero() || !authority.IsZero() {
		t.Error("nothing has an end")
	}
}

// FuzzBundle reads certificates that anybody may have written.
func FuzzBundle(f *testing.F) {
	c := &clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	good, _ := ensure(f, certs.Bundle{}, c.options("registry"))
	f.Add(good.CACert, good.CAKey, good.Cert, good.Key)
	f.Add(good.CACert[:100], good.CAKey, good.Cert, good.Key)
	f.Add(good.CACert, good.CACert, good.CACert, good.CACert)
	f.Add([]byte(nil), []byte(nil), []byte(nil), []byte(nil))
	f.Fuzz(func(t *testing.T, caCert, caKey, cert, key []byte) {
		b := certs.Bundle{CACert: caCert, CAKey: caKey, Cert: cert, Key: key}
		_ = b.Check("registry", c.now)
		b.Expiry()
		fixed, changed, err := certs.Ensure(b, c.options("registry"))
		if err != nil {
			return
		}
		if err := fixed.Check("registry", c.now); err != nil && changed {
			t.Fatalf("what was made is not good: %v", err)
		}
	})
}
