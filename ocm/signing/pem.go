package signing

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// maxPEMBytes bounds every PEM text: that of keys, of roots and of signatures.
const maxPEMBytes = 64 << 10

// Types of PEM blocks.
const (
	blockSignature   = "SIGNATURE"
	blockCertificate = "CERTIFICATE"
	blockPKIX        = "PUBLIC KEY"
	blockPKCS1       = "RSA PUBLIC KEY"
	// privateSuffix is how the types of all private keys end.
	privateSuffix = "PRIVATE KEY"
	// headerAlgorithm is the header of a signature that names its algorithm.
	headerAlgorithm = "Signature Algorithm"
)

var (
	errNoPEM      = errors.New("no PEM block found")
	errDamagedPEM = errors.New("a PEM block is damaged or cut off")
)

// readBlocks returns the PEM blocks of data, at least one. The decoder passes
// over blocks that are damaged, and a key that is silently left out is a riddle
// to whoever configured it, so here they are an error.
func readBlocks(data []byte, maxBlocks int) ([]*pem.Block, error) {
	if len(data) > maxPEMBytes {
		return nil, fmt.Errorf("%d bytes of PEM are too many, at most %d are read", len(data), maxPEMBytes)
	}
	begins := bytes.Count(data, []byte("\n-----BEGIN "))
	if bytes.HasPrefix(data, []byte("-----BEGIN ")) {
		begins++
	}
	if begins == 0 {
		return nil, errNoPEM
	}
	if begins > maxBlocks {
		return nil, fmt.Errorf("%d PEM blocks are too many, at most %d are read", begins, maxBlocks)
	}
	blocks := make([]*pem.Block, 0, begins)
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		blocks = append(blocks, block)
	}
	if len(blocks) != begins {
		return nil, errDamagedPEM
	}
	return blocks, nil
}

// pure reports whether there is nothing but blanks around the PEM blocks.
func pure(data []byte) bool {
	for {
		data = bytes.TrimSpace(data)
		if len(data) == 0 {
			return true
		}
		block, rest := pem.Decode(data)
		if block == nil || !bytes.HasPrefix(data, []byte("-----BEGIN ")) {
			return false
		}
		data = rest
	}
}

// pemSignature is the value of a signature in PEM form.
type pemSignature struct {
	value []byte
	// certificates are in DER form and not looked at: who trusts a key has no use
	// for them.
	certificates [][]byte
}

// parsePEMSignature reads a SIGNATURE block and the CERTIFICATE blocks that
// follow it, those of the signer first. The algorithm is that of the signature,
// which a header may repeat.
func parsePEMSignature(text, algorithm string) (*pemSignature, error) {
	blocks, err := readBlocks([]byte(text), 1+maxChain)
	if err != nil {
		return nil, fmt.Errorf("its value of media type %s is not usable: %w", mediaTypePEM, err)
	}
	if !pure([]byte(text)) {
		return nil, errors.New("its value has other text than PEM blocks")
	}
	first := blocks[0]
	if first.Type != blockSignature {
		return nil, fmt.Errorf("its value begins with the PEM block %q, it must begin with %s", short(first.Type), blockSignature)
	}
	if header, ok := first.Headers[headerAlgorithm]; ok && header != algorithm {
		return nil, fmt.Errorf("its algorithm is %s, but its PEM block says %q", algorithm, short(header))
	}
	if len(first.Bytes) == 0 || len(first.Bytes) > maxSignatureBytes {
		return nil, fmt.Errorf("its value has %d bytes, it must have 1 to %d", len(first.Bytes), maxSignatureBytes)
	}
	s := &pemSignature{value: first.Bytes}
	for _, b := range blocks[1:] {
		if b.Type != blockCertificate {
			return nil, fmt.Errorf("its value has the PEM block %q, only %s may follow the signature", short(b.Type), blockCertificate)
		}
		s.certificates = append(s.certificates, b.Bytes)
	}
	return s, nil
}

// encodePEMSignature writes what parsePEMSignature reads.
func encodePEMSignature(s *pemSignature, algorithm string) string {
	var out strings.Builder
	out.Write(pem.EncodeToMemory(&pem.Block{
		Type: blockSignature, Headers: map[string]string{headerAlgorithm: algorithm}, Bytes: s.value,
	}))
	for _, der := range s.certificates {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: blockCertificate, Bytes: der}))
	}
	return out.String()
}
