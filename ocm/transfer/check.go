package transfer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
)

// maxLost bounds how much a drift names.
const maxLost = 20

// Drift says what a repository has lost of a component version, or has in its
// place.
type Drift struct {
	// Moved is what the tag of the component version leads to, if it is neither
	// missing nor what it was.
	Moved digest.Digest
	// Lost is what is missing or other than it was, in words, sorted; at most 20.
	Lost []string
	// More is how much more is lost.
	More int
}

// String lists what is lost.
func (d *Drift) String() string {
	text := strings.Join(d.Lost, ", ")
	if d.More > 0 {
		text += fmt.Sprintf(" and %d more", d.More)
	}
	return text
}

// Check finds out whether a repository still has all of a component version: the
// tag leads to the manifest that is wanted, and everything that this leads to is
// there. It is nil if so. With Options.Memory it sends HEAD requests only, but for
// what it has not seen yet; contents are not read.
func Check(ctx context.Context, target *ocm.Repository, component, version string, want digest.Digest, o Options) (*Drift, error) {
	c := newChecker(target, o)
	if err := c.check(ctx, component, version, want); err != nil {
		return nil, fmt.Errorf("check %s:%s in %s: %w", component, version, target.URL(), err)
	}
	return c.drift(), nil
}

// checker checks a component version and all it refers to.
type checker struct {
	target  *ocm.Repository
	options Options
	places  group[oci.Storage]
	// rule stands for which contents are copied by value.
	rule digest.Digest

	mu    sync.Mutex
	lost  map[string]bool
	moved digest.Digest
	// parts has what all component versions are made of, each part once.
	parts []part
	known map[part]bool
	// root is the component version that is asked for.
	root string
	// names and seen are the component versions, and the ways they are referred to.
	names map[string]bool
	seen  map[string]bool
}

func newChecker(target *ocm.Repository, o Options) *checker {
	rule := fmt.Sprintf("%q %t %q %q", o.Resources, o.Sources, o.OmitResourceTypes, o.OmitAccessTypes)
	return &checker{
		target: target, options: o.withDefaults(target), rule: digest.FromString(rule),
		lost: map[string]bool{}, known: map[part]bool{}, names: map[string]bool{}, seen: map[string]bool{},
	}
}

func (c *checker) drift() *Drift {
	if len(c.lost) == 0 {
		return nil
	}
	d := &Drift{Moved: c.moved}
	for text := range c.lost {
		d.Lost = append(d.Lost, text)
	}
	slices.Sort(d.Lost)
	if d.More = len(d.Lost) - maxLost; d.More > 0 {
		d.Lost = d.Lost[:maxLost]
	}
	d.More = max(d.More, 0)
	return d
}

func (c *checker) lose(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost[fmt.Sprintf(format, args...)] = true
}

// wanted is a component version that must be there.
type wanted struct {
	component, version string
	// manifest is the digest of its manifest, as far as it is known; reference is
	// what who refers to it promises.
	manifest  digest.Digest
	reference *descriptor.Digest
}

func (w wanted) name() string { return w.component + ":" + w.version }

// key tells apart what two that refer to one component version promise.
func (w wanted) key() string {
	if w.reference == nil {
		return w.name()
	}
	return fmt.Sprintf("%s %q", w.name(), *w.reference)
}

func (c *checker) check(ctx context.Context, component, version string, want digest.Digest) error {
	if err := c.walk(ctx, wanted{component: component, version: version, manifest: want}); err != nil {
		return err
	}
	return each(ctx, c.options.Concurrency, len(c.parts), func(ctx context.Context, i int) error {
		return c.checkPart(ctx, c.parts[i])
	})
}

// walk finds all parts of a component version and those it refers to.
func (c *checker) walk(ctx context.Context, root wanted) error {
	c.root = root.name()
	c.names[c.root], c.seen[root.key()] = true, true
	for depth, level := 0, []wanted{root}; len(level) > 0; depth++ {
		if depth > c.options.MaxDepth {
			return fmt.Errorf("references lead to more than %d levels", c.options.MaxDepth)
		}
		found := make([]*inventory, len(level))
		err := each(ctx, c.options.Concurrency, len(level), func(ctx context.Context, i int) (err error) {
			found[i], err = c.inventory(ctx, level[i])
			return err
		})
		if err != nil {
			return err
		}
		var next []wanted
		for _, i := range found {
			if i == nil {
				continue
			}
			if err := c.add(i.parts); err != nil {
				return err
			}
			if !c.options.Flat {
				next = append(next, c.targets(i.references)...)
			}
		}
		if level, err = c.unseen(next); err != nil {
			return err
		}
	}
	return nil
}

// targets returns references with what their manifests have to be, as far as that is
// known.
func (c *checker) targets(all []wanted) []wanted {
	if c.options.Targets == nil {
		return all
	}
	all = slices.Clone(all) // others may know them, too
	for i := range all {
		all[i].manifest, _ = c.options.Targets(all[i].component, all[i].version)
	}
	return all
}

// add adds parts that are not known from another component version.
func (c *checker) add(all []part) error {
	for _, p := range all {
		if c.known[p] {
			continue
		}
		if len(c.parts) >= maxBlobs {
			return fmt.Errorf("it is made of more than %d parts", maxBlobs)
		}
		c.known[p] = true
		c.parts = append(c.parts, p)
	}
	return nil
}

// ways is in how many ways each component version may be referred to, on average.
const ways = 4

// unseen returns what was not looked at before. Whoever refers to a component version
// may promise something else.
func (c *checker) unseen(all []wanted) ([]wanted, error) {
	var out []wanted
	for _, w := range all {
		if !c.seen[w.key()] {
			c.names[w.name()], c.seen[w.key()] = true, true
			out = append(out, w)
		}
	}
	if len(c.names) > c.options.MaxVersions || len(c.seen) > ways*c.options.MaxVersions {
		return nil, fmt.Errorf("references lead to more than %d component versions", c.options.MaxVersions)
	}
	return out, nil
}

// inventory returns what a component version is made of, or nil if that is lost.
func (c *checker) inventory(ctx context.Context, w wanted) (*inventory, error) {
	if _, err := c.target.Storage(w.component); err != nil {
		return nil, err
	}
	found, err := c.target.Resolve(ctx, w.component, w.version)
	name := w.name()
	switch {
	case errors.Is(err, ocm.ErrNotFound):
		c.lose("%s", name)
		return nil, nil //nolint:nilnil // it is noted
	case err != nil:
		return nil, err
	case w.manifest != "" && found != w.manifest:
		c.lose("%s is %s in place of %s", name, found, w.manifest)
		if name == c.root {
			c.moved = found
		}
		return nil, nil //nolint:nilnil // it is noted
	}
	i, err := c.options.Memory.of(ctx, c, w, found)
	if err != nil && verify.IsAnswer(err) {
		c.lose("%s: %v", name, err)
		return nil, nil //nolint:nilnil // it is noted
	}
	return i, err
}

// checkPart asks for a part.
func (c *checker) checkPart(ctx context.Context, p part) error {
	s, err := c.at(p)
	if err != nil {
		return err
	}
	var has bool
	what := "blob " + p.digest.String()
	switch {
	case p.tag != "":
		what = fmt.Sprintf("tag %s for %s", p.tag, p.digest)
		has, err = leads(ctx, s, p)
	case p.manifest:
		what = "manifest " + p.digest.String()
		has, err = s.HasManifest(ctx, p.digest)
	default:
		has, err = s.Has(ctx, p.desc())
	}
	if err == nil && !has {
		c.lose("%s of %s", what, s)
	}
	return err
}

// leads tells whether the tag of a part leads to it.
func leads(ctx context.Context, s oci.Storage, p part) (bool, error) {
	found, err := s.Resolve(ctx, p.tag)
	if errors.Is(err, ocm.ErrNotFound) {
		return false, nil
	}
	return found == p.digest, err
}

// at returns the repository that a part is in.
func (c *checker) at(p part) (oci.Storage, error) {
	return c.places.of(p.path, func() (oci.Storage, error) { return c.target.At(p.path) })
}
