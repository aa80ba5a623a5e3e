package oci

import (
	// The hashes that digests may name.
	_ "crypto/sha256"
	_ "crypto/sha512"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/opencontainers/go-digest"
)

// Verify returns a reader that passes content on and compares it with its size
// and digests when it ends. A reader that saw io.EOF has read exactly the
// promised bytes; anything else ends with a *DigestMismatchError. A negative
// size is not compared. A reader that does all that already is returned as it is.
func Verify(rc io.ReadCloser, object string, size int64, want ...digest.Digest) (io.ReadCloser, error) {
	if len(want) == 1 && promises(rc, size, want[0]) {
		return rc, nil
	}
	v := &verifier{rc: rc, object: object, size: size}
	for _, d := range want {
		if err := d.Validate(); err != nil {
			return nil, fmt.Errorf("%s: digest %q: %w", object, d, err)
		}
		if !slices.ContainsFunc(v.checks, func(c check) bool { return c.want == d }) {
			v.checks = append(v.checks, check{want: d, digester: d.Algorithm().Digester()})
		}
	}
	return v, nil
}

// promising is a reader that may compare its content itself.
type promising interface {
	promises(size int64, d digest.Digest) bool
}

// promises reports whether a reader ends with io.EOF only after the content of a
// digest, and of a size unless that is below zero.
func promises(rc io.ReadCloser, size int64, d digest.Digest) bool {
	p, ok := rc.(promising)
	return ok && p.promises(size, d)
}

type check struct {
	want     digest.Digest
	digester digest.Digester
}

type verifier struct {
	rc     io.ReadCloser
	object string
	size   int64
	read   int64
	checks []check
	err    error
}

// Read implements io.Reader.
func (v *verifier) Read(p []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	n, err := v.rc.Read(p)
	v.read += int64(n)
	if v.size >= 0 && v.read > v.size {
		v.err = v.wrongSize(fmt.Sprintf("more than %d bytes", v.size))
		return 0, v.err
	}
	for _, c := range v.checks {
		c.digester.Hash().Write(p[:n])
	}
	switch {
	case err == io.EOF: //nolint:errorlint // an error that wraps it is no end, but a connection that was closed
		err = v.finish()
	case errors.Is(err, io.EOF):
		// Nor must it look like one: only a digest that was compared ends content.
		err = fmt.Errorf("read %s: %w: %s", v.object, io.ErrUnexpectedEOF, err.Error())
	case err != nil:
		err = fmt.Errorf("read %s: %w", v.object, err)
	}
	v.err = err
	return n, err
}

func (v *verifier) finish() error {
	if v.size >= 0 && v.read != v.size {
		return v.wrongSize(fmt.Sprintf("%d bytes", v.read))
	}
	for _, c := range v.checks {
		if got := c.digester.Digest(); got != c.want {
			return &DigestMismatchError{Object: v.object, Want: c.want.String(), Got: got.String()}
		}
	}
	return io.EOF
}

func (v *verifier) wrongSize(got string) error {
	want := fmt.Sprintf("%d bytes", v.size)
	if len(v.checks) > 0 {
		want = fmt.Sprintf("%s of %s", want, v.checks[0].want)
	}
	return &DigestMismatchError{Object: v.object, Want: want, Got: got}
}

// promises implements promising.
func (v *verifier) promises(size int64, d digest.Digest) bool {
	return (size < 0 || size == v.size) && slices.ContainsFunc(v.checks, func(c check) bool { return c.want == d })
}

// Close implements io.Closer.
func (v *verifier) Close() error { return v.rc.Close() }

// readAll reads small content up to a limit.
func readAll(r io.Reader, object string, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, tooLarge(object, limit)
	}
	return data, nil
}

func tooLarge(object string, limit int64) error {
	return &hint{fmt.Sprintf("%s: larger than the %d bytes that are accepted", object, limit), ErrTooLarge, nil}
}
