// Package sign signs commits with SSH keys and with OpenPGP keys, in the forms that git verifies.
//
// It reads the keys from the data of a Secret. Keys are foreign bytes: what they may cost to read is bounded, and no error says
// anything of what they contain. It does not verify signatures; git does that where commits are received.
package sign

import (
	"bytes"
	"fmt"
	"time"
)

// Keys of the data of a Secret.
const (
	// OpenPGPKey holds an OpenPGP private key in armor.
	OpenPGPKey = "git.asc"
	// SSHKey holds an SSH private key.
	SSHKey = "identity"
	// PassphraseKey holds the passphrase of either.
	PassphraseKey = "passphrase"
	// PasswordKey is where Secrets for SSH have the passphrase of SSHKey. It counts if there is no PassphraseKey.
	PasswordKey = "password"
)

const (
	// maxOpenPGP leaves room for a key with many subkeys, user ids and signatures of others.
	maxOpenPGP = 256 << 10
	// maxSSH leaves room for RSA of maxRSA bits.
	maxSSH = 16 << 10
	// maxRSA bounds what one signature costs, which grows with the third power of it: 1 s there, and 10 s with the 16384 bits that
	// ssh-keygen has as its limit.
	maxRSA = 8192
	// maxPassphrase is far beyond what people or machines choose.
	maxPassphrase = 4096
)

// KeyError is about a key of a Secret that cannot sign. Trying again does not help until the Secret is another.
type KeyError struct {
	// Key is the key of the data of the Secret.
	Key string
	// Why says what is wrong and what to do. It has nothing of the value.
	Why string
}

// Error implements error.
func (e *KeyError) Error() string {
	if e.Key == "" {
		return "the Secret for signing " + e.Why
	}
	return fmt.Sprintf("key %s of the Secret for signing %s", e.Key, e.Why)
}

// Signer signs with one private key. It may be used by several goroutines.
type Signer struct {
	name string
	sign func(payload []byte, now time.Time) (string, error)
	now  func() time.Time
}

// FromSecret returns a signer with the key in the data of a Secret: OpenPGPKey or SSHKey. Errors are *KeyError.
func FromSecret(data map[string][]byte) (*Signer, error) { return fromSecret(data, time.Now) }

func fromSecret(data map[string][]byte, now func() time.Time) (*Signer, error) {
	pgp, hasPGP := data[OpenPGPKey]
	identity, hasSSH := data[SSHKey]
	switch {
	case hasPGP && hasSSH:
		return nil, &KeyError{Why: fmt.Sprintf("has two keys, %s and %s: remove the one that is not for signing", OpenPGPKey, SSHKey)}
	case hasPGP:
		return read(secret{OpenPGPKey, PassphraseKey, pgp, data[PassphraseKey], maxOpenPGP}, now, readOpenPGP)
	case hasSSH:
		passphrase, name := data[PassphraseKey], PassphraseKey
		if len(passphrase) == 0 && len(data[PasswordKey]) > 0 {
			passphrase, name = data[PasswordKey], PasswordKey
		}
		return read(secret{SSHKey, name, identity, passphrase, maxSSH}, now, readSSH)
	}
	return nil, &KeyError{Why: fmt.Sprintf("has no key: set %s to an OpenPGP private key in armor, or %s to an SSH private key", OpenPGPKey, SSHKey)}
}

// secret is a private key with its passphrase, and what the Secret calls them.
type secret struct {
	name, passphraseName string
	key, passphrase      []byte
	max                  int
}

func (s secret) errorf(format string, args ...any) error {
	return &KeyError{Key: s.name, Why: fmt.Sprintf(format, args...)}
}

// try calls open with the passphrase, and again without the line end that an editor or echo has put behind it.
func (s secret) try(open func(passphrase []byte) error) error {
	if len(s.passphrase) == 0 {
		return s.errorf("is protected by a passphrase: set the key %s of the Secret", PassphraseKey)
	}
	err := open(s.passphrase)
	if trimmed := bytes.TrimRight(s.passphrase, "\r\n"); err != nil && len(trimmed) < len(s.passphrase) && len(trimmed) > 0 {
		err = open(trimmed)
	}
	if err != nil {
		return &KeyError{Key: s.passphraseName, Why: fmt.Sprintf("is not the passphrase of %s, or the key is damaged: correct one of them", s.name)}
	}
	return nil
}

func read(s secret, now func() time.Time, open func(secret, time.Time) (*Signer, error)) (*Signer, error) {
	switch {
	case len(bytes.TrimSpace(s.key)) == 0:
		return nil, s.errorf("is empty: set it to a private key")
	case len(s.key) > s.max:
		return nil, s.errorf("has more than %d KiB: set it to one private key and nothing else", s.max>>10)
	case len(s.passphrase) > maxPassphrase:
		return nil, &KeyError{Key: s.passphraseName, Why: fmt.Sprintf("has more than %d bytes: set it to the passphrase of %s", maxPassphrase, s.name)}
	}
	signer, err := open(s, now())
	if err != nil {
		return nil, err
	}
	signer.now = now
	return signer, nil
}

// Sign returns the armored signature of a payload, as it stands in the header of a commit. It returns a *KeyError if the key has
// expired since it was read.
func (s *Signer) Sign(payload []byte) (string, error) { return s.sign(payload, s.now()) }

// String says which key it is by its public part.
func (s *Signer) String() string { return s.name }
