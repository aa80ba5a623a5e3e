package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	packs "github.com/ocm-operator/ocm-operator/git/pack"
)

// maxFiles is how many files a Store knows that the server has; what is beyond is sent again, which does no harm.
const maxFiles = 1_000_000

// maxPacks is how many packs with single files are kept, and the one with the commit.
const maxPacks = 64

// Store has what was fetched of one commit, in files without names, of which nothing is left when the process is killed. It can be
// used by several goroutines.
type Store struct {
	remote *Remote
	commit plumbing.Hash
	// known are the files in the trees of the commit, by hash.
	known []plumbing.Hash
	// more is true if the trees name others, too.
	more bool

	mu sync.Mutex
	// packs are those that were fetched, the one with the commit first.
	packs []*pack
	// bare is true as long as files were left out.
	bare bool
}

// Fetch gets one commit with its trees and, where the server cannot leave them out, its files. The commit is one that a
// branch is at. The store is closed by the caller.
func (r *Remote) Fetch(ctx context.Context, commit plumbing.Hash) (*Store, error) {
	what := fmt.Sprintf("fetch commit %s", commit)
	if commit.IsZero() {
		return nil, r.failed(ctx, what, ErrNoSuchCommit)
	}
	s := &Store{remote: r, commit: commit}
	if err := s.fill(ctx, true); err != nil {
		return nil, errors.Join(r.failed(ctx, what, err), s.Close())
	}
	return s, nil
}

// fill fetches the commit.
func (s *Store) fill(ctx context.Context, bare bool) error {
	p, left, err := s.get(ctx, want{hashes: []plumbing.Hash{s.commit}, shallow: true, bare: bare}, s.remote.options.MaxPackBytes)
	if err != nil {
		return err
	}
	s.packs, s.bare = append(s.packs, p), left
	if _, ok := p.find(s.commit); !ok {
		return fmt.Errorf("%w: its pack does not have the commit", ErrProtocol)
	}
	s.known, s.more, err = p.files(ctx, maxFiles)
	return err
}

// get fetches one pack, and tells whether files were left out of it.
func (s *Store) get(ctx context.Context, w want, limit int64) (_ *pack, bare bool, err error) {
	in, err := s.remote.request(ctx, w)
	if err != nil {
		return nil, false, err
	}
	defer in.close()
	file, err := nameless(s.remote.options.TempDir)
	if err != nil {
		return nil, false, err
	}
	p, err := readPack(ctx, file, in, limit)
	if err != nil {
		return nil, false, errors.Join(in.talk.explain(err), file.Close())
	}
	// With its end read, the connection is used again.
	_, _ = io.Copy(io.Discard, io.LimitReader(in, 64<<10))
	return p, in.bare, nil
}

// nameless makes a file that is gone when it is closed.
func nameless(dir string) (*os.File, error) {
	file, err := os.CreateTemp(dir, "git-remote-")
	if err != nil {
		return nil, fmt.Errorf("create the file for a pack: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("hide the file for a pack: %w", err), file.Close())
	}
	return file, nil
}

// Commit returns the commit. Its methods that look for other objects do not work.
func (s *Store) Commit(ctx context.Context, h plumbing.Hash) (*object.Commit, error) {
	content, err := s.read(ctx, h, plumbing.CommitObject)
	if err != nil {
		return nil, fmt.Errorf("read commit %s: %w", h, err)
	}
	out := &object.Commit{}
	encoded := &plumbing.MemoryObject{}
	encoded.SetType(plumbing.CommitObject)
	// It is a slice of memory that grows.
	_, _ = encoded.Write(content)
	if err := out.Decode(encoded); err != nil {
		return nil, fmt.Errorf("read commit %s: %w", h, err)
	}
	return out, nil
}

// Tree returns the entries of a tree. The names in it are what the server says: nothing is checked.
func (s *Store) Tree(ctx context.Context, h plumbing.Hash) ([]object.TreeEntry, error) {
	content, err := s.read(ctx, h, plumbing.TreeObject)
	if err != nil {
		return nil, fmt.Errorf("read tree %s: %w", h, err)
	}
	entries, err := packs.DecodeTree(content)
	if err != nil {
		return nil, fmt.Errorf("read tree %s: %w", h, err)
	}
	return entries, nil
}

// read returns a commit or a tree, which are in the first pack or nowhere.
func (s *Store) read(ctx context.Context, h plumbing.Hash, kind plumbing.ObjectType) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.packs) == 0 {
		return nil, os.ErrClosed
	}
	return s.packs[0].read(ctx, h, kind, maxTree)
}

// Blob returns the content of a file that has no more bytes than most. It is asked from the server if it was not fetched.
// It returns ErrNoSuchObject, or *TooLargeError.
func (s *Store) Blob(ctx context.Context, h plumbing.Hash, most int64) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	content, err := s.blob(ctx, h, most)
	if errors.Is(err, ErrNoSuchObject) && s.bare {
		if err = s.load(ctx, []plumbing.Hash{h}, most); err == nil {
			content, err = s.blob(ctx, h, most)
		}
	}
	if err != nil {
		return nil, s.remote.failed(ctx, fmt.Sprintf("read file %s", h), err)
	}
	return content, nil
}

// Load asks for several files with one request, so that Blob finds them, where each has about most bytes or less. Without
// it, or when it fails, Blob asks for each.
func (s *Store) Load(ctx context.Context, files []plumbing.Hash, most int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(ctx, files, most); err != nil && !errors.Is(err, ErrNoSuchObject) {
		return s.remote.failed(ctx, fmt.Sprintf("read %d files", len(files)), err)
	}
	return nil
}

// blob looks for a file in what was fetched.
func (s *Store) blob(ctx context.Context, h plumbing.Hash, most int64) ([]byte, error) {
	if len(s.packs) == 0 {
		return nil, os.ErrClosed
	}
	for _, p := range s.packs {
		content, err := p.read(ctx, h, plumbing.BlobObject, most)
		if !errors.Is(err, ErrNoSuchObject) {
			return content, err
		}
	}
	return nil, ErrNoSuchObject
}

// load fetches files, or all of them if the server does not give single ones. Those that are there, and those that are not
// in the trees of the commit, are left out; it returns ErrNoSuchObject if none is left.
func (s *Store) load(ctx context.Context, files []plumbing.Hash, most int64) error {
	files = slices.DeleteFunc(slices.Clone(files), func(h plumbing.Hash) bool { return s.fetched(h) || !s.names(h) })
	if len(files) == 0 || !s.bare {
		return ErrNoSuchObject
	}
	left := max(0, s.remote.options.MaxPackBytes-s.size())
	most = min(most, left)
	// What cannot be compressed grows a little.
	limit := min(left, int64(len(files))*(most+most/8+1<<10)+64<<10)
	p, _, err := s.get(ctx, want{hashes: files}, limit)
	if large, ok := errors.AsType[*TooLargeError](err); ok && limit < left {
		return &TooLargeError{What: "a file", Limit: min(most, large.Limit)}
	}
	if err == nil {
		return s.keep(p)
	}
	if ctx.Err() != nil || !errors.Is(err, ErrNoSuchCommit) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	// Many servers give commits only. What was fetched stays where it is: it is small.
	old := s.packs
	s.packs = nil
	err = s.fill(ctx, false)
	s.packs = append(s.packs, old...)
	return err
}

// fetched reports whether a file is there.
func (s *Store) fetched(h plumbing.Hash) bool {
	return slices.ContainsFunc(s.packs, func(p *pack) bool {
		_, ok := p.find(h)
		return ok
	})
}

// names reports whether the trees of the commit may name a file.
func (s *Store) names(h plumbing.Hash) bool {
	_, ok := slices.BinarySearchFunc(s.known, h, compare)
	return ok || s.more
}

// keep adds a pack with files, in place of the oldest one if there are many: each is an open file.
func (s *Store) keep(p *pack) error {
	s.packs = append(s.packs, p)
	if len(s.packs) <= maxPacks {
		return nil
	}
	old := s.packs[1]
	s.packs = slices.Delete(s.packs, 1, 2)
	return old.file.Close()
}

func compare(a, b plumbing.Hash) int {
	return bytes.Compare(a[:], b[:])
}

// Has reports whether the server has an object for sure: the commit, its trees, and the files in them.
func (s *Store) Has(h plumbing.Hash) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.packs) == 0 {
		return false
	}
	if _, ok := slices.BinarySearchFunc(s.known, h, compare); ok {
		return true
	}
	_, ok := s.packs[0].find(h)
	return ok
}

// Size is the number of bytes that were fetched.
func (s *Store) Size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size()
}

func (s *Store) size() int64 {
	sum := int64(0)
	for _, p := range s.packs {
		sum += p.size
	}
	return sum
}

// Close removes what was fetched.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, p := range s.packs {
		errs = append(errs, p.file.Close())
	}
	s.packs = nil
	return errors.Join(errs...)
}
