package ocm

import (
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// NameMapping tells how the repository of a component is named.
type NameMapping string

// Name mappings. Empty is URLPath.
const (
	// URLPath names a repository component-descriptors/ and the name of the
	// component.
	URLPath NameMapping = "urlPath"
	// SHA256Digest names a repository by the digest of the name of the component.
	// It is what was used for names that are too long for a registry, and is read
	// only.
	SHA256Digest NameMapping = "sha256-digest"
)

func (m NameMapping) check() error {
	switch m {
	case "", URLPath, SHA256Digest:
		return nil
	}
	return fmt.Errorf("component name mapping %q is not known, want %s or %s", m, URLPath, SHA256Digest)
}

// path returns the path of the repository of a component.
func (m NameMapping) path(component string) string {
	if m == SHA256Digest {
		return digest.FromString(component).Encoded()
	}
	return oci.ComponentPath(component)
}

// checkWrite returns an error unless component versions are written with this
// mapping.
func (m NameMapping) checkWrite() error {
	if m != SHA256Digest {
		return nil
	}
	return &UnsupportedError{
		What:   fmt.Sprintf("writing with component name mapping %s", SHA256Digest),
		Advice: fmt.Sprintf("write to a repository with mapping %s, which every tool reads", URLPath),
	}
}
