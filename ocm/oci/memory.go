package oci

import (
	"container/list"
	"net/http"
	"strings"
	"sync"

	"github.com/ocm-operator/ocm-operator/ocm/credentials"
	"github.com/ocm-operator/ocm-operator/ocm/turns"
)

// Kinds of what is remembered.
const (
	KindTags     = "tags"
	KindManifest = "manifest"
)

// MemoryOptions configure a memory. A zero field means its default.
type MemoryOptions struct {
	// Bytes bounds what is remembered, 32 MiB by default.
	Bytes int64
	// Answered is told for each answer, by kind, whether it was that what is
	// remembered has not changed.
	Answered func(kind string, same bool)
}

// Memory remembers listings of tags and manifests of tags with the tags of their
// content, so that registries need not send them again, and which hosts compare
// what they are sent with its digest. What one credential may read at one place is
// remembered for that one and that place only. All of it is for one connection:
// whose proxy it is decides what a registry seems to say, and the tags of content
// are no secret. Who shares a memory takes turns in writing tags; see Repository.Turn.
// It is safe for concurrent use. A nil memory remembers nothing.
type Memory struct {
	options  MemoryOptions
	verdicts *verdicts
	turns    *turns.Turns[turnKey]

	mu    sync.Mutex
	bytes int64
	known map[memoryKey]*list.Element
	order *list.List // of *memento, the one used last is in front
}

// memoryKey says what was asked for, as whom, and by which way.
type memoryKey struct {
	connection string
	address    string
	credential credentials.Credential
}

// memento is an answer. What it points to is not changed.
type memento struct {
	key   memoryKey
	etag  string
	value any
	bytes int64
}

const (
	// mementoBytes is what an answer takes besides its content.
	mementoBytes = 512
	// maxETag bounds the tags of content; a digest has 71 bytes.
	maxETag = 256
)

// NewMemory returns a memory.
func NewMemory(o MemoryOptions) *Memory {
	o.Bytes = or(o.Bytes, 32<<20)
	if o.Answered == nil {
		o.Answered = func(string, bool) {}
	}
	return &Memory{options: o, verdicts: newVerdicts(), turns: turns.New[turnKey](1), known: map[memoryKey]*list.Element{}, order: list.New()}
}

// told tells whether an answer was needed.
func (m *Memory) told(kind string, same bool) {
	if m != nil {
		m.options.Answered(kind, same)
	}
}

// recall returns what is known of an address, and makes the request with a header
// one that asks whether it has changed. It returns nil if nothing is known.
func (r *Repository) recall(address string, header http.Header) any {
	m := r.memory
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.known[memoryKey{r.connection, address, r.credential}]
	if !ok {
		return nil
	}
	m.order.MoveToFront(e)
	known, _ := e.Value.(*memento)
	header.Set("If-None-Match", known.etag)
	return known.value
}

// remember keeps an answer.
func (r *Repository) remember(address, etag string, value any, size int) {
	m := r.memory
	if m == nil {
		return
	}
	key := memoryKey{r.connection, strings.Clone(address), r.credential}
	answer := &memento{key: key, etag: strings.Clone(etag), value: value, bytes: int64(size + len(address) + mementoBytes)}
	m.mu.Lock()
	defer m.mu.Unlock()
	if old, ok := m.known[key]; ok {
		m.drop(old)
	}
	if etag == "" || len(etag) > maxETag || answer.bytes > m.options.Bytes/4 {
		return
	}
	m.known[key] = m.order.PushFront(answer)
	for m.bytes += answer.bytes; m.bytes > m.options.Bytes; {
		m.drop(m.order.Back())
	}
}

func (m *Memory) drop(e *list.Element) {
	old, _ := m.order.Remove(e).(*memento)
	m.bytes -= old.bytes
	delete(m.known, old.key)
}
