package replicas_test

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/e2e/operator"
)

// probeInterval is how often it is looked which replicas are ready.
const probeInterval = 100 * time.Millisecond

// balancer does what a Service does: one address for all replicas that are ready.
type balancer struct {
	listener net.Listener
	turn     atomic.Uint64
	done     sync.WaitGroup

	mu       sync.Mutex
	replicas []*operator.Operator
	ready    []string
	open     map[net.Conn]bool
}

func newBalancer(t *testing.T) *balancer {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{listener: listener, open: map[net.Conn]bool{}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	b.done.Go(b.accept)
	b.done.Go(func() { b.probe(ctx) })
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
		b.mu.Lock()
		for conn := range b.open {
			_ = conn.Close()
		}
		b.mu.Unlock()
		b.done.Wait()
	})
	return b
}

func (b *balancer) address() string { return b.listener.Addr().String() }

func (b *balancer) add(replicas ...*operator.Operator) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.replicas = append(b.replicas, replicas...)
}

func (b *balancer) probe(ctx context.Context) {
	ticker := time.NewTicker(probeInterval)
	defer ticker.Stop()
	for {
		b.mu.Lock()
		replicas := b.replicas
		b.mu.Unlock()
		var ready []string
		for _, replica := range replicas {
			if replica.Ready(ctx) {
				ready = append(ready, replica.RegistryAddress())
			}
		}
		b.mu.Lock()
		b.ready = ready
		b.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (b *balancer) accept() {
	for {
		conn, err := b.listener.Accept()
		if err != nil {
			return
		}
		b.done.Go(func() { b.serve(conn) })
	}
}

// serve connects a client with the next replica. One that is dead and not known to be yet takes nothing: the next one does.
func (b *balancer) serve(conn net.Conn) {
	defer b.track(conn)()
	b.mu.Lock()
	ready := b.ready
	b.mu.Unlock()
	first := int(b.turn.Add(1) % 1024)
	for i := range ready {
		peer, err := net.DialTimeout("tcp", ready[(first+i)%len(ready)], time.Second)
		if err != nil {
			continue
		}
		b.join(conn, peer)
		return
	}
}

func (b *balancer) join(client, peer net.Conn) {
	defer b.track(peer)()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{client, peer}, {peer, client}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_ = way[0].Close()
			_ = way[1].Close()
		})
	}
	both.Wait()
}

func (b *balancer) track(conn net.Conn) (end func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open[conn] = true
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.open, conn)
		_ = conn.Close()
	}
}
