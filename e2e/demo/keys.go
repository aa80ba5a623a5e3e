package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"

	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
)

// signature is the name of the signature that manifests/1-componentversion.yaml asks for.
const signature = "release"

// makeKey writes a new private key, which "publish" signs with later.
func makeKey(file string) error {
	signer, _, err := ocmtest.NewSigner()
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(signer.Key)
	if err != nil {
		return fmt.Errorf("encode the key of the demo: %w", err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		return fmt.Errorf("keep the key of the demo: %w", err)
	}
	return nil
}

// readKey returns the signer of the demo, and its public key as PEM.
func readKey(file string) (*signing.Signer, []byte, error) {
	private, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, fmt.Errorf("read the key of the demo: %w", err)
	}
	signer, err := signing.ParseSigner(private, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("read the key of the demo from %s: %w", file, err)
	}
	public, err := ocmtest.PublicKey(signer.Key)
	return signer, public, err
}
