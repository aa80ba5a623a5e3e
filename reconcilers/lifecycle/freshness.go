package lifecycle

import (
	"strconv"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// freshness remembers the resource version of our last write to each object until the cache has caught up with it.
type freshness struct {
	mu   sync.Mutex
	last map[types.NamespacedName]uint64
}

func newFreshness() *freshness {
	return &freshness{last: map[types.NamespacedName]uint64{}}
}

// note remembers a write.
func (f *freshness) note(obj client.Object) {
	version, err := strconv.ParseUint(obj.GetResourceVersion(), 10, 64)
	if err != nil {
		return // not a number: can't be compared, so the cache is trusted
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last[client.ObjectKeyFromObject(obj)] = version
}

// behind tells whether the object, as read from the cache, is older than our last write.
func (f *freshness) behind(obj client.Object) bool {
	key := client.ObjectKeyFromObject(obj)
	f.mu.Lock()
	defer f.mu.Unlock()
	last, ok := f.last[key]
	if !ok {
		return false
	}
	version, err := strconv.ParseUint(obj.GetResourceVersion(), 10, 64)
	if err == nil && version < last {
		return true
	}
	delete(f.last, key)
	return false
}

func (f *freshness) forget(key types.NamespacedName) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.last, key)
}
