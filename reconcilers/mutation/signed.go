package mutation

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

const (
	// imageReference is the part of an access that can be pinned.
	imageReference = "imageReference"
	// maxUnsigned bounds how much a message lists of what a program was not shown.
	maxUnsigned = 10
)

// protect makes the accesses that a program sees worthy of what is known of the content. Nothing signs an access. So in a
// verified component version the image references in them are pinned to what was verified, and one that can't be is not
// shown. Where content is denied that nothing can protect, its access isn't either.
func (v *view) protect(node source.Node, version *ocm.ComponentVersion, component map[string]any) {
	resources := version.Descriptor().Component.Resources
	for i, entry := range entries(component, "resources") {
		resource := &resources[i]
		if err := v.protection.Check(node, resource); err != nil {
			v.hidden = errors.Join(v.hidden, err)
			delete(entry, "access")
			continue
		}
		if !v.proven(resource) {
			continue
		}
		pinned, err := version.PinnedImageReference(resource)
		if pin(entry["access"], pinned) {
			v.hidden = errors.Join(v.hidden, err)
		}
	}
}

// pin puts a pinned image reference in the place of the one that an access or its globalAccess has, and tells whether it has
// one. An empty reference takes it away.
func pin(access any, pinned string) bool {
	fields, ok := access.(map[string]any)
	if !ok {
		return false
	}
	_, found := fields[imageReference]
	switch {
	case found && pinned == "":
		delete(fields, imageReference)
	case found:
		fields[imageReference] = pinned
	}
	return pin(fields["globalAccess"], pinned) || found
}

// strip takes away what no signature covers: who can write to the registry could have changed it after the version was
// signed, and a program would make manifests of it.
func (v *view) strip(node source.Node, component map[string]any, form string) {
	if form == normalize.V1 {
		// The oldest form leaves them out.
		v.omit(fmt.Sprintf("sources of %s:%s", node.Component, node.Version), component, "sources")
	}
	for _, kind := range []string{"resource", "source", "reference"} {
		for _, entry := range entries(component, kind+"s") {
			v.stripLabels(kind, entry)
		}
	}
	for _, entry := range entries(component, "sources") {
		v.omit("access of sources", entry, "access")
	}
	for _, entry := range entries(component, "resources") {
		v.omit("srcRefs of resources", entry, "srcRefs")
		v.stripAccess(entry["access"])
	}
}

// stripLabels leaves the labels that are to be signed. Some forms sign all labels of references; which of them was used is
// not for a program to know.
func (v *view) stripLabels(kind string, element map[string]any) {
	labels, ok := element["labels"].([]any)
	if !ok {
		return
	}
	signed := []any{}
	for _, l := range labels {
		label, _ := l.(map[string]any)
		if label["signing"] != true {
			v.note(fmt.Sprintf("label %q of %s %s:%s, which has no signing: true", label["name"], kind, element["name"], element["version"]))
			continue
		}
		delete(label, "merge")
		signed = append(signed, label)
	}
	element["labels"] = signed
	if len(signed) == 0 {
		delete(element, "labels")
	}
}

// stripAccess leaves the image reference of an access and of its globalAccess.
func (v *view) stripAccess(access any) {
	fields, ok := access.(map[string]any)
	if !ok {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		switch name {
		case imageReference:
		case "globalAccess":
			v.stripAccess(fields[name])
		default:
			v.omit("fields of access other than "+imageReference, fields, name)
		}
	}
}

func (v *view) omit(what string, from map[string]any, field string) {
	if _, ok := from[field]; ok {
		delete(from, field)
		v.note(what)
	}
}

func (v *view) note(what string) {
	switch {
	case slices.Contains(v.unsigned, what):
	case len(v.unsigned) < maxUnsigned:
		v.unsigned = append(v.unsigned, what)
	default:
		v.more++
	}
}

// explain says what a program that fails was not shown.
func (v *view) explain(err error) error {
	if v.hidden != nil {
		err = fmt.Errorf("%w; it was not shown where these resources are: %w", err, v.hidden)
	}
	if len(v.unsigned) == 0 {
		return err
	}
	what := slices.Sorted(slices.Values(v.unsigned))
	if v.more > 0 {
		what = append(what, fmt.Sprintf("and %d more", v.more))
	}
	return fmt.Errorf("%w; it was not shown what no signature covers: %s", err, strings.Join(what, "; "))
}

// entries are the elements of a list of the component, by their index.
func entries(component map[string]any, list string) []map[string]any {
	all, _ := component[list].([]any)
	out := make([]map[string]any, len(all))
	for i := range all {
		out[i], _ = all[i].(map[string]any)
	}
	return out
}

// formOf returns the form in which a component version was signed. Of several signatures, each holds; so the oldest form,
// which covers least, matters only where there is no other.
func formOf(signatures []v1alpha1.VerifiedSignature) string {
	for _, s := range signatures {
		if _, form, ok := strings.Cut(strings.TrimSuffix(s.Digest, "]"), "["); ok && form != normalize.V1 {
			return form
		}
	}
	return normalize.V1
}

// formBelow returns the form in which what a reference leads to was digested.
func formBelow(reference *descriptor.Reference) string {
	if reference.Digest == nil {
		return normalize.V1
	}
	return reference.Digest.NormalisationAlgorithm
}
