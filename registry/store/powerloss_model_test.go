package store_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

// This file is a model of what a file system may have on the disk when the power is cut. It knows two rules: the bytes of a file
// are there when the file was synced, and a name in a directory is as it is when the directory was synced. Everything else may be
// there or not, each file and each name by itself: file systems write back in the order that they like, and a rename from one directory into
// another may be there in one of them only.

// recorder is a disk that notes everything that is done to it, in order.
type recorder struct {
	store.Disk

	base string
	// lazy are the kinds of sync that it does not do although it says so: "dir", "file" or "commit".
	lazy map[string]bool

	mu     sync.Mutex
	events []event
	// dies tells whether the process is killed before an operation; dead that it was.
	dies func(what, path string) bool
	dead bool
}

// event is one step of the recording: it changes the model of the disk, or what is expected of the store.
type event struct {
	what string
	disk func(m *model)
	want func(w *wanted)
	// less is that only less is expected, which needs no look.
	less bool
}

var errKilled = errors.New("process is killed")

// do runs an operation, and notes it if it succeeds. It is one step: no other operation comes between.
func (r *recorder) do(what, path string, run func() error, effect func(m *model)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.alive(what, path); err != nil {
		return err
	}
	if err := run(); err != nil {
		return err
	}
	r.events = append(r.events, event{what: what + " " + r.rel(path), disk: effect})
	return nil
}

func nothing() error { return nil }

func (r *recorder) alive(what, path string) error {
	if r.dead = r.dead || r.dies != nil && r.dies(what, path); r.dead {
		return errKilled
	}
	return nil
}

// expect says what is expected from now on.
func (r *recorder) expect(what string, want func(w *wanted)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, event{what: what, want: want})
}

// doubt says what is not expected any more.
func (r *recorder) doubt(what string, want func(w *wanted)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, event{what: what, want: want, less: true})
}

func (r *recorder) rel(path string) string {
	rel, err := filepath.Rel(r.base, path)
	if err != nil {
		panic(err)
	}
	return rel
}

func (r *recorder) CreateTemp(dir, pattern string) (store.DiskFile, error) {
	var f store.DiskFile
	n := &node{}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.alive("create", filepath.Join(dir, pattern)); err != nil {
		return nil, err
	}
	f, err := r.Disk.CreateTemp(dir, pattern)
	if err != nil {
		return nil, err
	}
	path := r.rel(f.Name())
	r.events = append(r.events, event{what: "create " + path, disk: func(m *model) { *n = node{}; m.set(path, n) }})
	return &recordedFile{DiskFile: f, on: r, node: n}, nil
}

func (r *recorder) Mkdir(path string) error {
	rel := r.rel(path)
	return r.do("mkdir", path, func() error { return r.Disk.Mkdir(path) }, func(m *model) { m.set(rel, newDir()) })
}

func (r *recorder) Rename(from, to string) error {
	old, name := r.rel(from), r.rel(to)
	return r.do("rename", to, func() error { return r.Disk.Rename(from, to) }, func(m *model) {
		n := m.get(old)
		m.set(old, nil)
		m.set(name, n)
	})
}

func (r *recorder) Link(from, to string) error {
	old, name := r.rel(from), r.rel(to)
	return r.do("link", to, func() error { return r.Disk.Link(from, to) }, func(m *model) { m.set(name, m.get(old)) })
}

func (r *recorder) Remove(path string) error {
	rel := r.rel(path)
	return r.do("remove", path, func() error { return r.Disk.Remove(path) }, func(m *model) { m.set(rel, nil) })
}

func (r *recorder) RemoveAll(path string) error {
	rel := r.rel(path)
	return r.do("remove all", path, func() error { return r.Disk.RemoveAll(path) }, func(m *model) { m.removeAll(rel) })
}

func (r *recorder) SyncFile(path string) error {
	rel := r.rel(path)
	return r.do("sync", path, nothing, func(m *model) {
		if n := m.get(rel); !r.lazy["file"] {
			n.synced = n.data
		}
	})
}

// SyncDir only notes it: the machine that runs the test keeps its power.
func (r *recorder) SyncDir(path string) error {
	rel := r.rel(path)
	return r.do("sync directory", path, nothing, func(m *model) {
		if !r.lazy["dir"] {
			m.get(rel).sync()
		}
	})
}

// Commit notes the file before and after a transaction. Others go on meanwhile.
func (r *recorder) Commit(path string, write func() error) error {
	before, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	c, rel := &commit{before: before}, r.rel(path)
	err = r.do("begin commit", path, nothing, func(m *model) { m.get(rel).commit = c })
	if err != nil {
		return err
	}
	failed := write()
	if c.after, err = os.ReadFile(path); err != nil {
		return errors.Join(failed, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, event{what: "end commit " + rel, disk: func(m *model) {
		n := m.get(rel)
		n.data = c.after
		if !r.lazy["commit"] {
			n.commit, n.synced = nil, c.after
		}
	}})
	return failed
}

type recordedFile struct {
	store.DiskFile

	on   *recorder
	node *node
}

func (f *recordedFile) Write(p []byte) (n int, err error) {
	data := bytes.Clone(p)
	err = f.on.do("write", f.Name(), func() (err error) {
		n, err = f.DiskFile.Write(p)
		return err
	}, func(*model) { f.node.data = append(bytes.Clone(f.node.data), data...) })
	return n, err
}

func (f *recordedFile) Sync() error {
	return f.on.do("sync", f.Name(), nothing, func(*model) {
		if !f.on.lazy["file"] {
			f.node.synced = f.node.data
		}
	})
}

var _ io.ReadWriteSeeker = (*recordedFile)(nil)

// commit is a transaction of the index that may not be on the disk yet.
type commit struct{ before, after []byte }

// node is a file or a directory.
type node struct {
	// names are what each name of a directory has been since the directory was synced; the first is on the disk.
	names map[string][]*node
	// data is what a file has, and synced what of that is on the disk.
	data, synced []byte
	commit       *commit
}

func newDir() *node { return &node{names: map[string][]*node{}} }

func (n *node) current(name string) *node {
	if history := n.names[name]; len(history) > 0 {
		return history[len(history)-1]
	}
	return nil
}

func (n *node) set(name string, child *node) {
	if n.names[name] == nil {
		n.names[name] = []*node{nil}
	}
	n.names[name] = append(n.names[name], child)
}

func (n *node) sync() {
	for name := range n.names {
		n.names[name] = []*node{n.current(name)}
	}
}

// model is a file system, from a directory on that was there before.
type model struct{ root *node }

func (m *model) get(path string) *node {
	n := m.root
	if path == "." {
		return n
	}
	for part := range strings.SplitSeq(path, "/") {
		if n = n.current(part); n == nil {
			return nil
		}
	}
	return n
}

func (m *model) set(path string, n *node) { m.get(filepath.Dir(path)).set(filepath.Base(path), n) }

func (m *model) removeAll(path string) {
	n := m.get(path)
	if n == nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(n.names)) {
		if n.current(name) != nil {
			m.removeAll(filepath.Join(path, name))
		}
	}
	m.set(path, nil)
}

// outcome decides what is on the disk of all that may be there or not.
type outcome struct {
	name string
	// entry chooses what a name is.
	entry func(history []*node) *node
	// content chooses the bytes of a file that are not synced.
	content func(n *node) []byte
	// database chooses the bytes of the index during a transaction.
	database func(c *commit) []byte
}

func newest(history []*node) *node { return history[len(history)-1] }
func synced(history []*node) *node { return history[0] }

func outcomes(rng *rand.Rand) []outcome {
	whichever := func(history []*node) *node { return history[rng.IntN(len(history))] }
	return []outcome{
		{"nothing", synced, func(n *node) []byte { return n.synced }, func(c *commit) []byte { return c.before }},
		{"everything", newest, func(n *node) []byte { return n.data }, func(c *commit) []byte { return c.after }},
		{"names without data", newest, func(n *node) []byte { return n.synced }, func(c *commit) []byte { return c.tear(all, oldMeta) }},
		{"names with zeros", newest, func(n *node) []byte { return make([]byte, len(n.data)) }, func(c *commit) []byte { return c.tear(all, tornMeta) }},
		{"names with torn data", newest, func(n *node) []byte { return torn(n.data) }, func(c *commit) []byte { return c.tear(half(rng), oldMeta) }},
		{"data without names", synced, func(n *node) []byte { return n.data }, func(c *commit) []byte { return c.tear(all, newMeta) }},
		{"anything", whichever, func(n *node) []byte { return [][]byte{n.synced, n.data, torn(n.data)}[rng.IntN(3)] }, func(c *commit) []byte { return c.tear(half(rng), oldMeta) }},
		{"anything else", whichever, func(n *node) []byte { return [][]byte{n.synced, n.data, torn(n.data)}[rng.IntN(3)] }, func(c *commit) []byte { return c.tear(none, oldMeta) }},
	}
}

func torn(data []byte) []byte {
	return append(bytes.Clone(data[:len(data)/2]), make([]byte, len(data)/4)...)
}

const pageSize = 4096

const (
	oldMeta = iota
	newMeta
	tornMeta
)

func all(int) bool                       { return true }
func none(int) bool                      { return false }
func half(rng *rand.Rand) func(int) bool { return func(int) bool { return rng.IntN(2) == 0 } }

// tear is a database in the middle of a transaction: bbolt makes the file longer and syncs it, writes pages that the state
// before does not use, syncs them, writes one of the two meta pages, and syncs that. So pages may be
// there in any choice while the meta page is old, and are all there when it is new or torn.
func (c *commit) tear(has func(page int) bool, meta int) []byte {
	if len(c.before) == 0 && meta != newMeta {
		return make([]byte, len(c.after))
	}
	state := make([]byte, max(len(c.before), len(c.after)))
	copy(state, c.before)
	for page := 2; page < len(c.after)/pageSize; page++ {
		from, to := page*pageSize, (page+1)*pageSize
		if has(page) {
			copy(state[from:to], c.after[from:to])
		}
	}
	end := map[int]int{oldMeta: 0, newMeta: pageSize, tornMeta: 48}[meta]
	for page := range 2 {
		copy(state[page*pageSize:page*pageSize+end], c.after[page*pageSize:])
	}
	return state
}

// image is what an outcome leaves on the disk: the content of files by their paths; directories end in a slash.
func (m *model) image(o outcome) map[string][]byte {
	files := map[string][]byte{}
	m.root.image(o, "", files)
	return files
}

func (n *node) image(o outcome, path string, files map[string][]byte) {
	if n.names != nil {
		files[path+"/"] = nil
		for _, name := range slices.Sorted(maps.Keys(n.names)) {
			if child := o.entry(n.names[name]); child != nil {
				child.image(o, path+"/"+name, files)
			}
		}
		return
	}
	switch {
	case n.commit != nil:
		files[path] = o.database(n.commit)
	case bytes.Equal(n.data, n.synced):
		files[path] = n.data
	default:
		files[path] = o.content(n)
	}
}

func writeImage(dir string, files map[string][]byte) error {
	for _, path := range slices.Sorted(maps.Keys(files)) {
		var err error
		if target := filepath.Join(dir, path); strings.HasSuffix(path, "/") {
			err = os.MkdirAll(target, 0o700)
		} else {
			err = os.WriteFile(target, files[path], 0o600)
		}
		if err != nil {
			return fmt.Errorf("write image: %w", err)
		}
	}
	return nil
}

// sum is the same for images that are the same. What uploads have left is the same for all: it is removed, whatever it is.
func sum(files map[string][]byte) [sha256.Size]byte {
	h := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if strings.HasPrefix(path, "/registry/uploads/") {
			continue
		}
		fmt.Fprintln(h, path, len(files[path]))
		h.Write(files[path])
	}
	return [sha256.Size]byte(h.Sum(nil))
}
