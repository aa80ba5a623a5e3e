package remote

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// index makes what finds entries by their hash.
func (p *pack) index() {
	p.byHash = p.byHash[:0]
	for i := range p.entries {
		if !p.entries[i].hash.IsZero() {
			p.byHash = append(p.byHash, int32(i))
		}
	}
	slices.SortFunc(p.byHash, func(a, b int32) int { return bytes.Compare(p.entries[a].hash[:], p.entries[b].hash[:]) })
}

// find returns the entry with a hash.
func (p *pack) find(h plumbing.Hash) (int32, bool) {
	at, ok := slices.BinarySearchFunc(p.byHash, h, func(i int32, h plumbing.Hash) int { return bytes.Compare(p.entries[i].hash[:], h[:]) })
	if !ok {
		return 0, false
	}
	return p.byHash[at], true
}

// resolve gives hashes to what was sent as a difference: trees, commits and tags, and files if they are wanted, too.
func (p *pack) resolve(ctx context.Context, files bool) error {
	for range maxPasses {
		linked := p.link()
		made, err := p.resolveLinked(ctx, files)
		if err != nil {
			return err
		}
		if made {
			p.index()
		}
		if !made && !linked {
			return nil
		}
	}
	return fmt.Errorf("%w: its pack has more than %d differences in a row that are in no order", ErrProtocol, maxPasses)
}

// link finds what differences are to that name an object by its hash.
func (p *pack) link() bool {
	linked := false
	for i, h := range p.byRef {
		if base, ok := p.find(h); ok && base != i {
			p.entries[i].base, p.entries[i].kind = base, p.entries[base].kind
			delete(p.byRef, i)
			linked = true
		}
	}
	if !linked {
		return false
	}
	// Differences to those have a kind now. Their bases come before them.
	for i := range p.entries {
		if e := &p.entries[i]; e.kind == plumbing.InvalidObject && e.base >= 0 {
			e.kind = p.entries[e.base].kind
		}
	}
	return true
}

// resolveLinked gives hashes to those whose bases are known.
func (p *pack) resolveLinked(ctx context.Context, files bool) (made bool, err error) {
	for i := range p.entries {
		e := &p.entries[i]
		if !e.hash.IsZero() || e.kind == plumbing.InvalidObject || e.kind == plumbing.BlobObject && !files {
			continue
		}
		if err := ctx.Err(); err != nil {
			return false, err
		}
		most := int64(maxTree)
		if e.kind == plumbing.BlobObject {
			most = maxDelta
		}
		content, err := p.content(int32(i), most)
		if _, large := errors.AsType[*TooLargeError](err); large && e.kind == plumbing.BlobObject && p.work >= 0 {
			p.skipped = true
			continue
		}
		if err != nil {
			return false, err
		}
		e.hash = plumbing.ComputeHash(e.kind, content)
		made = true
	}
	return made, nil
}

// content returns an object of at most some bytes. Nothing on the way to it is larger.
func (p *pack) content(i int32, most int64) ([]byte, error) {
	if err := p.spend(0); err != nil {
		return nil, err
	}
	var chain []int32
	var content []byte
	for at := i; content == nil; at = p.entries[at].base {
		if at < 0 || len(chain) > maxChain {
			return nil, fmt.Errorf("%w: an object of its pack is a difference to none, or to too many", ErrProtocol)
		}
		if kept, ok := p.recent.Get(int64(at)); ok {
			content = kept
			break
		}
		chain = append(chain, at)
		if p.entries[at].base == at {
			break
		}
	}
	for _, at := range slices.Backward(chain) {
		raw, err := p.inflate(p.entries[at].offset, most)
		if err != nil {
			return nil, err
		}
		if err := p.spend(int64(len(raw))); err != nil {
			return nil, err
		}
		if p.entries[at].base != at {
			if raw, err = p.patch(content, raw, most); err != nil {
				return nil, err
			}
		}
		content = raw
		p.recent.Put(int64(at), content)
	}
	if int64(len(content)) > most {
		return nil, &TooLargeError{What: "an object of the repository", Limit: most}
	}
	return content, nil
}

// spend takes bytes from what may be worked. What is used up stays so.
func (p *pack) spend(n int64) error {
	if p.work -= n; p.work < 0 {
		return &TooLargeError{What: "the bytes that differences between objects of the repository make", Limit: p.budget}
	}
	return nil
}

// inflate reads what is at an offset: an object, or a difference.
func (p *pack) inflate(offset, most int64) ([]byte, error) {
	header, err := p.scanner.SeekObjectHeader(offset)
	if err != nil {
		return nil, p.unreadable(err)
	}
	if header.Length > most {
		return nil, &TooLargeError{What: "an object of the repository", Limit: most}
	}
	var content bytes.Buffer
	content.Grow(int(header.Length))
	n, _, err := p.scanner.NextObject(&content)
	if err != nil {
		return nil, p.unreadable(err)
	}
	if n != header.Length {
		return nil, fmt.Errorf("%w: an object of its pack is shorter than it says", ErrProtocol)
	}
	return content.Bytes(), nil
}

// unreadable tells a file that cannot be read from one that is no pack.
func (p *pack) unreadable(err error) error {
	if p.disk.err != nil {
		return fmt.Errorf("read the fetched pack: %w", p.disk.err)
	}
	return notPack(err)
}

// patch applies a difference. Its first two numbers are the sizes of both sides; a few bytes can ask for terabytes.
func (p *pack) patch(base, delta []byte, most int64) ([]byte, error) {
	_, n := binary.Uvarint(delta)
	if n <= 0 {
		return nil, fmt.Errorf("%w: its pack has a difference without sizes", ErrProtocol)
	}
	size, n := binary.Uvarint(delta[n:])
	if n <= 0 {
		return nil, fmt.Errorf("%w: its pack has a difference without sizes", ErrProtocol)
	}
	if size > uint64(most) { //nolint:gosec // most is one of our constants, or positive
		return nil, &TooLargeError{What: "an object of the repository", Limit: most}
	}
	if err := p.spend(int64(size)); err != nil { //nolint:gosec // smaller than most
		return nil, err
	}
	content, err := packfile.PatchDelta(base, delta)
	if err != nil {
		return nil, notPack(err)
	}
	return content, nil
}

// read returns an object of a kind and at most some bytes.
func (p *pack) read(ctx context.Context, h plumbing.Hash, kind plumbing.ObjectType, most int64) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, ok := p.find(h)
	if !ok && kind == plumbing.BlobObject && !p.resolved {
		if err := p.resolve(ctx, true); err != nil {
			return nil, err
		}
		p.resolved = true
		i, ok = p.find(h)
	}
	if !ok && kind == plumbing.BlobObject && p.skipped {
		return nil, &TooLargeError{What: "a file that is sent as the difference to another", Limit: maxDelta}
	}
	if !ok || p.entries[i].kind != kind {
		return nil, ErrNoSuchObject
	}
	if p.entries[i].base != i {
		// Those on the way to a small file may be larger than it.
		content, err := p.content(i, max(most, maxDelta))
		if err == nil && int64(len(content)) > most {
			return nil, &TooLargeError{What: "a file", Limit: most}
		}
		return slices.Clone(content), err
	}
	return p.inflate(p.entries[i].offset, most)
}

// files returns the hashes of what trees name and what is not a tree: files and links. It looks at
// no more than some, and tells whether there are others.
func (p *pack) files(ctx context.Context, most int) (out []plumbing.Hash, others bool, err error) {
	for i := range p.entries {
		if p.entries[i].kind != plumbing.TreeObject {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		content, err := p.content(int32(i), maxTree)
		if err != nil {
			return nil, false, err
		}
		for len(content) > 0 && !others {
			mode, rest, ok := bytes.Cut(content, []byte(" "))
			_, rest, named := bytes.Cut(rest, []byte{0})
			if !ok || !named || len(rest) < len(plumbing.ZeroHash) {
				return nil, false, fmt.Errorf("%w: a tree of its pack cannot be read", ErrProtocol)
			}
			// Files are 100644 and such, links 120000; a commit of a submodule, 160000, is in another repository.
			if bytes.HasPrefix(mode, []byte("10")) || bytes.HasPrefix(mode, []byte("12")) {
				if others = len(out) == most; others {
					break
				}
				out = append(out, plumbing.Hash(rest[:len(plumbing.ZeroHash)]))
			}
			content = rest[len(plumbing.ZeroHash):]
		}
	}
	slices.SortFunc(out, func(a, b plumbing.Hash) int { return cmp.Compare(string(a[:]), string(b[:])) })
	return slices.Clip(slices.Compact(out)), others, nil
}
