package store_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"go.etcd.io/bbolt"

	"github.com/ocm-operator/ocm-operator/registry/store"
	"github.com/ocm-operator/ocm-operator/registry/store/storetest"
)

const (
	rotPage = 4096
	// rotSample is how many pages are damaged in each way, unless all are asked for, which takes minutes.
	rotSample    = 8
	rotAll       = "OCM_STORE_ROT_ALL"
	rotSnapshots = 60
)

// rotten is a way in which the bytes of a page change on a disk.
type rotten func(r *rand.Rand, file []byte, page int) []byte

// misleads tells whether a page may lead to itself or to one above it afterwards, and that is not looked for: in pages that change while
// they are used, and in leaves of an index that was closed in order. It ends the process, and is a test of its own.
func misleads(name string, inUse, orderly bool) bool {
	if inUse {
		return strings.Contains(name, "another page") || name == "any bit" || name == "bit of the elements" || name == "bit of the children"
	}
	return orderly && name == "body of another page"
}

func rots() map[string]rotten {
	within := func(file []byte, page int) []byte { return file[page*rotPage : (page+1)*rotPage] }
	flip := func(from, to int) rotten {
		return func(r *rand.Rand, file []byte, page int) []byte {
			within(file, page)[from+r.IntN(to-from)] ^= 1 << r.IntN(8)
			return file
		}
	}
	return map[string]rotten{
		"bit of the header":    flip(0, 16),
		"bit of the elements":  flip(16, 256),
		"bit of the children":  flip(16, 48),
		"any bit":              flip(0, rotPage),
		"any bit of the end":   flip(rotPage/2, rotPage),
		"zeros":                func(_ *rand.Rand, file []byte, page int) []byte { clear(within(file, page)); return file },
		"half zeros":           func(_ *rand.Rand, file []byte, page int) []byte { clear(within(file, page)[rotPage/2:]); return file },
		"cut":                  func(_ *rand.Rand, file []byte, page int) []byte { return file[:page*rotPage] },
		"cut within":           func(_ *rand.Rand, file []byte, page int) []byte { return file[:page*rotPage+512] },
		"garbage":              func(r *rand.Rand, file []byte, page int) []byte { noise(r, within(file, page)); return file },
		"garbage after a head": func(r *rand.Rand, file []byte, page int) []byte { noise(r, within(file, page)[16:]); return file },
		"another page": func(r *rand.Rand, file []byte, page int) []byte {
			copy(within(file, page), within(file, r.IntN(len(file)/rotPage)))
			return file
		},
		"body of another page": func(r *rand.Rand, file []byte, page int) []byte {
			copy(within(file, page)[8:], within(file, r.IntN(len(file)/rotPage))[8:])
			return file
		},
		"leads to another page": func(r *rand.Rand, file []byte, page int) []byte {
			element := within(file, page)[16+16*r.IntN(3):]
			clear(element[8:16])
			element[8] = byte(r.IntN(len(file) / rotPage))
			return file
		},
	}
}

func noise(r *rand.Rand, b []byte) {
	for i := range b {
		b[i] = byte(r.Uint32())
	}
}

// rotIndex makes an index with trees of several pages, of which some are free.
func rotIndex(t testing.TB, free bool) []byte {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(dir, store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	roots, err := storetest.Fill(t.Context(), s, rotSnapshots+20)
	if err != nil {
		t.Fatal(err)
	}
	for _, root := range roots[rotSnapshots:] {
		if err := repository(t, s, root.Repository).DeleteManifest(t.Context(), root.Digest); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "index.db")
	if !free {
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoFreelistSync: true})
		if err == nil {
			err = errors.Join(db.Update(func(*bbolt.Tx) error { return nil }), db.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	index, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return index
}

// TestRot damages each page of an index in many ways, before it is opened and while it is open. Nobody may be told anything that
// was not written, no damage may end the process, and the start after it was found has a store that works.
func TestRot(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("the seed is %d", seed)
	for _, state := range []struct {
		name       string
		free, open bool
	}{{"free pages are written", true, false}, {"free pages are not written", false, false}, {"in use", true, true}} {
		t.Run(state.name, func(t *testing.T) {
			t.Parallel()
			index := rotIndex(t, state.free)
			for name, spoil := range rots() {
				if misleads(name, state.open, state.free) {
					continue
				}
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					r := rand.New(rand.NewPCG(seed, uint64(len(name))))
					found := 0
					pages := r.Perm(len(index) / rotPage)
					if os.Getenv(rotAll) == "" {
						pages = pages[:rotSample]
					}
					for _, page := range pages {
						if state.open && page < 2 {
							continue // without them no transaction begins, and the database holds its locks until the process ends
						}
						if trial := (&rotTrial{index: index, page: page, spoil: spoil, random: r}); trial.run(t, state.open) {
							found++
						}
					}
					t.Logf("%d of %d pages were found damaged", found, len(pages))
				})
			}
		})
	}
}

// rotTrial is one index with one page that is damaged.
type rotTrial struct {
	index  []byte
	page   int
	spoil  rotten
	random *rand.Rand
	said   []string
}

func (c *rotTrial) open(t *testing.T, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(dir, store.Options{NoSync: true, Log: func(message string) { c.said = append(c.said, message) }})
	if err != nil {
		t.Fatalf("page %d: the start fails: %v (%q)", c.page, err, c.said)
	}
	return s
}

// run tells whether the damage was found.
func (c *rotTrial) run(t *testing.T, inUse bool) (found bool) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "index.db")
	var s *store.Store
	if inUse {
		write(t, path, c.index)
		s = c.open(t, dir)
		c.overwrite(t, path)
	} else {
		write(t, path, c.spoil(c.random, bytes.Clone(c.index), c.page))
		s = c.open(t, dir)
	}
	c.use(t, s)
	found = len(c.said) > 0
	for starts := 0; ; starts++ {
		broken := s.Broken()
		if err := s.Close(); err != nil && !errors.Is(err, store.ErrDamaged) {
			t.Fatalf("page %d: %v", c.page, err)
		}
		if !broken {
			return found
		}
		if _, err := os.Stat(path + ".suspect"); err != nil {
			t.Fatalf("page %d: the next start does not know of it: %v", c.page, err)
		}
		if starts == 2 {
			t.Fatalf("page %d: it is found damaged again and again: %q", c.page, c.said)
		}
		s = c.open(t, dir)
		c.use(t, s)
		if _, err := os.Stat(path + ".damaged"); err != nil {
			t.Fatalf("page %d: the damaged index is gone: %v", c.page, err)
		}
	}
}

// use does all that a registry does. Only an index that is found damaged may refuse what is pushed.
func (c *rotTrial) use(t *testing.T, s *store.Store) {
	t.Helper()
	check := func(what string, err error) {
		t.Helper()
		if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrDamaged) {
			t.Errorf("page %d: %s: %v", c.page, what, err)
		}
	}
	for i := range rotSnapshots {
		r, err := s.Repository(storetest.Name(i))
		if err != nil {
			t.Fatal(err)
		}
		desc, body, err := r.Manifest(t.Context(), "v1.0.0")
		check("manifest", err)
		if err == nil && desc.Digest.Algorithm().FromBytes(body) != desc.Digest {
			t.Errorf("page %d: snapshot %d is something else", c.page, i)
		}
		_, _, err = r.Tags(t.Context(), "", 10)
		check("tags", err)
	}
	_, _, err := s.Repositories(t.Context(), "", 1000)
	check("repositories", err)
	_, err = s.Scrub(t.Context(), 0)
	check("scrub", err)
	_, pushed := storetest.Fill(t.Context(), s, 10)
	if pushed == nil {
		for i := range 10 {
			if content, err := read(t, repository(t, s, storetest.Name(i)), digest.FromBytes(storetest.Layer(i))); !s.Broken() && (err != nil || content != string(storetest.Layer(i))) {
				t.Errorf("page %d: pushed again, layer %d is %q, %v (%q)", c.page, i, content, err, c.said)
			}
		}
	} else if !s.Broken() {
		t.Errorf("page %d: nothing is wrong with the index, and it takes nothing: %v", c.page, pushed)
	}
	if s.Broken() != (s.Check(t.Context()) != nil) {
		t.Errorf("page %d: the check says %v", c.page, s.Check(t.Context()))
	}
}

// overwrite changes a page of a file that the store has mapped.
func (c *rotTrial) overwrite(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	size := len(content)
	content = c.spoil(c.random, content, c.page)
	if len(content) < size {
		err = f.Truncate(int64(len(content)))
	} else {
		_, err = f.WriteAt(content[c.page*rotPage:(c.page+1)*rotPage], int64(c.page)*rotPage)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestRotThatEndsTheProcess has a leaf lead to itself, which the database follows until the stack is used up. The next process looks at
// all pages because this one was not ended in order.
func TestRotThatEndsTheProcess(t *testing.T) {
	t.Parallel()
	index, dir := rotIndex(t, true), ""
	use := func() (string, error) {
		c := exec.CommandContext(t.Context(), os.Args[0])
		c.Env = append(os.Environ(), rotDir+"="+dir)
		output, err := c.CombinedOutput()
		return string(output), err
	}
	// Which pages are branches of trees that are in use is not known, so all of them are tried.
	ended := false
	for page := 2; page < len(index)/rotPage && !ended; page++ {
		if binary.NativeEndian.Uint16(index[page*rotPage+8:]) != 1 {
			continue
		}
		leaf := int(index[page*rotPage+16+16+8])
		spoilt := bytes.Clone(index)
		copy(spoilt[leaf*rotPage+8:(leaf+1)*rotPage], index[page*rotPage+8:(page+1)*rotPage])
		dir = t.TempDir()
		write(t, filepath.Join(dir, "index.db"), spoilt)
		output, err := use()
		ended = err != nil && strings.Contains(output, "stack overflow")
	}
	if !ended {
		t.Fatal("no leaf that leads to itself has ended a process")
	}
	if output, err := use(); err != nil || !strings.Contains(output, "begins anew") {
		t.Fatalf("the second process has ended with %v: %.2000s", err, output)
	}
	if output, err := use(); err != nil || strings.Contains(output, "begins anew") {
		t.Fatalf("the third process has ended with %v: %.2000s", err, output)
	}
}

const rotDir = "OCM_STORE_ROT_DIR"

// useRotten reads and writes all of a store in a process of its own, which may not live.
func useRotten(dir string) {
	debug.SetMaxStack(1 << 20)
	s, err := store.Open(dir, store.Options{NoSync: true, Log: func(message string) { fmt.Println(message) }})
	for i := 0; i < rotSnapshots && err == nil; i++ {
		var r *store.Repository
		if r, err = s.Repository(storetest.Name(i)); err == nil {
			if _, _, err = r.Manifest(context.Background(), "v1.0.0"); errors.Is(err, store.ErrNotFound) {
				err = nil
			}
		}
	}
	if err == nil {
		if _, err = storetest.Fill(context.Background(), s, rotSnapshots); err == nil {
			err = s.Close()
		}
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}
