package access

import "k8s.io/utils/lru"

// memory is a bounded cache; what was not used for longest is forgotten first.
type memory[V any] struct{ entries *lru.Cache }

func newMemory[V any](size int) memory[V] { return memory[V]{entries: lru.New(size)} }

func (m memory[V]) get(key string) (V, bool) {
	var none V
	found, ok := m.entries.Get(key)
	if !ok {
		return none, false
	}
	value, ok := found.(V)
	return value, ok
}

func (m memory[V]) forget(key string) { m.entries.Remove(key) }

func (m memory[V]) add(key string, value V) { m.entries.Add(key, value) }
