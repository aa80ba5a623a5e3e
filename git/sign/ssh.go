package sign

import (
	"bytes"
	"crypto"
	"crypto/dsa" //nolint:staticcheck // to refuse such keys
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// sshMagic begins signatures and what is signed, so that a signature can never be one of a log-in.
	sshMagic = "SSHSIG"
	// sshNamespace keeps signatures of commits apart from those of files or letters with the same key.
	sshNamespace = "git"
	sshHash      = "sha512"

	// maxRounds bounds the time that the derivation of a key from a passphrase takes: ssh-keygen makes 16 to 24, and
	// people who set it themselves 100 to 200. One costs about 5 ms.
	maxRounds = 512

	opensshMagic = "openssh-key-v1\x00"
	opensshType  = "OPENSSH PRIVATE KEY"
)

func readSSH(s secret, _ time.Time) (*Signer, error) {
	raw, err := parseSSH(s)
	if err != nil {
		return nil, err
	}
	switch key := raw.(type) {
	case *dsa.PrivateKey:
		return nil, s.errorf("is a DSA key, which git no longer accepts: make one with ssh-keygen -t ed25519")
	case *rsa.PrivateKey:
		if key.N.BitLen() > maxRSA {
			return nil, s.errorf("is an RSA key of more than %d bits: make one with ssh-keygen -t ed25519", maxRSA)
		}
	}
	signer, err := ssh.NewSignerFromKey(raw)
	if err != nil {
		return nil, s.errorf("is of a kind that SSH does not know: use an ed25519, ecdsa or rsa key")
	}
	algorithm := signer.PublicKey().Type()
	if algorithm == ssh.KeyAlgoRSA {
		algorithm = ssh.KeyAlgoRSASHA512 // the default is SHA-1, which git refuses
	}
	with, ok := signer.(ssh.AlgorithmSigner)
	if !ok {
		return nil, s.errorf("is of a kind that cannot sign here: use an ed25519, ecdsa or rsa key")
	}
	return &Signer{
		name: "SSH key " + ssh.FingerprintSHA256(signer.PublicKey()),
		sign: func(payload []byte, _ time.Time) (string, error) { return sshSign(with, algorithm, payload) },
	}, nil
}

// parseSSH returns the private key. Errors of the parsers are replaced, as some of them quote the text.
func parseSSH(s secret) (crypto.PrivateKey, error) {
	block, rest := pem.Decode(s.key)
	switch {
	case block == nil && bytes.HasPrefix(bytes.TrimSpace(s.key), []byte("PuTTY-User-Key-File-")):
		return nil, s.errorf("is in the format of PuTTY: convert it with puttygen -O private-openssh")
	case block == nil && isPublic(s.key), block != nil && strings.Contains(block.Type, "PUBLIC KEY"):
		return nil, s.errorf("is a public key: set it to the private key")
	case block == nil:
		return nil, s.errorf("is not a private key in the format of OpenSSH or PEM: set it to the whole file, from -----BEGIN to the end of the END line")
	case block.Type == "ENCRYPTED PRIVATE KEY":
		return nil, s.errorf("is encrypted as PKCS #8, which is not supported: convert it with ssh-keygen -p -f FILE")
	case isPEM(rest):
		return nil, s.errorf("has more than one block: set it to one private key and nothing else")
	}
	if err := checkRounds(s, block); err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(block)
	raw, err := ssh.ParseRawPrivateKey(text)
	if _, ok := errors.AsType[*ssh.PassphraseMissingError](err); ok {
		err = s.try(func(passphrase []byte) (err error) {
			raw, err = ssh.ParseRawPrivateKeyWithPassphrase(text, passphrase)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, s.errorf("cannot be read: it is damaged, or of a kind that is not supported; use an ed25519, ecdsa or rsa key")
	}
	return raw, nil
}

func isPEM(text []byte) bool {
	block, _ := pem.Decode(text)
	return block != nil
}

func isPublic(text []byte) bool {
	_, _, _, _, err := ssh.ParseAuthorizedKey(text) //nolint:dogsled // whether it is one is all that counts
	return err == nil
}

// checkRounds refuses a key that says it takes minutes to open.
func checkRounds(s secret, block *pem.Block) error {
	wire, ok := bytes.CutPrefix(block.Bytes, []byte(opensshMagic))
	if block.Type != opensshType || !ok {
		return nil // the parser refuses the second
	}
	var head struct {
		Cipher, KDF, Options string
		Rest                 []byte `ssh:"rest"`
	}
	if err := ssh.Unmarshal(wire, &head); err != nil || head.KDF != "bcrypt" {
		return nil //nolint:nilerr // the parser says it better
	}
	var options struct {
		Salt   string
		Rounds uint32
	}
	if err := ssh.Unmarshal([]byte(head.Options), &options); err == nil && options.Rounds > maxRounds {
		return s.errorf("takes %d rounds to open: at most %d are allowed; set them with ssh-keygen -p -a 100 -f FILE", options.Rounds, maxRounds)
	}
	return nil
}

// sshSign makes a signature as PROTOCOL.sshsig of OpenSSH describes it.
func sshSign(signer ssh.AlgorithmSigner, algorithm string, payload []byte) (string, error) {
	hash := sha512.Sum512(payload)
	signed := append([]byte(sshMagic), ssh.Marshal(struct{ Namespace, Reserved, HashAlgorithm, Hash string }{sshNamespace, "", sshHash, string(hash[:])})...)
	signature, err := signer.SignWithAlgorithm(rand.Reader, signed, algorithm)
	if err != nil {
		return "", fmt.Errorf("sign with SSH key %s: %w", ssh.FingerprintSHA256(signer.PublicKey()), err)
	}
	blob := append([]byte(sshMagic), ssh.Marshal(struct {
		Version                                                uint32
		PublicKey, Namespace, Reserved, HashAlgorithm, Written string
	}{1, string(signer.PublicKey().Marshal()), sshNamespace, "", sshHash, string(ssh.Marshal(signature))})...)
	return armorSSH(blob), nil
}

func armorSSH(blob []byte) string {
	var b strings.Builder
	b.WriteString("-----BEGIN SSH SIGNATURE-----\n")
	for text := base64.StdEncoding.EncodeToString(blob); text != ""; {
		n := min(70, len(text))
		b.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	b.WriteString("-----END SSH SIGNATURE-----\n")
	return b.String()
}
