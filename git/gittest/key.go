package gittest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"testing"

	"golang.org/x/crypto/ssh"
)

// KeyKind is an algorithm of SSH keys.
type KeyKind string

// Kinds of SSH keys.
const (
	Ed25519 KeyKind = "ed25519"
	ECDSA   KeyKind = "ecdsa"
	RSA     KeyKind = "rsa"
)

// Key is an SSH key.
type Key struct {
	// Private is the key in OpenSSH's format, encrypted if it was made with a passphrase.
	Private []byte
	// Public is its line for authorized_keys.
	Public []byte
	// Signer is the private key.
	Signer ssh.Signer
}

// NewKey makes an SSH key. The passphrase may be empty.
func NewKey(t testing.TB, kind KeyKind, passphrase string) Key {
	t.Helper()
	private, err := generate(kind)
	if err != nil {
		t.Fatal(err)
	}
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(private, "test")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, "test", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return Key{Private: pem.EncodeToMemory(block), Public: ssh.MarshalAuthorizedKey(signer.PublicKey()), Signer: signer}
}

func generate(kind KeyKind) (crypto.PrivateKey, error) {
	switch kind {
	case ECDSA:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RSA:
		return rsa.GenerateKey(rand.Reader, 2048)
	default:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
}
