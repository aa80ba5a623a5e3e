package auth

import "container/list"

// recent is a map that keeps what was used last, and forgets the rest. It is not safe for use by many goroutines.
type recent[K comparable, V any] struct {
	most    int
	entries map[K]*list.Element
	order   *list.List
}

type recentEntry[K comparable, V any] struct {
	key   K
	value V
}

func newRecent[K comparable, V any](most int) *recent[K, V] {
	return &recent[K, V]{most: most, entries: map[K]*list.Element{}, order: list.New()}
}

// get returns what is kept under a key, which counts as its use.
func (r *recent[K, V]) get(key K) (value V, found bool) {
	element, found := r.entries[key]
	if !found {
		return value, false
	}
	r.order.MoveToFront(element)
	return element.Value.(*recentEntry[K, V]).value, true //nolint:forcetypeassert // nothing else is put in
}

// put keeps a value, in place of the one whose use is the longest ago when there is no more room.
func (r *recent[K, V]) put(key K, value V) {
	if element, found := r.entries[key]; found {
		element.Value = &recentEntry[K, V]{key, value}
		r.order.MoveToFront(element)
		return
	}
	r.entries[key] = r.order.PushFront(&recentEntry[K, V]{key, value})
	if len(r.entries) > r.most {
		last := r.order.Back()
		r.order.Remove(last)
		delete(r.entries, last.Value.(*recentEntry[K, V]).key) //nolint:forcetypeassert // nothing else is put in
	}
}

// remove forgets a value.
func (r *recent[K, V]) remove(key K) {
	if element, found := r.entries[key]; found {
		r.order.Remove(element)
		delete(r.entries, key)
	}
}
