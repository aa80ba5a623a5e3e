package registry

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

const (
	// defaultConnections and defaultPerClient bound what strangers can make this process hold: a connection costs tens of
	// kilobytes before anybody knows whose it is. Many clients may stand behind one address.
	defaultConnections = 2048
	defaultPerClient   = 512
	// clientBits is how much of an IPv6 address stands for a client, who may have the rest of it to choose from.
	clientBits = 64
)

// doorman is a listener that bounds its connections. When there are as many as there may be, the one that has been idle for
// longest makes room; when all are in use, new ones wait in the queue of the system. A client that has its share, and none
// that is idle, gets no more of them.
type doorman struct {
	*net.TCPListener
	total, each int

	mu      sync.Mutex
	changed sync.Cond
	closed  bool
	guests  map[*guest]struct{}
	clients map[netip.Prefix]int
	refused int64
}

// guest is a connection. All else of it is as the system made it, so that the kernel can still send files by itself.
type guest struct {
	*net.TCPConn
	door   *doorman
	client netip.Prefix
	// idle is since when there was no request; zero while there is one.
	idle time.Time
	once sync.Once
}

func newDoorman(listener *net.TCPListener, total, each int) *doorman {
	if total <= 0 {
		total = defaultConnections
	}
	if each <= 0 {
		each = min(defaultPerClient, total)
	}
	d := &doorman{TCPListener: listener, total: total, each: each, guests: map[*guest]struct{}{}, clients: map[netip.Prefix]int{}}
	d.changed.L = &d.mu
	return d
}

// Accept implements net.Listener.
func (d *doorman) Accept() (net.Conn, error) {
	for {
		conn, err := d.AcceptTCP()
		if err != nil {
			return nil, err
		}
		g := &guest{TCPConn: conn, door: d, client: clientOf(conn.RemoteAddr())}
		admitted, err := d.admit(g)
		if admitted {
			return g, nil
		}
		_ = conn.Close()
		if err != nil {
			return nil, err
		}
	}
}

// admit waits until there is room for a connection.
func (d *doorman) admit(g *guest) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.guests) >= d.total && !d.closed {
		if !d.dismiss(nil) {
			d.changed.Wait()
		}
	}
	if d.closed {
		return false, net.ErrClosed
	}
	if d.clients[g.client] >= d.each && !d.dismiss(&g.client) {
		d.refused++
		return false, nil
	}
	d.guests[g] = struct{}{}
	d.clients[g.client]++
	return true, nil
}

// dismiss ends the connection that has been idle for longest, of one client or of all. It returns false when none is idle.
func (d *doorman) dismiss(of *netip.Prefix) bool {
	var longest *guest
	for g := range d.guests {
		if !g.idle.IsZero() && (of == nil || g.client == *of) && (longest == nil || g.idle.Before(longest.idle)) {
			longest = g
		}
	}
	if longest == nil {
		return false
	}
	d.forget(longest)
	_ = longest.TCPConn.Close()
	return true
}

func (d *doorman) forget(g *guest) {
	if _, known := d.guests[g]; !known {
		return
	}
	delete(d.guests, g)
	if d.clients[g.client]--; d.clients[g.client] == 0 {
		delete(d.clients, g.client)
	}
	d.changed.Broadcast()
}

// Close implements net.Listener. Whoever waits for room waits no more.
func (d *doorman) Close() error {
	d.mu.Lock()
	d.closed = true
	d.changed.Broadcast()
	d.mu.Unlock()
	return d.TCPListener.Close()
}

// Close implements net.Conn.
func (g *guest) Close() error {
	g.once.Do(func() {
		g.door.mu.Lock()
		defer g.door.mu.Unlock()
		g.door.forget(g)
	})
	return g.TCPConn.Close()
}

// observe is told by the server what a connection does.
func (d *doorman) observe(conn net.Conn, state http.ConnState) {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	g, ok := conn.(*guest)
	if !ok {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	g.idle = time.Time{}
	if state == http.StateIdle {
		g.idle = time.Now()
		d.changed.Broadcast()
	}
}

// count returns how many connections there are, and how many were refused because their client has too many.
func (d *doorman) count() (open int, refused int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.guests), d.refused
}

// clientOf returns what stands for a client: its IPv4 address, or the network of its IPv6 address.
func clientOf(address net.Addr) netip.Prefix {
	tcp, ok := address.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	prefix, err := ip.Prefix(min(ip.BitLen(), clientBits))
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}
