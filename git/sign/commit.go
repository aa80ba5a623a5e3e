package sign

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// ErrNobody is returned for a commit whose author or committer has no name or no address that git can write.
var ErrNobody = errors.New("commits need a name and an address: set commitTemplate.name and commitTemplate.email to more than spaces and punctuation")

// Commit returns the bytes of a commit object. They are signed unless the signer is nil. Names and addresses are cleaned as git
// does it, so that they cannot begin a header of their own; c is not changed.
func Commit(c *object.Commit, s *Signer) ([]byte, error) {
	if strings.ContainsRune(c.Message, 0) {
		return nil, errors.New("the message of the commit has a zero byte: remove it from commitTemplate.message")
	}
	clean := &object.Commit{TreeHash: c.TreeHash, ParentHashes: c.ParentHashes, Message: c.Message}
	var err error
	if clean.Author, err = person(c.Author); err != nil {
		return nil, err
	}
	if clean.Committer, err = person(c.Committer); err != nil {
		return nil, err
	}
	if s != nil {
		payload, err := encode(clean)
		if err != nil {
			return nil, err
		}
		if clean.PGPSignature, err = s.Sign(payload); err != nil {
			return nil, err
		}
	}
	return encode(clean)
}

// person removes what git removes from names and addresses.
func person(p object.Signature) (object.Signature, error) {
	p.Name, p.Email = ident(p.Name), ident(p.Email)
	if p.Name == "" || p.Email == "" {
		return p, ErrNobody
	}
	return p, nil
}

func ident(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '<' || r == '>' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	return strings.Trim(s, " .,:;\"\\'")
}

func encode(c *object.Commit) ([]byte, error) {
	o := &plumbing.MemoryObject{}
	if err := c.Encode(o); err != nil {
		return nil, fmt.Errorf("write the commit: %w", err)
	}
	r, err := o.Reader()
	if err != nil {
		return nil, fmt.Errorf("write the commit: %w", err)
	}
	defer r.Close()
	var b bytes.Buffer
	if _, err := io.Copy(&b, r); err != nil {
		return nil, fmt.Errorf("write the commit: %w", err)
	}
	return b.Bytes(), nil
}
