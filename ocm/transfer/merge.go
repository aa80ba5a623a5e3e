package transfer

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// merge returns a descriptor with what another one of the same content has besides:
// signatures, labels and repository contexts. What both have is that of the first
// one. Merging the result again changes nothing.
func merge(from, there *descriptor.Descriptor, at oci.Location) (*descriptor.Descriptor, error) {
	out := *from
	c := &out.Component
	out.Signatures = keep(union(from.Signatures, there.Signatures, func(s *descriptor.Signature) string { return s.Name }), there.Signatures)
	if len(out.NestedDigests) == 0 {
		out.NestedDigests = there.NestedDigests
	}
	// Labels of providers are signed in one form, as those of references are.
	c.Labels = labels(c.Labels, there.Component.Labels)
	c.Resources, c.Sources = slices.Clone(c.Resources), slices.Clone(c.Sources)
	mergeElements(c, from, there)
	own := slices.Clip(c.RepositoryContexts)
	if n := len(own); n > 0 && leadsTo(own[n-1], at) {
		own = own[:n-1] // it is the last one again if it is not among the others
	}
	contexts := union(own, there.Component.RepositoryContexts, canonical)
	var err error
	c.RepositoryContexts, err = withContext(contexts, at)
	c.RepositoryContexts = keep(c.RepositoryContexts, there.Component.RepositoryContexts)
	return &out, err
}

// mergeElements merges what there is about resources and sources.
func mergeElements(c *descriptor.Component, from, there *descriptor.Descriptor) {
	type element struct {
		labels []descriptor.Label
		access *descriptor.Access
	}
	known := map[string]element{}
	for i, id := range there.ResourceIdentities() {
		r := &there.Component.Resources[i]
		known["resource "+id.String()] = element{r.Labels, &r.Access}
	}
	for i, id := range there.SourceIdentities() {
		s := &there.Component.Sources[i]
		known["source "+id.String()] = element{s.Labels, &s.Access}
	}
	for i, id := range from.ResourceIdentities() {
		if e, ok := known["resource "+id.String()]; ok {
			r := &c.Resources[i]
			r.Labels, r.Access = labels(r.Labels, e.labels), sameAccess(r.Access, *e.access)
		}
	}
	for i, id := range from.SourceIdentities() {
		if e, ok := known["source "+id.String()]; ok {
			s := &c.Sources[i]
			s.Labels, s.Access = labels(s.Labels, e.labels), sameAccess(s.Access, *e.access)
		}
	}
}

// sameAccess returns the second access if both say the same.
func sameAccess(own, there descriptor.Access) descriptor.Access {
	if own.Type == there.Type && canonical(&own.Raw) == canonical(&there.Raw) {
		return there
	}
	return own
}

// labels adds labels that no signature covers.
func labels(own, there []descriptor.Label) []descriptor.Label {
	unsigned := slices.DeleteFunc(slices.Clone(there), func(l descriptor.Label) bool { return l.Signing })
	merged := union(own, unsigned, func(l *descriptor.Label) string { return l.Name })
	// A signature covers the order of labels, too.
	x, errX := textsOf(signedOf(merged))
	y, errY := textsOf(signedOf(there))
	if errX != nil || errY != nil || !slices.Equal(x, y) {
		return merged
	}
	return keep(merged, there)
}

func signedOf(all []descriptor.Label) []descriptor.Label {
	return slices.DeleteFunc(slices.Clone(all), func(l descriptor.Label) bool { return !l.Signing })
}

// keep returns what there is if that is the same but for its order: two sources
// that differ in it would else take turns in writing it.
func keep[T any](merged, there []T) []T {
	x, errX := textsOf(merged)
	y, errY := textsOf(there)
	if slices.Sort(x); errX == nil && errY == nil && slices.Equal(x, slices.Sorted(slices.Values(y))) {
		return there
	}
	return merged
}

// textsOf returns values as text that is equal for equal values.
func textsOf[T any](all []T) ([]string, error) {
	var out []string
	for i := range all {
		raw, err := json.Marshal(all[i])
		if err != nil {
			return nil, err
		}
		out = append(out, canonical((*json.RawMessage)(&raw)))
	}
	return out, nil
}

// union appends what has another key than all before.
func union[T any](own, more []T, key func(*T) string) []T {
	known := map[string]bool{}
	for i := range own {
		known[key(&own[i])] = true
	}
	out := slices.Clip(own)
	for i := range more {
		if k := key(&more[i]); !known[k] {
			known[k] = true
			out = append(out, more[i])
		}
	}
	return out
}

// canonical returns JSON in a form in which equal values are equal.
func canonical(raw *json.RawMessage) string {
	dec := json.NewDecoder(bytes.NewReader(*raw))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return string(*raw)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return string(*raw)
	}
	return string(text)
}
