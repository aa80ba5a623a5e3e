package descriptor

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Selector picks one element of a list. Empty fields match anything but Name,
// which is required.
type Selector struct {
	// Name is the name of the element.
	Name string
	// Version is the version of the element.
	Version string
	// ExtraIdentity are attributes the element must have; it may have more.
	// The key "version" is compared with the version of the element.
	ExtraIdentity Identity
}

// String returns the selector for messages.
func (s Selector) String() string {
	e := Element{Name: s.Name, Version: s.Version, ExtraIdentity: s.ExtraIdentity}
	if s.Version == "" {
		return strings.Replace(e.String(), ":", "", 1)
	}
	return e.String()
}

// maxCandidates bounds how many elements an error message lists.
const maxCandidates = 10

// NotFoundError says that no element matches a selector.
type NotFoundError struct {
	// Kind is resource or reference.
	Kind string
	// Component is the name and version of the searched component.
	Component string
	// Selector is what was asked for.
	Selector Selector
	// Candidates are the elements there are.
	Candidates []string
}

// Error lists what there is instead.
func (e *NotFoundError) Error() string {
	return fmt.Sprintf("%s has no %s %s; it has: %s", e.Component, e.Kind, e.Selector, list(e.Candidates))
}

// AmbiguousError says that several elements match a selector.
type AmbiguousError struct {
	// Kind is resource or reference.
	Kind string
	// Component is the name and version of the searched component.
	Component string
	// Selector is what was asked for.
	Selector Selector
	// Candidates are the elements that match.
	Candidates []string
}

// Error lists the elements and says how to choose.
func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("%s has several %ss matching %s: %s; add version or extraIdentity to choose one",
		e.Component, e.Kind, e.Selector, list(e.Candidates))
}

func list(all []string) string {
	if len(all) == 0 {
		return "none"
	}
	if len(all) <= maxCandidates {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:maxCandidates], ", "), len(all)-maxCandidates)
}

// FindResource returns the one resource the selector picks, or a
// *NotFoundError or an *AmbiguousError.
func (d *Descriptor) FindResource(s Selector) (*Resource, error) {
	i, err := find(d, "resource", len(d.Component.Resources), func(i int) *Element { return &d.Component.Resources[i].Element }, s)
	if err != nil {
		return nil, err
	}
	return &d.Component.Resources[i], nil
}

// FindReference returns the one reference the selector picks, or a
// *NotFoundError or an *AmbiguousError.
func (d *Descriptor) FindReference(s Selector) (*Reference, error) {
	i, err := find(d, "reference", len(d.Component.References), func(i int) *Element { return &d.Component.References[i].Element }, s)
	if err != nil {
		return nil, err
	}
	return &d.Component.References[i], nil
}

func find(d *Descriptor, kind string, n int, at func(int) *Element, s Selector) (int, error) {
	var hits, exact []int
	for i := range n {
		e := at(i)
		if !s.matches(e) {
			continue
		}
		hits = append(hits, i)
		if s.exact(e) {
			exact = append(exact, i)
		}
	}
	if len(hits) == 1 {
		return hits[0], nil
	}
	// An element whose attributes are a subset of another's could never be
	// picked if its complete identity were not enough.
	if len(exact) == 1 {
		return exact[0], nil
	}
	component := d.Component.Name + ":" + d.Component.Version
	if len(hits) > 1 {
		return 0, &AmbiguousError{Kind: kind, Component: component, Selector: s, Candidates: names(hits, at)}
	}
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return 0, &NotFoundError{Kind: kind, Component: component, Selector: s, Candidates: names(all, at)}
}

func names(indexes []int, at func(int) *Element) []string {
	out := make([]string, 0, len(indexes))
	for _, i := range indexes {
		out = append(out, at(i).String())
	}
	slices.Sort(out)
	return out
}

func (s Selector) matches(e *Element) bool {
	if s.Name != e.Name || (s.Version != "" && s.Version != e.Version) {
		return false
	}
	for k, v := range s.ExtraIdentity {
		have, ok := e.ExtraIdentity[k]
		if k == "version" {
			have, ok = e.Version, true
		}
		if !ok || have != v {
			return false
		}
	}
	return true
}

func (s Selector) exact(e *Element) bool {
	return maps.Equal(withoutVersion(s.ExtraIdentity), withoutVersion(e.ExtraIdentity))
}

func withoutVersion(i Identity) Identity {
	if _, ok := i["version"]; !ok {
		return i
	}
	out := maps.Clone(i)
	delete(out, "version")
	return out
}

// ResourceIdentities returns the complete identities of the resources, in their
// order: name, extra identity, and the version where nothing else tells two
// resources apart.
func (d *Descriptor) ResourceIdentities() []Identity {
	return identities(len(d.Component.Resources), func(i int) *Element { return &d.Component.Resources[i].Element })
}

// SourceIdentities does for sources what ResourceIdentities does for resources.
func (d *Descriptor) SourceIdentities() []Identity {
	return identities(len(d.Component.Sources), func(i int) *Element { return &d.Component.Sources[i].Element })
}

// ReferenceIdentities does for references what ResourceIdentities does for
// resources.
func (d *Descriptor) ReferenceIdentities() []Identity {
	return identities(len(d.Component.References), func(i int) *Element { return &d.Component.References[i].Element })
}

func identities(n int, at func(int) *Element) []Identity {
	out := make([]Identity, n)
	uses := make(map[string]int, n)
	for i := range n {
		out[i] = Identity{"name": at(i).Name}
		maps.Copy(out[i], at(i).ExtraIdentity)
		uses[out[i].String()]++
	}
	for i := range n {
		if uses[out[i].String()] > 1 {
			out[i]["version"] = at(i).Version
		}
	}
	return out
}
