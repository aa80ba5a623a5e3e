package verify_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
)

// change is something that is done to a descriptor after it was signed, or
// referred to.
type change struct {
	name string
	// signed tells that a signature or reference covers it.
	signed bool
	// do reports false if the descriptor has nothing to do it to.
	do func(c *descriptor.Component) bool
}

func toResource(do func(*descriptor.Resource)) func(*descriptor.Component) bool {
	return func(c *descriptor.Component) bool {
		if len(c.Resources) == 0 {
			return false
		}
		do(&c.Resources[len(c.Resources)-1])
		return true
	}
}

func toReference(do func(*descriptor.Reference)) func(*descriptor.Component) bool {
	return func(c *descriptor.Component) bool {
		if len(c.References) == 0 {
			return false
		}
		do(&c.References[0])
		return true
	}
}

func always(do func(*descriptor.Component)) func(*descriptor.Component) bool {
	return func(c *descriptor.Component) bool { do(c); return true }
}

var (
	openLabel   = descriptor.Label{Name: "open", Value: json.RawMessage(`"x"`)}
	signedLabel = descriptor.Label{Name: "signed", Value: json.RawMessage(`"x"`), Signing: true}
)

var changes = []change{
	{"nothing", false, always(func(*descriptor.Component) {})},
	{"context", false, always(func(c *descriptor.Component) {
		c.RepositoryContexts = append(c.RepositoryContexts, json.RawMessage(`{"type":"OCIRegistry","baseUrl":"x"}`))
	})},
	{"open label", false, always(func(c *descriptor.Component) { c.Labels = append(c.Labels, openLabel) })},
	{"open label of a resource", false, toResource(func(r *descriptor.Resource) { r.Labels = append(r.Labels, openLabel) })},
	{"signed label", true, always(func(c *descriptor.Component) { c.Labels = append(c.Labels, signedLabel) })},
	{"provider", true, always(func(c *descriptor.Component) { c.Provider.Name += "x" })},
	{"time", true, always(func(c *descriptor.Component) { c.CreationTime = "2026-01-01T00:00:00Z" })},
	{"one more", true, always(func(c *descriptor.Component) { c.Resources = append(c.Resources, resource("more")) })},
	{"one less", true, func(c *descriptor.Component) bool {
		if len(c.Resources) == 0 {
			return false
		}
		c.Resources = c.Resources[1:]
		return true
	}},
	{"name", true, toResource(func(r *descriptor.Resource) { r.Name += "x" })},
	{"version", true, toResource(func(r *descriptor.Resource) { r.Version = "9.9.9" })},
	{"kind", true, toResource(func(r *descriptor.Resource) { r.Type += "x" })},
	{"digest", true, toResource(func(r *descriptor.Resource) { r.Digest = resource("other").Digest })},
	{"exclusion", true, toResource(func(r *descriptor.Resource) { r.Digest = excluded })},
	{"no access", true, toResource(func(r *descriptor.Resource) { r.Access, r.Digest = accessOf("none"), nil })},
	{"reference elsewhere", true, toReference(func(r *descriptor.Reference) { r.ComponentName += "x" })},
	{"reference to another", true, toReference(func(r *descriptor.Reference) { r.Digest = resource("other").Digest })},
	{"label of a reference", true, toReference(func(r *descriptor.Reference) { r.Labels = append(r.Labels, openLabel) })},
	{"no reference", true, func(c *descriptor.Component) bool {
		had := len(c.References) > 0
		c.References = nil
		return had
	}},
}

// randomTree returns the component versions of a tree, the root last. Each refers
// to some of those before it.
func randomTree(r *rand.Rand) []*descriptor.Descriptor {
	var all []*descriptor.Descriptor
	for i := range 1 + r.IntN(6) {
		var elements []any
		for n := range r.IntN(4) {
			elements = append(elements, resource(fmt.Sprintf("r%d-%d", i, n)))
		}
		for _, to := range all {
			if r.IntN(2) == 0 || to == all[len(all)-1] {
				elements = append(elements, reference(to))
			}
		}
		all = append(all, component(fmt.Sprintf("c%d", i), elements...))
	}
	return all
}

// FuzzTree changes one thing about one component version of a tree, and expects
// that it is refused if and only if the signature of the root covers that.
func FuzzTree(f *testing.F) {
	for i := range changes {
		f.Add(uint64(i), byte(i), byte(i))
		f.Add(uint64(i+100), byte(0), byte(i))
	}
	f.Fuzz(func(t *testing.T, seed uint64, which, how byte) {
		all := randomTree(rand.New(rand.NewPCG(seed, 0)))
		root := sign(t, all[len(all)-1])
		all[len(all)-1] = root
		change := changes[int(how)%len(changes)]
		changed := *all[int(which)%len(all)]
		changed.Component.Resources = slices.Clone(changed.Component.Resources)
		changed.Component.References = slices.Clone(changed.Component.References)
		if !change.do(&changed.Component) {
			return
		}
		all[int(which)%len(all)] = &changed
		proof, err := newWorld(all...).verify(t, all[len(all)-1], verify.Options{})
		if errors.Is(err, verify.ErrRefused) != change.signed || err == nil && len(proof.Versions) != len(all) {
			t.Errorf("%s of %s: Verify = %+v, %v; is it signed: %t", change.name, nameOf(&changed), proof, err, change.signed)
		}
	})
}
