package remote

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// maxKnownHosts is how many bytes known_hosts may have.
const maxKnownHosts = 1 << 20

// hostKeys are the keys of one host, and the algorithms by which it can show that it has them. A server has keys of
// several kinds, and shows one of a kind that is asked for.
type hostKeys struct {
	check      ssh.HostKeyCallback
	algorithms []string
}

// parseKnownHosts reads known_hosts and looks for the keys of a host.
func parseKnownHosts(raw []byte, u *URL, dir string) (*hostKeys, error) {
	advice := fmt.Sprintf("put the output of `ssh-keyscan -p %s %s` into the key known_hosts of the Secret, after a comparison with what the operator of the host publishes", u.Port, u.Host)
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, fmt.Errorf("%w: known_hosts is missing: %s", ErrHostKey, advice)
	}
	if len(raw) > maxKnownHosts {
		return nil, fmt.Errorf("known_hosts has more than %d bytes; keep the lines of host %s", maxKnownHosts, u.Host)
	}
	check, err := readKnownHosts(raw, dir)
	if err != nil {
		return nil, err
	}
	unknown, ok := errors.AsType[*knownhosts.KeyError](check(u.Address(), &net.TCPAddr{}, noKey{}))
	if !ok || len(unknown.Want) == 0 {
		return nil, fmt.Errorf("%w: known_hosts has no key of host %s, port %s: %s", ErrHostKey, u.Host, u.Port, advice)
	}
	return &hostKeys{check: check, algorithms: preferred(raw, unknown.Want)}, nil
}

// preferred are the algorithms of keys of a host, in this order: those of its own keys, and those of certificates if one of
// the lines about it is of an authority. A host that shows a certificate is not asked for its key.
func preferred(raw []byte, known []knownhosts.KnownKey) []string {
	var own, certified []string
	lines := bytes.Split(raw, []byte("\n"))
	for _, key := range known {
		if bytes.HasPrefix(bytes.TrimSpace(lines[key.Line-1]), []byte("@cert-authority")) {
			certified = []string{
				ssh.CertAlgoED25519v01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01, ssh.CertAlgoECDSA521v01, ssh.CertAlgoRSASHA512v01, ssh.CertAlgoRSASHA256v01,
			}
			continue
		}
		for _, algorithm := range algorithmsOf(key.Key.Type()) {
			if !slices.Contains(own, algorithm) {
				own = append(own, algorithm)
			}
		}
	}
	return append(own, certified...)
}

// algorithmsOf are the ways to sign with a key: RSA has some without SHA-1.
func algorithmsOf(key string) []string {
	if key == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{key}
}

// readKnownHosts goes through a file, which is the only thing that the parser reads.
func readKnownHosts(raw []byte, dir string) (_ ssh.HostKeyCallback, err error) {
	file, err := os.CreateTemp(dir, "known-hosts-")
	if err != nil {
		return nil, fmt.Errorf("write known_hosts: %w", err)
	}
	defer func() {
		err = errors.Join(err, os.Remove(file.Name()))
	}()
	_, err = file.Write(raw)
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("write known_hosts: %w", err)
	}
	check, err := knownhosts.New(file.Name())
	if err != nil {
		return nil, fmt.Errorf("known_hosts of the Secret cannot be read; remove or repair the line: %s", strings.ReplaceAll(err.Error(), file.Name(), "line "))
	}
	return check, nil
}

// noKey is a key that no host has: what is known instead is in the error about it.
type noKey struct{}

// Type implements ssh.PublicKey.
func (noKey) Type() string { return "none" }

// Marshal implements ssh.PublicKey.
func (noKey) Marshal() []byte { return []byte("none") }

// Verify implements ssh.PublicKey.
func (noKey) Verify([]byte, *ssh.Signature) error { return ErrHostKey }
