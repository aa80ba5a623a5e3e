package transfer

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

const (
	// maxHave bounds the lines of a list.
	maxHave = 1_000_000
	// maxHaveLine bounds one of them; the longest digest has 135 characters, and the
	// longest name of a repository 255.
	maxHaveLine = 512
)

// Have is a list of blobs that somebody has, and where. A nil one is empty.
type Have struct {
	all map[had]struct{}
}

// had is a blob in a repository below a place, or, without one, wherever it is needed.
type had struct {
	digest     digest.Digest
	repository string
}

// NewHave returns the list of some digests, which are wherever they are needed.
func NewHave(all ...digest.Digest) *Have {
	h := &Have{all: make(map[had]struct{}, len(all))}
	for _, d := range all {
		h.all[had{digest: d}] = struct{}{}
	}
	return h
}

// Has reports whether a digest is in the list without a repository, or with one of
// these.
func (h *Have) Has(d digest.Digest, repositories ...string) bool {
	if h == nil {
		return false
	}
	if _, ok := h.all[had{digest: d}]; ok {
		return true
	}
	return slices.ContainsFunc(repositories, func(r string) bool {
		_, ok := h.all[had{digest: d, repository: r}]
		return ok
	})
}

// Len returns how many lines the list has.
func (h *Have) Len() int {
	if h == nil {
		return 0
	}
	return len(h.all)
}

// Digests returns the digests in the list, sorted, each once.
func (h *Have) Digests() []digest.Digest {
	if h == nil {
		return nil
	}
	all := make([]digest.Digest, 0, len(h.all))
	for line := range h.all {
		all = append(all, line.digest)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// ReadHave reads a list as WriteHave writes it, or of digests alone. Empty lines, and
// what follows a #, are left out.
func ReadHave(r io.Reader) (*Have, error) {
	h := NewHave()
	names := map[string]string{} // most lines name one of a few
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, maxHaveLine), maxHaveLine)
	for n := 1; lines.Scan(); n++ {
		if n > maxHave {
			return nil, fmt.Errorf("list of digests is %w: more than %d lines", ocm.ErrTooLarge, maxHave)
		}
		text, _, _ := bytes.Cut(lines.Bytes(), []byte("#"))
		if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		}
		line, err := parseHad(text)
		if err != nil {
			return nil, fmt.Errorf("list of digests: line %d: %w", n, err)
		}
		if name, known := names[line.repository]; known {
			line.repository = name
		}
		names[line.repository] = line.repository
		h.all[line] = struct{}{}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("list of digests: %w", err)
	}
	return h, nil
}

// parseHad parses a line: a digest, and maybe a repository.
func parseHad(text []byte) (had, error) {
	fields := bytes.Fields(text)
	d, err := digest.Parse(string(fields[0]))
	if err != nil {
		return had{}, fmt.Errorf("%q is no digest such as sha256:<hex>: %w", fields[0], err)
	}
	line := had{digest: d}
	switch len(fields) {
	case 1:
	case 2:
		line.repository = string(fields[1])
		err = oci.CheckPath(line.repository)
	default:
		err = fmt.Errorf("%q is more than a digest and a repository", text)
	}
	return line, err
}

// WriteHave writes a list: a digest and the repository a line, sorted.
func WriteHave(w io.Writer, h *Have) error {
	out := bufio.NewWriter(w)
	if h == nil {
		return nil
	}
	for _, line := range slices.SortedFunc(maps.Keys(h.all), had.compare) {
		text := line.digest.String()
		if line.repository != "" {
			text += " " + line.repository
		}
		if _, err := fmt.Fprintln(out, text); err != nil {
			return err
		}
	}
	return out.Flush()
}

func (h had) compare(other had) int {
	return cmp.Or(cmp.Compare(h.digest, other.digest), cmp.Compare(h.repository, other.repository))
}

// ListHave lists the blobs that a repository has of a component version and what it
// refers to: what a later export for it need not contain. A registry may keep a blob
// in one repository and lack it in another, so the list says where each is; for an
// archive that is where it goes when the archive is imported. The error matches
// ocm.ErrNotFound if the repository does not have the component version.
func ListHave(ctx context.Context, repository *ocm.Repository, component, version string, o Options) (*Have, error) {
	h := NewHave()
	if err := h.list(ctx, newChecker(repository, o), wanted{component: component, version: version}); err != nil {
		return nil, fmt.Errorf("list the blobs of %s:%s in %s: %w", component, version, repository.URL(), err)
	}
	return h, nil
}

func (h *Have) list(ctx context.Context, c *checker, root wanted) error {
	if err := c.walk(ctx, root); err != nil {
		return err
	}
	// What it refers to may be lost: the export has it then.
	if len(c.parts) == 0 {
		return fmt.Errorf("it is %w, or damaged: %s", ocm.ErrNotFound, c.drift())
	}
	var mu sync.Mutex
	return each(ctx, c.options.Concurrency, len(c.parts), func(ctx context.Context, i int) error {
		p := c.parts[i]
		s, err := c.at(p)
		if err != nil || p.manifest {
			return err
		}
		has, err := s.Has(ctx, p.desc())
		if has {
			mu.Lock()
			defer mu.Unlock()
			h.all[had{digest: p.digest, repository: cmp.Or(p.goes, p.path)}] = struct{}{}
		}
		return err
	})
}
