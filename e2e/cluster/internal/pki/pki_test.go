package pki_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/internal/pki"
)

func authority(t *testing.T, dir, name string) *pki.Authority {
	t.Helper()
	a, err := pki.OpenAuthority(dir, name)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func issue(t *testing.T, a *pki.Authority, r pki.Request) (*pki.Leaf, *x509.Certificate) {
	t.Helper()
	leaf, err := a.Issue(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tls.LoadX509KeyPair(leaf.CertFile, leaf.KeyFile); err != nil {
		t.Errorf("the files of %s are no pair: %v", r.Name, err)
	}
	block, _ := pem.Decode(leaf.CertPEM)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return leaf, cert
}

func TestCertificatesServeTheirPurposeOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca, other := authority(t, dir, "ca"), authority(t, dir, "other-ca")
	_, server := issue(t, ca, pki.Request{Name: "server", CommonName: "server", Hosts: []string{"localhost", "127.0.0.1"}})
	_, client := issue(t, ca, pki.Request{Name: "client", CommonName: "admin", Groups: []string{"system:masters"}})
	_, both := issue(t, ca, pki.Request{Name: "both", CommonName: "both", Hosts: []string{"127.0.0.1"}, ServerClient: true})
	asServer := func(host string) x509.VerifyOptions {
		return x509.VerifyOptions{Roots: ca.Pool(), DNSName: host, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	}
	asClient := x509.VerifyOptions{Roots: ca.Pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	for name, tc := range map[string]struct {
		reason string
		cert   *x509.Certificate
		as     x509.VerifyOptions
		ok     bool
	}{
		"server by name":     {"what it is for", server, asServer("localhost"), true},
		"server by address":  {"what it is for", server, asServer("127.0.0.1"), true},
		"server elsewhere":   {"another host", server, asServer("example.com"), false},
		"server as client":   {"would be a user of the API", server, asClient, false},
		"client":             {"what it is for", client, asClient, true},
		"client as server":   {"could pose as the API server", client, asServer(""), false},
		"both as server":     {"an etcd member serves its peers", both, asServer("127.0.0.1"), true},
		"both as client":     {"and is their client", both, asClient, true},
		"of other authority": {"circles of trust are separate", client, x509.VerifyOptions{Roots: other.Pool(), KeyUsages: asClient.KeyUsages}, false},
	} {
		if _, err := tc.cert.Verify(tc.as); (err == nil) != tc.ok {
			t.Errorf("%s: got %v, want valid: %t: %s", name, err, tc.ok, tc.reason)
		}
	}
	if client.Subject.CommonName != "admin" || len(client.Subject.Organization) != 1 || client.Subject.Organization[0] != "system:masters" {
		t.Errorf("the client is %s", client.Subject)
	}
}

func TestKeysSurviveARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, second := authority(t, dir, "ca"), authority(t, dir, "ca")
	if !bytes.Equal(first.CertPEM(), second.CertPEM()) {
		t.Error("the authority was made anew: certificates in kubeconfig files would be worth nothing")
	}
	if _, cert := issue(t, second, pki.Request{Name: "user", CommonName: "user"}); cert.CheckSignatureFrom(parse(t, first.CertPEM())) != nil {
		t.Error("the authority read back signs with another key")
	}
	private, public, err := pki.SigningKey(dir, "tokens")
	if err != nil {
		t.Fatal(err)
	}
	before, after := readFile(t, private), ""
	if private, _, err = pki.SigningKey(dir, "tokens"); err == nil {
		after = readFile(t, private)
	}
	if err != nil || before != after {
		t.Errorf("the signing key was made anew (%v): tokens would be worth nothing", err)
	}
	if block, _ := pem.Decode([]byte(readFile(t, public))); block == nil || block.Type != "PUBLIC KEY" {
		t.Error("the public key is no PEM")
	}
	if info, err := os.Stat(private); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("everybody may read the key: %v, %v", info.Mode(), err)
	}
}

func TestBrokenAuthorityIsNotReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := authority(t, dir, "ca")
	if err := os.WriteFile(a.CertFile(), []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := pki.OpenAuthority(dir, "ca"); err == nil {
		t.Error("want an error: a new authority would not fit the certificates around it")
	}
	if filepath.Dir(a.KeyFile()) != dir {
		t.Errorf("the key lies in %s", a.KeyFile())
	}
}

func parse(t *testing.T, content []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(content)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
