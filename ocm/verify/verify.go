// Package verify proves component versions: that their signatures hold, and that
// everything they lead to, at any depth, is what was signed. The proof pins it.
//
// It reads through two small interfaces, and knows nothing of registries. Where
// keys come from, and what is done about a refusal, is for others to decide.
package verify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
)

// Version is a component version that was read and is pinned by the digest of
// its manifest.
type Version interface {
	// Descriptor returns the descriptor, which must not be changed.
	Descriptor() *descriptor.Descriptor
	// ManifestDigest returns the digest of the manifest.
	ManifestDigest() digest.Digest
	// Check reads the content of a resource and compares it with the digest
	// that the resource states.
	Check(ctx context.Context, res *descriptor.Resource) error
}

// Source reads the component versions that others refer to.
type Source interface {
	// Version returns a component version as it is tagged now. It is called once
	// for each in a verification.
	Version(ctx context.Context, component, version string) (Version, error)
}

// Options bound a verification. Zero fields have defaults.
type Options struct {
	// Concurrency is how many contents are read at once, 4 if zero.
	Concurrency int
	// MaxDepth and MaxVersions bound the tree of references, 32 and 1000 if zero.
	MaxDepth, MaxVersions int
	// Now is when certificates must be valid, the current time if zero.
	Now time.Time
	// Progress, if set, is called when all descriptors are proven, and after each
	// resource, from one goroutine at a time.
	Progress func(Progress)
}

// Progress tells how far a verification is.
type Progress struct {
	// Versions and Resources count what there is, Checked the resources of them
	// that are done with: checked, or known to be unprotected.
	Versions, Resources, Checked int
}

// Proof says what was proven. It does not change.
type Proof struct {
	// Signatures are the signatures that hold, in the order they were asked for.
	Signatures []signing.Checked
	// Versions are the component versions, the root first, each once.
	Versions []Proven
	// Unprotected are the resources whose content no signature protects.
	Unprotected []Unprotected
	// Expires is when the first certificate expires that the proof relies on; it
	// is zero if there is none.
	Expires time.Time
}

// Proven is a component version with the digest of the manifest that was proven.
type Proven struct {
	// Component and Version name it.
	Component, Version string
	// Manifest is the digest of its manifest.
	Manifest digest.Digest
}

// Why says why content is not protected.
type Why string

// Reasons for unprotected content.
const (
	// Excluded: the publisher left the content out of what is signed.
	Excluded Why = "Excluded"
	// NoContent: the access of the resource is none.
	NoContent Why = "NoContent"
)

// Unprotected is a resource whose content no signature protects.
type Unprotected struct {
	// Component and Version name the component version that has the resource.
	Component, Version string
	// Resource names the resource.
	Resource descriptor.Element
	// Why says why.
	Why Why
}

// Defaults of Options.
const (
	defaultConcurrency = 4
	defaultMaxDepth    = 32
	defaultMaxVersions = 1000
)

func (o Options) withDefaults() Options {
	o.Concurrency = or(o.Concurrency, defaultConcurrency)
	o.MaxDepth = or(o.MaxDepth, defaultMaxDepth)
	o.MaxVersions = or(o.MaxVersions, defaultMaxVersions)
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	return o
}

func or(n, def int) int {
	if n <= 0 {
		return def
	}
	return n
}

// Verify proves a component version. All requested signatures must hold, and
// there must be at least one. What they cover is checked from the root down:
// first the signatures, which need the root's descriptor only, then all
// descriptors the root leads to, then their contents. So nothing is followed that
// no signature covers, and nothing large is read before all descriptors are
// proven. Signatures and nested digests of other descriptors than the root's
// don't matter.
//
// The error is an *Error if the component version is refused. When several things
// are wrong it is about the first of them: signatures in the order they were asked
// for, descriptors nearest to the root first, contents in the order of the
// descriptors. Errors that may pass come only if no refusal is known by then.
// Nothing is begun after an error, and nothing goes on after Verify has returned.
func Verify(ctx context.Context, source Source, root Version, signatures []signing.Request, o Options) (*Proof, error) {
	if len(signatures) == 0 {
		return nil, fmt.Errorf("verify %s: no signature is asked for", nameOf(root))
	}
	o = o.withDefaults()
	proof := &Proof{}
	for _, request := range signatures {
		checked, err := signing.Check(root.Descriptor(), request, o.Now)
		if errors.Is(err, signing.ErrInvalid) {
			return nil, &Error{Path: []string{nameOf(root)}, Err: err, Lasting: !errors.Is(err, signing.ErrNotValidNow)}
		}
		if err != nil {
			return nil, fmt.Errorf("verify %s: %w", nameOf(root), err)
		}
		proof.Signatures = append(proof.Signatures, *checked)
		if e := checked.Expires; !e.IsZero() && (proof.Expires.IsZero() || e.Before(proof.Expires)) {
			proof.Expires = e
		}
	}
	t := newTree(source, root, o)
	if err := t.prove(ctx); err != nil {
		return nil, err
	}
	for _, n := range t.nodes {
		c := &n.read.Descriptor().Component
		proof.Versions = append(proof.Versions, Proven{Component: c.Name, Version: c.Version, Manifest: n.read.ManifestDigest()})
	}
	var err error
	proof.Unprotected, err = t.checkContents(ctx)
	if err != nil {
		return nil, err
	}
	return proof, nil
}

func nameOf(v Version) string {
	c := &v.Descriptor().Component
	return c.Name + ":" + c.Version
}
