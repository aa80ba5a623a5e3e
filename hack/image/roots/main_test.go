package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"testing"
)

func TestBundleIsReadAsRoots(t *testing.T) {
	t.Parallel()
	var first, second bytes.Buffer
	for _, out := range []*bytes.Buffer{&first, &second} {
		if err := write(out); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two bundles differ, so two images would")
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(first.Bytes()) {
		t.Fatal("crypto/x509 finds no certificate in the bundle")
	}
	names := map[string]bool{}
	for rest := first.Bytes(); ; {
		block, more := pem.Decode(rest)
		if block == nil {
			break
		}
		rest = more
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if !cert.IsCA {
			t.Errorf("%s is no authority", cert.Subject)
		}
		names[cert.Subject.CommonName] = true
	}
	// The authorities of ghcr.io, Docker Hub, and those who use Let's Encrypt.
	for _, name := range []string{"ISRG Root X1", "Amazon Root CA 1", "USERTrust ECC Certification Authority"} {
		if !names[name] {
			t.Errorf("%s is missing among %d authorities", name, len(names))
		}
	}
}
