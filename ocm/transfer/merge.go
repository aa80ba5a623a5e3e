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
	out.Signatures = union(from.Signatures, there.Signatures, func(s *descriptor.Signature) string { return s.Name })
	if len(out.NestedDigests) == 0 {
		out.NestedDigests = there.NestedDigests
	}
	// Labels of providers are signed in one form, as those of references are.
	c.Labels = labels(c.Labels, there.Component.Labels)
	c.Resources, c.Sources = slices.Clone(c.Resources), slices.Clone(c.Sources)
	known := map[string]*descriptor.Element{}
	for i, id := range there.ResourceIdentities() {
		known["resource "+id.String()] = &there.Component.Resources[i].Element
	}
	for i, id := range there.SourceIdentities() {
		known["source "+id.String()] = &there.Component.Sources[i].Element
	}
	for i, id := range from.ResourceIdentities() {
		if e := known["resource "+id.String()]; e != nil {
			c.Resources[i].Labels = labels(c.Resources[i].Labels, e.Labels)
		}
	}
	for i, id := range from.SourceIdentities() {
		if e := known["source "+id.String()]; e != nil {
			c.Sources[i].Labels = labels(c.Sources[i].Labels, e.Labels)
		}
	}
	own := slices.Clip(c.RepositoryContexts)
	if n := len(own); n > 0 && leadsTo(own[n-1], at) {
		own = own[:n-1] // it is the last one again if it is not among the others
	}
	contexts := union(own, there.Component.RepositoryContexts, canonical)
	var err error
	c.RepositoryContexts, err = withContext(contexts, at)
	return &out, err
}

// labels adds labels that no signature covers.
func labels(own, more []descriptor.Label) []descriptor.Label {
	more = slices.DeleteFunc(slices.Clone(more), func(l descriptor.Label) bool { return l.Signing })
	return union(own, more, func(l *descriptor.Label) string { return l.Name })
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
