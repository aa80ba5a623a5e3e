package transfer

import (
	"context"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm"
)

// Memory remembers for Check what component versions are made of, so that it asks
// only whether that is still there. It is bounded, and safe for concurrent use.
type Memory struct{}

// NewMemory returns a memory for so many component versions, 1000 if zero.
func NewMemory(versions int) *Memory { return &Memory{} }

// Drift says what a repository has lost of a component version, or has in its
// place.
type Drift struct {
	// Moved is what the tag of the component version leads to, if it is neither
	// missing nor what it was.
	Moved digest.Digest
	// Lost is what is missing or other than it was, in words, sorted; at most 20.
	Lost []string
	// More is how much more is lost.
	More int
}

// String lists what is lost.
func (d *Drift) String() string {
	text := strings.Join(d.Lost, ", ")
	if d.More > 0 {
		text += fmt.Sprintf(" and %d more", d.More)
	}
	return text
}

type inventory struct {
	blobs []struct{ desc ocispec.Descriptor }
}

func inventories(context.Context, *ocm.Repository, string, string, Options) ([]inventory, error) {
	return nil, nil
}

// Check finds out whether a repository still has all of a component version: the
// tag leads to the manifest that is wanted, and everything that this leads to is
// there. It is nil if so. With Options.Memory it sends HEAD requests only, but for
// what it has not seen yet; nothing is compared with its digest.
func Check(ctx context.Context, target *ocm.Repository, component, version string, want digest.Digest, o Options) (*Drift, error) {
	found, err := target.Resolve(ctx, component, version)
	if err != nil {
		return nil, err
	}
	if found != want {
		return &Drift{Moved: found, Lost: []string{"tag"}}, nil
	}
	return nil, nil
}
