package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"go.etcd.io/bbolt"
)

// The database trusts its pages: one that points at a page above it has it go round until the memory is used up, and one that
// is none ends the process from a goroutine where nobody can recover. So the pages are looked at before it may use them: those
// that point at others, which are one in a hundred, at every start; all of them after a process that was killed, when the database
// will read all of them itself, and when the store is scrubbed.

// Kinds of pages, and the kind of an element that is a bucket.
const (
	pageBranch    = 0x01
	pageLeaf      = 0x02
	pageFreelist  = 0x10
	elementBucket = 0x01
)

const (
	pageHeader   = 16
	pageElement  = 16
	bucketHeader = 16
	// maxHeight is more than a tree has whose pages fill any disk.
	maxHeight = 32
	// noFreelist stands where the number of the page of free pages should be.
	noFreelist = ^uint64(0)
	// tooManyToCount is in the header of a page of free pages when their number does not fit there.
	tooManyToCount = 0xffff
)

// pages looks at the pages of one state of a database.
type pages struct {
	file io.ReaderAt
	// size is that of a page.
	size int64
	// count is how many pages the state has, and held how many of them are in the file.
	count, held uint64
	// whole is for reading the leaves, too.
	whole bool
	seen  []uint64
	// stop ends the walk with an error.
	stop func() error
}

// never is for walks that go on to the end.
func never() error { return nil }

// diskPage is one page with those that it goes on in.
type diskPage struct {
	id    uint64
	kind  uint16
	count int
	data  []byte
}

func rotten(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrDamaged, fmt.Errorf(format, args...))
}

// checkPages looks at the pages that a transaction sees, in the file of the database and not in the mapping of it: errors of a disk
// are errors there.
func checkPages(tx *bbolt.Tx, f *os.File, whole bool, stop func() error) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	p := newPages(f, info.Size(), int64(tx.DB().Info().PageSize), tx.Size())
	p.stop, p.whole = stop, whole
	return p.check(uint64(tx.Cursor().Bucket().RootPage()), p.freelist(tx.ID()))
}

func newPages(f io.ReaderAt, fileSize, pageSize, used int64) *pages {
	p := &pages{stop: never, file: f, size: pageSize, count: uint64(used / pageSize), held: uint64(fileSize / pageSize)} //nolint:gosec // sizes are not negative
	p.held = min(p.held, p.count)
	p.seen = make([]uint64, p.held/64+1)
	return p
}

// check looks at the tree of buckets, at those of the buckets, and at what is said to be free.
func (p *pages) check(root, free uint64) error {
	if free == noFreelist {
		p.whole = true
	}
	if err := p.tree(root, true); err != nil || free == noFreelist {
		return err
	}
	return p.free(free)
}

// freelist returns the page of free pages that the state of a transaction has.
func (p *pages) freelist(txid int) uint64 {
	const end = pageHeader + 64
	raw := make([]byte, end)
	for slot := range int64(2) {
		if _, err := p.file.ReadAt(raw, slot*p.size); err != nil {
			continue
		}
		if binary.NativeEndian.Uint64(raw[pageHeader+48:]) == uint64(txid) { //nolint:gosec // it was made of one
			return binary.NativeEndian.Uint64(raw[pageHeader+32:])
		}
	}
	return noFreelist
}

func (p *pages) read(id uint64) (*diskPage, error) {
	if err := p.stop(); err != nil {
		return nil, err
	}
	if id < 2 || id >= p.held {
		return nil, rotten("page %d of %d in the file", id, p.held)
	}
	data := make([]byte, p.size)
	if _, err := p.file.ReadAt(data, int64(id)*p.size); err != nil { //nolint:gosec // the page is in the file
		return nil, rotten("page %d: %w", id, err)
	}
	at := &diskPage{id: binary.NativeEndian.Uint64(data), kind: binary.NativeEndian.Uint16(data[8:]), count: int(binary.NativeEndian.Uint16(data[10:])), data: data}
	more := uint64(binary.NativeEndian.Uint32(data[12:]))
	if at.id != id || id+more >= p.held {
		return nil, rotten("page %d says that it is page %d and has %d more of %d", id, at.id, more, p.held)
	}
	if more > 0 {
		at.data = make([]byte, int64(more+1)*p.size)                        //nolint:gosec // the pages are in the file
		if _, err := p.file.ReadAt(at.data, int64(id)*p.size); err != nil { //nolint:gosec // the page is in the file
			return nil, rotten("page %d: %w", id, err)
		}
	}
	return at, nil
}

// see notes that something points at pages; nothing else may.
func (p *pages) see(id, count uint64) error {
	for i := id; i < id+count; i++ {
		if i < 2 || i >= p.held {
			return rotten("page %d of %d in the file", i, p.held)
		}
		if p.was(i) {
			return rotten("page %d is used twice", i)
		}
		p.seen[i/64] |= 1 << (i % 64)
	}
	return nil
}

func (p *pages) was(id uint64) bool { return id < p.held && p.seen[id/64]&(1<<(id%64)) != 0 }

// tree looks at the tree of one bucket. All its leaves are at the same height.
func (p *pages) tree(root uint64, whole bool) error {
	height := 0
	for id := root; ; height++ {
		at, err := p.read(id)
		if err != nil {
			return err
		}
		if at.kind == pageLeaf {
			break
		}
		if id, err = at.child(0); err != nil || height == maxHeight {
			return errors.Join(err, rotten("page %d leads to no leaf", root))
		}
	}
	_, err := p.walk(root, height, whole, bounds{})
	return err
}

// bounds are what the keys of a page lie between: the first is in, the other not. Nil is no bound.
type bounds struct{ from, to []byte }

// walk returns the last key that it has seen below a page.
func (p *pages) walk(id uint64, height int, whole bool, in bounds) ([]byte, error) {
	if height == 0 && !whole {
		return nil, p.see(id, 1)
	}
	at, err := p.read(id)
	if err != nil {
		return nil, err
	}
	if err := p.see(id, uint64(len(at.data))/uint64(p.size)); err != nil { //nolint:gosec // sizes are not negative
		return nil, err
	}
	if height == 0 {
		return p.leaf(at, in)
	}
	return p.branch(at, height, whole, in)
}

func (p *pages) branch(at *diskPage, height int, whole bool, in bounds) (last []byte, err error) {
	if at.kind != pageBranch || at.count == 0 {
		return nil, rotten("page %d has the kind %#x and %d elements where it leads to others", at.id, at.kind, at.count)
	}
	last = in.from
	for i := range at.count {
		key, err := at.key(i)
		if err != nil {
			return nil, err
		}
		if err := at.ordered(i, last, key, in.to); err != nil {
			return nil, err
		}
		to := in.to
		if i+1 < at.count {
			if to, err = at.key(i + 1); err != nil {
				return nil, err
			}
		}
		child, err := at.child(i)
		if err != nil {
			return nil, err
		}
		if last, err = p.walk(child, height-1, whole, bounds{key, to}); err != nil {
			return nil, err
		}
		if last == nil {
			last = key
		}
	}
	return last, nil
}

func (p *pages) leaf(at *diskPage, in bounds) (last []byte, err error) {
	if at.kind != pageLeaf {
		return nil, rotten("page %d has the kind %#x, and is no leaf", at.id, at.kind)
	}
	last = in.from
	for i := range at.count {
		key, err := at.key(i)
		if err != nil {
			return nil, err
		}
		if err := at.ordered(i, last, key, in.to); err != nil {
			return nil, err
		}
		last = key
		value, bucket, err := at.value(i)
		if err != nil {
			return nil, err
		}
		if bucket {
			if err := p.bucket(at, value); err != nil {
				return nil, err
			}
		}
	}
	return last, nil
}

// bucket looks at a bucket: a tree of its own, or when it is small a leaf within the leaf.
func (p *pages) bucket(in *diskPage, value []byte) error {
	if len(value) < bucketHeader {
		return rotten("page %d has a bucket of %d bytes", in.id, len(value))
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return p.tree(root, p.whole)
	}
	value = value[bucketHeader:]
	if len(value) < pageHeader {
		return rotten("page %d has a bucket of %d bytes", in.id, len(value))
	}
	within := &diskPage{id: in.id, kind: binary.NativeEndian.Uint16(value[8:]), count: int(binary.NativeEndian.Uint16(value[10:])), data: value}
	if own := binary.NativeEndian.Uint64(value); own != 0 {
		return rotten("page %d has a small bucket that says it is page %d", in.id, own)
	}
	_, err := p.leaf(within, bounds{})
	return err
}

// free looks at the list of free pages: one that is in use would be written over.
func (p *pages) free(id uint64) error {
	at, err := p.read(id)
	if err != nil {
		return err
	}
	if err := p.see(id, uint64(len(at.data))/uint64(p.size)); err != nil { //nolint:gosec // sizes are not negative
		return err
	}
	raw, count := at.data[pageHeader:], uint64(at.count) //nolint:gosec // it had two bytes
	if count == tooManyToCount {
		count, raw = binary.NativeEndian.Uint64(raw), raw[8:]
	}
	if at.kind != pageFreelist || count > uint64(len(raw))/8 {
		return rotten("page %d has the kind %#x and %d numbers, and is no list of free pages", id, at.kind, count)
	}
	last := uint64(1)
	for i := range count {
		free := binary.NativeEndian.Uint64(raw[8*i:])
		if free <= last || free >= p.count || p.was(free) {
			return rotten("page %d is no free one of %d", free, p.count)
		}
		last = free
	}
	return nil
}

// element returns where an element begins, and its four numbers.
func (at *diskPage) element(i int) (begin uint64, raw []byte, err error) {
	begin = uint64(pageHeader + i*pageElement) //nolint:gosec // a page has few elements
	if begin+pageElement > uint64(len(at.data)) {
		return 0, nil, rotten("page %d has %d elements, more than fit", at.id, at.count)
	}
	return begin, at.data[begin : begin+pageElement], nil
}

// key returns the key of an element.
func (at *diskPage) key(i int) ([]byte, error) {
	begin, raw, err := at.element(i)
	if err != nil {
		return nil, err
	}
	position, size := raw[0:], raw[4:]
	if at.kind == pageLeaf {
		position, size = raw[4:], raw[8:]
	}
	return at.bytes(i, begin+uint64(binary.NativeEndian.Uint32(position)), uint64(binary.NativeEndian.Uint32(size)))
}

// value returns the value of an element of a leaf, and whether it is a bucket.
func (at *diskPage) value(i int) (value []byte, bucket bool, err error) {
	begin, raw, err := at.element(i)
	if err != nil {
		return nil, false, err
	}
	flags := binary.NativeEndian.Uint32(raw)
	if flags&^elementBucket != 0 {
		return nil, false, rotten("element %d of page %d has the flags %#x", i, at.id, flags)
	}
	begin += uint64(binary.NativeEndian.Uint32(raw[4:])) + uint64(binary.NativeEndian.Uint32(raw[8:]))
	value, err = at.bytes(i, begin, uint64(binary.NativeEndian.Uint32(raw[12:])))
	return value, flags != 0, err
}

// child returns the page that an element leads to.
func (at *diskPage) child(i int) (uint64, error) {
	_, raw, err := at.element(i)
	if err != nil || at.kind != pageBranch || at.count == 0 {
		return 0, errors.Join(err, rotten("page %d has the kind %#x and %d elements", at.id, at.kind, at.count))
	}
	return binary.NativeEndian.Uint64(raw[8:]), nil
}

func (at *diskPage) bytes(i int, begin, size uint64) ([]byte, error) {
	if begin+size > uint64(len(at.data)) {
		return nil, rotten("element %d of page %d goes beyond its end", i, at.id)
	}
	return at.data[begin : begin+size], nil
}

// ordered tells whether a key is where it is looked for.
func (at *diskPage) ordered(i int, last, key, to []byte) error {
	order := bytes.Compare(last, key)
	if i == 0 && last != nil && order > 0 || i > 0 && order >= 0 || to != nil && bytes.Compare(key, to) >= 0 {
		return rotten("element %d of page %d is out of order", i, at.id)
	}
	return nil
}
