package transfer

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

const (
	defaultRemembered = 1000
	// maxRemembered bounds the parts of all component versions that are remembered;
	// each takes less than 200 bytes.
	maxRemembered = 500_000
	// maxParts bounds what is remembered of one component version.
	maxParts = 20_000
	// maxPromises bounds what is remembered of who refers to a component version.
	maxPromises = 16
)

// Memory remembers for Check what component versions are made of, so that it asks
// only whether that is still there. It is bounded by what it holds, not only by how
// many component versions there are, and safe for concurrent use.
type Memory struct {
	max, maxParts int

	mu    sync.Mutex
	all   map[memoryKey]*list.Element
	order list.List // of memoryKey's entries, the last used first
	parts int
}

type memoryKey struct {
	url, component, version string
	manifest                digest.Digest
	// rule says which contents are copied by value.
	rule digest.Digest
}

type memoryEntry struct {
	key       memoryKey
	inventory *inventory
}

// NewMemory returns a memory for so many component versions, 1000 if zero.
func NewMemory(versions int) *Memory {
	return &Memory{max: or(versions, defaultRemembered), maxParts: maxRemembered, all: map[memoryKey]*list.Element{}}
}

// of returns the inventory of a component version that the target has, which must
// be what is wanted.
func (m *Memory) of(ctx context.Context, c *checker, w wanted, manifest digest.Digest) (*inventory, error) {
	key := memoryKey{url: c.target.URL(), component: w.component, version: w.version, manifest: manifest, rule: c.rule}
	i := m.get(key)
	if i != nil && i.keeps(w.reference) {
		return i, nil
	}
	v, err := c.target.GetPinned(ctx, w.component, w.version, manifest)
	if err != nil {
		return nil, err
	}
	if err := promised(v, w); err != nil {
		return nil, err
	}
	if i == nil {
		if i, err = c.take(ctx, v); err != nil {
			return nil, err
		}
		m.put(key, i)
	}
	i.kept(w.reference)
	return i, nil
}

// promised compares a component version with what who refers to it promises. What no
// program can compare is the same at the source.
func promised(v *ocm.ComponentVersion, w wanted) error {
	if w.reference == nil {
		return nil
	}
	got, err := normalize.Digest(v.Descriptor(), w.reference.HashAlgorithm, w.reference.NormalisationAlgorithm)
	if errors.Is(err, normalize.ErrUnknownAlgorithm) || err == nil && got == *w.reference {
		return nil
	}
	mismatch := &oci.DigestMismatchError{Object: w.component + ":" + w.version, Want: digestText(w.reference), Got: digestText(&got)}
	if err != nil {
		mismatch.Got = fmt.Sprintf("none (%v)", err)
	}
	return mismatch
}

func (m *Memory) get(key memoryKey) *inventory {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.all[key]
	if e == nil {
		return nil
	}
	m.order.MoveToFront(e)
	return entryOf(e).inventory
}

func (m *Memory) put(key memoryKey, i *inventory) {
	if m == nil || i.size() > min(maxParts, m.maxParts) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.all[key]; e != nil {
		m.drop(e)
	}
	m.all[key] = m.order.PushFront(&memoryEntry{key: key, inventory: i})
	for m.parts += i.size(); m.order.Len() > m.max || m.parts > m.maxParts; {
		m.drop(m.order.Back())
	}
}

// drop forgets an entry.
func (m *Memory) drop(e *list.Element) {
	entry := entryOf(e)
	delete(m.all, entry.key)
	m.order.Remove(e)
	m.parts -= entry.inventory.size()
}

func entryOf(e *list.Element) *memoryEntry {
	return e.Value.(*memoryEntry) //nolint:forcetypeassert // nothing else is in the list
}
