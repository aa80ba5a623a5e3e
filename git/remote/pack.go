package remote

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

const (
	// maxObjects is how many objects a pack may have. Each costs about 64 bytes of memory.
	maxObjects = 1_000_000
	// maxTree is how large a tree or a commit may be: a folder of 100,000 files is half of it.
	maxTree = 8 << 20
	// maxDelta is how large a file may be that is sent as the difference to another, if it is to be read. Both are held in
	// memory, as well as their difference.
	maxDelta = 8 << 20
	// maxChain is how many differences may be between an object and one that is sent whole. Git makes 50.
	maxChain = 4096
	// recentBytes is how much is kept of what was read last: the next difference is often to one of those. It has room for
	// the largest tree and for one that is made of it.
	recentBytes = 2 * maxTree
	// maxPasses is how often objects are gone through that name others by their hash. Most servers do not do that, and
	// those that do name earlier ones.
	maxPasses = 64
	// maxInflation is how much larger than the bound for packs all objects may be together, when they are inflated.
	maxInflation = 64
)

// entry is an object in a pack. There may be a million of them.
type entry struct {
	// hash is zero for a file that is sent as a difference, until files are resolved.
	hash   plumbing.Hash
	offset int64
	// base is what the object is a difference to, as an index among the entries; itself for an object that is sent whole.
	base int32
	// kind is that of the object, also for a difference; InvalidObject where it is not known yet.
	kind plumbing.ObjectType
}

// pack is a pack in a file, with an index of what is in it. Content of files is never held while it is read, and
// differences between files are not resolved before a file is asked for: memory depends on how many objects there are and
// not on how large they are.
type pack struct {
	file *os.File
	disk *disk
	size int64

	mu      sync.Mutex
	scanner *packfile.Scanner
	entries []entry // by offset
	byHash  []int32 // entries with a hash, by hash
	recent  *cache.BufferLRU
	// byRef are differences to objects that are named by their hash, until they are resolved.
	byRef map[int32]plumbing.Hash
	// resolved is true when files that are sent as differences have hashes, too, and skipped if some were too large.
	resolved, skipped bool
	// work is how many bytes of budget may still be inflated for differences and made of them: a small pack can ask for a
	// great many.
	work, budget int64
}

// disk is the file of a pack. It remembers what was wrong with it, which is no fault of the server.
type disk struct {
	file *os.File
	err  error
}

// note keeps an error without the name of the file, which is another one each time.
func (d *disk) note(err error) {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		err = path.Err
	}
	if err != nil && !errors.Is(err, io.EOF) {
		d.err = err
	}
}

// Read implements io.Reader.
func (d *disk) Read(p []byte) (int, error) {
	n, err := d.file.Read(p)
	d.note(err)
	return n, err
}

// Write implements io.Writer.
func (d *disk) Write(p []byte) (int, error) {
	n, err := d.file.Write(p)
	d.note(err)
	return n, err
}

// Seek implements io.Seeker.
func (d *disk) Seek(offset int64, whence int) (int64, error) {
	at, err := d.file.Seek(offset, whence)
	d.note(err)
	return at, err
}

// bounded passes on at most a number of bytes, and remembers why it stopped: readers of packs drop causes.
type bounded struct {
	ctx  context.Context //nolint:containedctx // reading is one call, whose context ends it
	from io.Reader
	left int64
	err  error
	over error
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.err = b.ctx.Err(); b.err != nil {
		return 0, b.err
	}
	n, err := b.from.Read(p[:min(int64(len(p)), b.left+1)])
	if b.left -= int64(n); b.left < 0 {
		b.err = b.over
		return 0, b.err
	}
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

// readPack writes a pack to a file while it comes in, and makes an index of it. The file belongs to the pack.
func readPack(ctx context.Context, file *os.File, from io.Reader, limit int64) (*pack, error) {
	in := &bounded{ctx: ctx, from: from, left: limit, over: &TooLargeError{What: "the repository", Limit: limit}}
	p := &pack{file: file, disk: &disk{file: file}, recent: cache.NewBufferLRU(recentBytes), byRef: make(map[int32]plumbing.Hash)}
	p.budget = 4 * max(limit, 256<<20)
	p.work = p.budget
	out := bufio.NewWriterSize(p.disk, 64<<10)
	err := p.scan(packfile.NewScanner(io.TeeReader(in, out)), limit)
	if in.err == nil && err == nil {
		err = out.Flush()
	}
	p.size = limit - in.left
	switch {
	case in.err != nil:
		return nil, in.err
	case p.disk.err != nil:
		return nil, fmt.Errorf("write the fetched pack: %w", p.disk.err)
	case errors.Is(err, io.EOF):
		return nil, io.ErrUnexpectedEOF
	case err != nil:
		return nil, err
	}
	p.scanner = packfile.NewScanner(p.disk)
	p.index()
	if err := p.resolve(ctx, false); err != nil {
		return nil, err
	}
	return p, nil
}

// scan reads all objects once. Hashes of those that are sent whole are made on the way.
func (p *pack) scan(s *packfile.Scanner, limit int64) error {
	_, count, err := s.Header()
	if err != nil {
		return notPack(err)
	}
	if count > maxObjects {
		return &TooLargeError{What: "the objects of the repository", Limit: maxObjects}
	}
	// The number is what the server says: memory is taken as objects come.
	p.entries = make([]entry, 0, min(count, 4096))
	hasher := plumbing.Hasher{}
	inflated := int64(0)
	for range count {
		header, err := s.NextObjectHeader()
		if err != nil {
			return notPack(err)
		}
		if header.Length > limit*maxInflation-inflated {
			return &TooLargeError{What: "the inflated repository", Limit: limit * maxInflation}
		}
		inflated += header.Length
		e, err := p.describe(header)
		if err != nil {
			return err
		}
		sink := io.Discard
		whole := int(e.base) == len(p.entries)
		if whole {
			hasher = plumbing.NewHasher(header.Type, header.Length)
			sink = hasher
		}
		n, _, err := s.NextObject(sink)
		if err != nil {
			return notPack(err)
		}
		if n != header.Length {
			return fmt.Errorf("%w: an object of the pack is shorter than it says", ErrProtocol)
		}
		if whole {
			e.hash = hasher.Sum()
		}
		p.entries = append(p.entries, e)
	}
	if _, err = s.Checksum(); err != nil {
		return notPack(err)
	}
	return nil
}

// notPack marks what the reader of packs finds wrong.
func notPack(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, packfile.ErrEmptyPackfile) {
		return io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w: the pack cannot be read: %w", ErrProtocol, err)
}

// describe makes the entry of the next object.
func (p *pack) describe(h *packfile.ObjectHeader) (entry, error) {
	self := int32(len(p.entries)) //nolint:gosec // at most maxObjects
	e := entry{offset: h.Offset, base: self, kind: h.Type}
	switch h.Type {
	case plumbing.OFSDeltaObject:
		at, ok := slices.BinarySearchFunc(p.entries, h.OffsetReference, func(e entry, offset int64) int { return cmp.Compare(e.offset, offset) })
		if !ok {
			return e, fmt.Errorf("%w: an object of the pack is a difference to none", ErrProtocol)
		}
		e.base, e.kind = int32(at), p.entries[at].kind //nolint:gosec // at most maxObjects
	case plumbing.REFDeltaObject:
		p.byRef[self] = h.Reference
		e.base, e.kind = -1, plumbing.InvalidObject
	case plumbing.CommitObject, plumbing.TreeObject, plumbing.BlobObject, plumbing.TagObject:
	default:
		return e, fmt.Errorf("%w: an object of the pack is of no known kind", ErrProtocol)
	}
	return e, nil
}
