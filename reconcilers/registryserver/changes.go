package registryserver

import "sync"

// changes tells those who give Flux access that something of it has changed: the certificates to trust, or the key.
type changes struct {
	mu        sync.Mutex
	listeners []chan struct{}
}

// Changes returns a channel that has something in it when what Flux is given may be out of date: the certificates that the
// registry is trusted by, or credentials and addresses that are sealed.
func (r *Registry) Changes() <-chan struct{} {
	listener := make(chan struct{}, 1)
	r.changes.mu.Lock()
	defer r.changes.mu.Unlock()
	r.changes.listeners = append(r.changes.listeners, listener)
	return listener
}

func (c *changes) tell() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, listener := range c.listeners {
		select {
		case listener <- struct{}{}:
		default: // it has not looked since it was told last
		}
	}
}
