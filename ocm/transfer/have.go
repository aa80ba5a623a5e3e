package transfer

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
)

const (
	// maxHave bounds a list of digests.
	maxHave = 1_000_000
	// maxHaveLine bounds a line of it; the longest digest has 135 characters.
	maxHaveLine = 256
)

// Have is a set of digests of blobs that somebody has. A nil one is empty.
type Have struct {
	all map[digest.Digest]struct{}
}

// NewHave returns the set of some digests.
func NewHave(all ...digest.Digest) *Have {
	h := &Have{all: make(map[digest.Digest]struct{}, len(all))}
	for _, d := range all {
		h.all[d] = struct{}{}
	}
	return h
}

// Has reports whether a digest is in the set.
func (h *Have) Has(d digest.Digest) bool {
	if h == nil {
		return false
	}
	_, ok := h.all[d]
	return ok
}

// Len returns how many digests are in the set.
func (h *Have) Len() int {
	if h == nil {
		return 0
	}
	return len(h.all)
}

// ReadHave reads a set as WriteHave writes it. Empty lines, and what follows a #,
// are left out.
func ReadHave(r io.Reader) (*Have, error) {
	h := NewHave()
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, maxHaveLine), maxHaveLine)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := bytes.Cut(lines.Bytes(), []byte("#"))
		if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		}
		d, err := digest.Parse(string(text))
		if err != nil {
			return nil, fmt.Errorf("list of digests: line %d: %q is no digest such as sha256:<hex>: %w", n, text, err)
		}
		if h.all[d] = struct{}{}; len(h.all) > maxHave {
			return nil, fmt.Errorf("list of digests is %w: more than %d", ocm.ErrTooLarge, maxHave)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("list of digests: %w", err)
	}
	return h, nil
}

// WriteHave writes a set, one digest a line, sorted.
func WriteHave(w io.Writer, h *Have) error {
	out := bufio.NewWriter(w)
	if h != nil {
		for _, d := range slices.Sorted(maps.Keys(h.all)) {
			if _, err := fmt.Fprintln(out, d); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}

// Digests returns the digests of the blobs that a repository has of a component
// version and what it refers to, sorted: what a later export need not contain.
func Digests(ctx context.Context, repository *ocm.Repository, component, version string, o Options) ([]digest.Digest, error) {
	c := newChecker(repository, o)
	err := c.walk(ctx, wanted{component: component, version: version})
	if err != nil {
		return nil, fmt.Errorf("list the blobs of %s:%s in %s: %w", component, version, repository.URL(), err)
	}
	var mu sync.Mutex
	out := map[digest.Digest]struct{}{}
	err = each(ctx, c.options.Concurrency, len(c.parts), func(ctx context.Context, i int) error {
		p := c.parts[i]
		s, err := c.at(p)
		if err != nil || p.manifest {
			return err
		}
		has, err := s.Has(ctx, p.desc)
		if has {
			mu.Lock()
			defer mu.Unlock()
			out[p.desc.Digest] = struct{}{}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the blobs of %s:%s in %s: %w", component, version, repository.URL(), err)
	}
	return slices.Sorted(maps.Keys(out)), nil
}
