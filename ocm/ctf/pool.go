package ctf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/panics"
)

// Version tells two states of a source apart. Only the source knows what is in it.
type Version any

// Source is where a Pool gets an archive from.
type Source interface {
	// Path is what messages call it.
	Path() string
	// Open opens what is there now. If that is the known version, which is nil if
	// none is, it returns no store.
	Open(ctx context.Context, known Version, o Options) (*Store, Version, error)
	// Fresh is how long nobody has to look whether there is another version.
	Fresh() time.Duration
	// Idle is how long what was opened is kept while nobody reads it.
	Idle() time.Duration
}

// PoolOptions configure a pool.
type PoolOptions struct {
	// Options are those of the stores. Their Room belongs to the pool, which closes
	// what nobody reads when it gets short.
	Options
	// Stores is how many stores that nobody reads are kept open, 64 by default.
	Stores int
	// OpenTime bounds how long the opening of a store may take, which may be a
	// download; 2 hours by default.
	OpenTime time.Duration
	// Now is the time by which something is fresh, time.Now if nil.
	Now func() time.Time
}

// Pool opens stores when they are read, and closes them when nobody has read them
// for a while, or when their place is needed. So who reads has nothing to close.
// It is safe for concurrent use.
type Pool struct {
	options PoolOptions
	stop    context.CancelFunc
	ctx     context.Context //nolint:containedctx // what opens stores outlives those that ask for them

	mu      sync.Mutex
	entries map[string]*entry
	// idle holds the leases that nobody uses, the one that was used longest ago
	// first.
	idle  []*lease
	sweep *time.Timer
	ended bool
}

// entry is a source that is open, or being opened.
type entry struct {
	key     string
	current *lease // nil if none is open
	opening *opening
}

// lease is an open store with those who use it.
type lease struct {
	store   *Store
	version Version
	keep    time.Duration
	users   int
	// current is set as long as nothing newer is known.
	current bool
	entry   *entry
	checked time.Time
	used    time.Time
}

// opening is what those wait for who need a store.
type opening struct {
	done    chan struct{}
	waiting int
	lease   *lease
	err     error
}

// NewPool returns a pool. It must be closed in the end.
func NewPool(o PoolOptions) *Pool {
	o.Options, o.Stores = o.withDefaults(), or(o.Stores, 64)
	if o.OpenTime <= 0 {
		o.OpenTime = 2 * time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &Pool{options: o, entries: map[string]*entry{}}
	p.ctx, p.stop = context.WithCancel(context.Background())
	if o.Room != nil {
		o.Room.spare = p.spare
	}
	return p
}

// Store returns a store for reading that is open when it is read. It need not be
// closed. Two sources with the same key must lead to the same, for the same
// people.
func (p *Pool) Store(key string, from Source) *Store {
	o := p.options.withDefaults()
	o.label = from.Path()
	return &Store{path: from.Path(), options: o, layout: &pooled{pool: p, key: key, source: from}}
}

// Open returns how many stores are open.
func (p *Pool) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	open := len(p.idle)
	for _, e := range p.entries {
		if e.current != nil && e.current.users > 0 {
			open++
		}
	}
	return open
}

// Close closes what nobody uses, and the rest as soon as nobody does any more.
func (p *Pool) Close() {
	p.stop()
	p.mu.Lock()
	p.ended = true
	for _, e := range p.entries {
		if e.current != nil {
			e.current.current = false
			e.current = nil
		}
	}
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	closeAll(idle)
}

// pooled is the layout of a store that a pool opens.
type pooled struct {
	pool   *Pool
	key    string
	source Source
}

func (l *pooled) view(ctx context.Context, fresh bool) (view, error) {
	found, err := l.pool.lease(ctx, l.key, l.source, fresh)
	if err != nil {
		return nil, err
	}
	inner, err := found.store.layout.view(ctx, fresh)
	if err != nil {
		l.pool.giveBack(found)
		return nil, err
	}
	return &leased{view: inner, pool: l.pool, lease: found}, nil
}

func (*pooled) update(context.Context, func(*index) *index) error { return errReadOnly }

func (*pooled) add(context.Context, digest.Digest, int64, io.Reader) error { return errReadOnly }

func (*pooled) close(bool) error { return nil }

// leased is a view that keeps its store open.
type leased struct {
	view

	pool  *Pool
	lease *lease
}

func (l *leased) open(d digest.Digest) (io.ReadCloser, int64, error) {
	rc, size, err := l.view.open(d)
	if err != nil {
		return nil, 0, err
	}
	l.pool.retain(l.lease)
	return &borrowed{ReadCloser: rc, back: sync.OnceFunc(func() { l.pool.giveBack(l.lease) })}, size, nil
}

func (l *leased) done() {
	l.view.done()
	l.pool.giveBack(l.lease)
}

// borrowed keeps the store open that it is read from.
type borrowed struct {
	io.ReadCloser

	back func()
}

// Close implements io.Closer.
func (b *borrowed) Close() error {
	err := b.ReadCloser.Close()
	b.back()
	return err
}

// lease returns an open store that has one more user.
func (p *Pool) lease(ctx context.Context, key string, from Source, fresh bool) (*lease, error) {
	p.mu.Lock()
	if p.ended {
		p.mu.Unlock()
		return nil, fmt.Errorf("transport archive %s: the pool of archives was closed", from.Path())
	}
	e, ok := p.entries[key]
	if !ok {
		e = &entry{key: key}
		p.entries[key] = e
	}
	if l := e.current; l != nil && (!fresh || p.options.Now().Sub(l.checked) < from.Fresh()) {
		p.use(l)
		p.mu.Unlock()
		return l, nil
	}
	if e.opening == nil {
		e.opening = &opening{done: make(chan struct{})}
		if e.current != nil {
			p.use(e.current) // it must not be closed while it is compared
		}
		go p.open(e, e.opening, e.current, from) //nolint:contextcheck // others may wait for it when who asked first gives up
	}
	o := e.opening
	o.waiting++
	p.mu.Unlock()
	return p.await(ctx, o, from)
}

// await waits for what is being opened, which gets another user.
func (p *Pool) await(ctx context.Context, o *opening, from Source) (*lease, error) {
	select {
	case <-o.done:
		return o.lease, o.err
	case <-ctx.Done():
	}
	p.mu.Lock()
	o.waiting--
	found := o.lease
	p.mu.Unlock()
	if found != nil {
		p.giveBack(found) // it came at the last moment
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil, fmt.Errorf("transport archive %s is still being opened: %w", from.Path(), context.Cause(ctx))
	}
	return nil, context.Cause(ctx)
}

// open opens a source, or finds out that what is open is still what is there. It
// goes on when nobody waits any longer, as they will come back.
func (p *Pool) open(e *entry, o *opening, before *lease, from Source) {
	ctx, cancel := context.WithTimeout(p.ctx, p.options.OpenTime)
	defer cancel()
	var known Version
	if before != nil {
		known = before.version
	}
	store, version, err := p.openGuarded(ctx, known, from)
	if err != nil && ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("%w; it could not be opened within %s", err, p.options.OpenTime)
	}
	found := before
	if store != nil {
		found = &lease{store: store, version: version, keep: from.Idle(), entry: e}
	}
	if err == nil && found == nil {
		err = fmt.Errorf("transport archive %s: nothing was opened", from.Path())
	}
	p.mu.Lock()
	unused := p.opened(e, o, before, found, err)
	p.mu.Unlock()
	closeAll(unused)
}

// opened tells those who wait what was opened, and returns what is to be closed.
// What is open stays so if nobody can tell whether it is still what is there.
func (p *Pool) opened(e *entry, o *opening, before, found *lease, err error) []*lease {
	gone := errors.Is(err, oci.ErrNotFound) || errors.Is(err, oci.ErrUnauthorized)
	if before != nil && (gone || err == nil && found != before) {
		before.current = false
		e.current = nil
	}
	var unused []*lease
	if err == nil {
		found.checked = p.options.Now()
		found.current = !p.ended
		if found.current {
			e.current = found
		}
		found.users += o.waiting
		o.lease = found
		if found.users == 0 {
			unused = p.unuse(found)
		}
	}
	e.opening, o.err = nil, err
	close(o.done)
	if before != nil {
		if before.users--; before.users == 0 {
			unused = append(unused, p.unuse(before)...)
		}
	}
	p.forget(e)
	return unused
}

// openGuarded opens a source. What is parsed is foreign, and nothing recovers the
// goroutine, so a panic must not end the process.
func (p *Pool) openGuarded(ctx context.Context, known Version, from Source) (store *Store, version Version, err error) {
	defer panics.Recover(&err, "open transport archive %s", from.Path())
	return from.Open(ctx, known, p.options.Options)
}

// retain adds a user to a lease that has one.
func (p *Pool) retain(l *lease) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.users++
}

// use adds a user to a lease that may have none.
func (p *Pool) use(l *lease) {
	l.users++
	p.idle = without(p.idle, l)
}

// giveBack takes a user from a lease. What nobody uses is closed when there is
// something newer, or when it is too old or too much.
func (p *Pool) giveBack(l *lease) {
	p.mu.Lock()
	var unused []*lease
	if l.users--; l.users == 0 {
		unused = p.unuse(l)
	}
	p.mu.Unlock()
	closeAll(unused)
}

// unuse puts a lease aside that nobody uses, and returns what is to be closed.
func (p *Pool) unuse(l *lease) []*lease {
	if !l.current {
		return []*lease{l}
	}
	l.used = time.Now()
	p.idle = append(p.idle, l)
	var old []*lease
	for len(p.idle) > p.options.Stores {
		old = append(old, p.oldest())
	}
	p.schedule()
	return old
}

// oldest takes the lease that was used longest ago from those that are idle.
func (p *Pool) oldest() *lease {
	l := p.idle[0]
	p.drop(l)
	return l
}

// drop forgets a lease that is idle.
func (p *Pool) drop(l *lease) {
	p.idle = without(p.idle, l)
	l.current = false
	if l.entry.current == l {
		l.entry.current = nil
	}
	p.forget(l.entry)
}

// forget removes an entry that holds nothing.
func (p *Pool) forget(e *entry) {
	if e.current == nil && e.opening == nil && p.entries[e.key] == e {
		delete(p.entries, e.key)
	}
}

// spare closes the store that nobody has read for longest.
func (p *Pool) spare() bool {
	p.mu.Lock()
	if len(p.idle) == 0 {
		p.mu.Unlock()
		return false
	}
	l := p.oldest()
	p.mu.Unlock()
	closeAll([]*lease{l})
	return true
}

// schedule has those closed in time that nobody comes for.
func (p *Pool) schedule() {
	if p.ended || p.sweep != nil || len(p.idle) == 0 {
		return
	}
	next := p.idle[0].ends()
	for _, l := range p.idle[1:] {
		if end := l.ends(); end.Before(next) {
			next = end
		}
	}
	p.sweep = time.AfterFunc(time.Until(next), p.expire)
}

func (l *lease) ends() time.Time { return l.used.Add(l.keep) }

// expire closes what nobody has read for long enough.
func (p *Pool) expire() {
	p.mu.Lock()
	p.sweep = nil
	var old []*lease
	for _, l := range append([]*lease(nil), p.idle...) {
		if time.Until(l.ends()) <= 0 {
			p.drop(l)
			old = append(old, l)
		}
	}
	p.schedule()
	p.mu.Unlock()
	closeAll(old)
}

func without(all []*lease, l *lease) []*lease {
	for i, other := range all {
		if other == l {
			return append(all[:i:i], all[i+1:]...)
		}
	}
	return all
}

// closeAll closes stores that were only read, so that nothing can be lost.
func closeAll(all []*lease) {
	for _, l := range all {
		l.store.Discard() //nolint:errcheck // nothing was written
	}
}
