package transfer

import "sync"

// group makes values once for each key.
type group[T any] struct {
	mu  sync.Mutex
	all map[string]T
}

func (g *group[T]) of(key string, create func() (T, error)) (T, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if v, ok := g.all[key]; ok {
		return v, nil
	}
	v, err := create()
	if err != nil {
		return v, err
	}
	if g.all == nil {
		g.all = map[string]T{}
	}
	g.all[key] = v
	return v, nil
}
