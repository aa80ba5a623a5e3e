package normalize

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
)

// Kind of the documents of schema ocm.software/v3alpha1.
const kind = "ComponentVersion"

// document writes what is signed of a descriptor. Signatures, nested digests
// and repository contexts never are.
func (w *writer) document(d *descriptor.Descriptor) {
	c := &d.Component
	if w.entries && d.Schema == descriptor.SchemaV3Alpha1 {
		w.version3(c)
		return
	}
	o := w.object()
	o.key("component")
	w.component(c)
	if w.entries {
		o.key("meta")
		meta := w.object()
		meta.text("schemaVersion", string(descriptor.SchemaV2))
		meta.end()
	}
	o.end()
}

func (w *writer) component(c *descriptor.Component) {
	o := w.object()
	o.key("componentReferences")
	// Labels of references are signed whether they say so or not: the rule that
	// was to filter them is about a field with another name. The oldest form has
	// it right.
	w.references(c.References, w.entries, w.entries)
	o.creationTime(c.CreationTime)
	o.signedLabels(c.Labels)
	o.text("name", c.Name)
	o.provider(&c.Provider)
	o.key("resources")
	w.resources(c.Resources, w.entries)
	if !w.entries {
		o.key("sources")
		w.sources(c.Sources)
	}
	o.text("version", c.Version)
	o.end()
}

// version3 writes a descriptor of schema v3alpha1 in the oldest form. Other than
// everywhere else, lists that are empty are left out.
func (w *writer) version3(c *descriptor.Component) {
	o := w.object()
	o.text("apiVersion", string(descriptor.SchemaV3Alpha1))
	o.text("kind", kind)
	o.key("metadata")
	meta := w.object()
	meta.creationTime(c.CreationTime)
	meta.signedLabels(c.Labels)
	meta.text("name", c.Name)
	meta.key("provider")
	provider := w.object()
	// As with the labels of references in newer forms, the filter is misplaced.
	provider.allLabels(c.Provider.Labels)
	provider.text("name", c.Provider.Name)
	provider.end()
	meta.text("version", c.Version)
	meta.end()
	o.key("spec")
	spec := w.object()
	if len(c.References) > 0 {
		spec.key("references")
		w.references(c.References, true, false)
	}
	if len(c.Resources) > 0 {
		spec.key("resources")
		w.resources(c.Resources, false)
	}
	if len(c.Sources) > 0 {
		spec.key("sources")
		w.sources(c.Sources)
	}
	spec.end()
	o.end()
}

// references writes references with all labels, or with those that are to be
// signed.
func (w *writer) references(all []descriptor.Reference, filtered, explicit bool) {
	w.elements(len(all), func(i int) *descriptor.Element { return &all[i].Element }, func(i int) {
		r := &all[i]
		o := w.object()
		o.text("componentName", r.ComponentName)
		o.digest(r.Digest)
		o.identity(r.ExtraIdentity, explicit)
		if filtered {
			o.signedLabels(r.Labels)
		} else {
			o.allLabels(r.Labels)
		}
		o.text("name", r.Name)
		o.text("version", r.Version)
		o.end()
	})
}

func (w *writer) resources(all []descriptor.Resource, explicit bool) {
	var identities func(i int) descriptor.Identity
	if w.versioned {
		identities = versioned(all)
	} else {
		identities = func(i int) descriptor.Identity { return all[i].ExtraIdentity }
	}
	w.elements(len(all), func(i int) *descriptor.Element { return &all[i].Element }, func(i int) {
		r := &all[i]
		o := w.object()
		// What has no content has no digest, whatever is written there.
		if r.Access.Type != "none" && r.Access.Type != "None" {
			o.digest(r.Digest)
		}
		o.identity(identities(i), explicit)
		o.signedLabels(r.Labels)
		o.text("name", r.Name)
		o.optional("relation", r.Relation)
		o.text("type", r.Type)
		o.text("version", r.Version)
		o.end()
	})
}

func (w *writer) sources(all []descriptor.Source) {
	w.elements(len(all), func(i int) *descriptor.Element { return &all[i].Element }, func(i int) {
		s := &all[i]
		o := w.object()
		o.identity(s.ExtraIdentity, false)
		o.signedLabels(s.Labels)
		o.text("name", s.Name)
		o.text("type", s.Type)
		o.text("version", s.Version)
		o.end()
	})
}

// provider writes the provider as an object. In the oldest form it is the plain
// name if there are no labels, however it was written.
func (o *object) provider(p *descriptor.Provider) {
	if o.entries && len(p.Labels) == 0 {
		o.text("provider", p.Name)
		return
	}
	o.key("provider")
	provider := o.object()
	provider.signedLabels(p.Labels)
	provider.text("name", p.Name)
	provider.end()
}

// creationTime writes the time as the first reference tool does: in UTC, to the
// nearest second. The second tool leaves it alone.
func (o *object) creationTime(s string) {
	if s == "" || o.verbatim {
		o.optional("creationTime", s)
		return
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		o.fail(fmt.Errorf("creationTime %q is no RFC 3339 time", s))
		return
	}
	t = t.UTC().Round(time.Second)
	if t.Year() < 0 || t.Year() > 9999 {
		o.fail(fmt.Errorf("creationTime %q is in a year that RFC 3339 has no form for", s))
		return
	}
	o.text("creationTime", t.Format(time.RFC3339))
}

func (o *object) digest(d *descriptor.Digest) {
	if d == nil {
		return
	}
	o.key("digest")
	digest := o.object()
	digest.text("hashAlgorithm", d.HashAlgorithm)
	digest.text("normalisationAlgorithm", d.NormalisationAlgorithm)
	digest.text("value", d.Value)
	digest.end()
}

// identity writes the extra identity; where there is none, nothing or explicitly
// null.
func (o *object) identity(id descriptor.Identity, explicit bool) {
	if len(id) == 0 {
		if explicit {
			o.raw("extraIdentity", null)
		}
		return
	}
	o.key("extraIdentity")
	extra := o.object()
	keys := slices.AppendSeq(make([]string, 0, len(id)), maps.Keys(id))
	slices.SortFunc(keys, o.compare)
	for _, k := range keys {
		extra.text(k, id[k])
	}
	extra.end()
}

// signedLabels writes the labels that are to be signed, as far as they are.
func (o *object) signedLabels(all []descriptor.Label) {
	var signed []*descriptor.Label
	for i := range all {
		if all[i].Signing {
			signed = append(signed, &all[i])
		}
	}
	if len(signed) == 0 {
		return
	}
	o.key("labels")
	o.list(len(signed), func(i int) { o.label(signed[i], nil) })
}

// allLabels writes all labels completely.
func (o *object) allLabels(all []descriptor.Label) {
	if len(all) == 0 {
		return
	}
	o.key("labels")
	o.list(len(all), func(i int) { o.label(&all[i], all[i].Merge) })
}

func (w *writer) label(l *descriptor.Label, merge *descriptor.MergeSpec) {
	o := w.object()
	if merge != nil {
		o.key("merge")
		m := w.object()
		m.text("algorithm", merge.Algorithm)
		m.value(l.Name, "config", merge.Config)
		m.end()
	}
	o.text("name", l.Name)
	if l.Signing {
		o.raw("signing", "true")
	}
	o.value(l.Name, "value", l.Value)
	o.optional("version", l.Version)
	o.end()
}
