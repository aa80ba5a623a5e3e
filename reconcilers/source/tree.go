package source

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
)

// Node is a component version within the pinned tree of a ComponentVersion.
type Node struct {
	// Component and Version are what the component descriptor calls itself.
	Component, Version string
	// ManifestDigest is the digest that it is pinned to.
	ManifestDigest string
	// ExtraIdentity is that of the reference that leads to it; the root has none.
	ExtraIdentity map[string]string
}

// Walk follows a reference path through the pinned tree of a component version. Each element of the path is the identity
// of a reference: its name, its extra identity, and optionally its version. Exactly one reference has to match.
func Walk(root *v1alpha1.Reference, path []map[string]string) (Node, error) {
	at := root
	node := Node{Component: root.Name, Version: root.Version, ManifestDigest: root.ManifestDigest}
	for i, identity := range path {
		next, err := findReference(at, identity)
		if err != nil {
			return Node{}, fmt.Errorf("element %d of the reference path, in component %s %s: %w", i+1, node.Component, node.Version, err)
		}
		at = next
		node = Node{Component: next.ComponentName, Version: next.Version, ManifestDigest: next.ManifestDigest, ExtraIdentity: next.ExtraIdentity}
	}
	return node, nil
}

func findReference(in *v1alpha1.Reference, identity map[string]string) (*v1alpha1.Reference, error) {
	if identity["name"] == "" {
		return nil, fmt.Errorf("it has no name: write the name of a reference, as in {name: backend}; there are: %s", names(in.References))
	}
	var found *v1alpha1.Reference
	for i := range in.References {
		candidate := &in.References[i]
		if !matches(candidate, identity) {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("more than one reference matches %s: add the extra identity or the version of the one you mean", describe(identity))
		}
		found = candidate
	}
	if found == nil {
		return nil, fmt.Errorf("no reference matches %s; there are: %s", describe(identity), names(in.References))
	}
	return found, nil
}

func matches(ref *v1alpha1.Reference, identity map[string]string) bool {
	for key, want := range identity {
		have, ok := ref.ExtraIdentity[key]
		switch key {
		case "name":
			have, ok = ref.Name, true
		case "version":
			have, ok = ref.Version, true
		}
		if !ok || have != want {
			return false
		}
	}
	return true
}

func describe(identity map[string]string) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(identity)) {
		parts = append(parts, key+"="+identity[key])
	}
	return strings.Join(parts, ",")
}

func names(references []v1alpha1.Reference) string {
	if len(references) == 0 {
		return "none"
	}
	var all []string
	for _, ref := range references {
		all = append(all, ref.Name)
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ", ")
}
