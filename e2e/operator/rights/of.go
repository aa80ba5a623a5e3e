package rights

import (
	"fmt"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
)

// clusterGroups are the groups whose resources are in no namespace.
var clusterGroups = []string{"apiextensions.k8s.io", "authentication.k8s.io", "authorization.k8s.io"}

// Rights are what an operator may do.
type Rights struct {
	all []Right
}

// Of returns the rights that an operator in a namespace needs that is started with some arguments. The root is that of the clone.
func Of(root, namespace string, args []string) (Rights, error) {
	known, err := read(root)
	if err != nil {
		return Rights{}, err
	}
	f := parse(args)
	enabled, err := f.enabled(known.features())
	if err != nil {
		return Rights{}, err
	}
	names := f.options(enabled)
	for _, name := range known.features() {
		if enabled[name] {
			names = append(names, name)
		}
	}
	watched := f["--watch-namespace"]
	var r Rights
	for _, name := range names {
		p, ok := known[name]
		if !ok {
			return Rights{}, fmt.Errorf("no rules for %s in %s: run 'make generate'", name, files)
		}
		r.all = append(r.all, f.rights(watched, p.watched)...)
		r.all = append(r.all, f.rights(namespace, p.own)...)
		if name == "operator" && watched != "" {
			// Events about what is its own: its lease, and the Secrets of the registry.
			r.all = append(r.all, slices.DeleteFunc(f.rights(namespace, p.watched), func(right Right) bool { return right.Namespace == "" })...)
		}
	}
	r.all = sorted(r.all)
	return r, nil
}

// rights returns what rules permit, with the names that the flags have.
func (f flags) rights(namespace string, rules []rbacv1.PolicyRule) []Right {
	var out []Right
	for _, right := range Expand(namespace, rules) {
		named := right.Name != ""
		if right.Name = f.name(right.Name); named && right.Name == "" {
			continue
		}
		if slices.Contains(clusterGroups, right.Group) {
			right.Namespace = ""
		}
		out = append(out, right)
	}
	return out
}

// All returns every right, in a stable order.
func (r Rights) All() []Right { return slices.Clone(r.all) }

// Without returns all rights but one.
func (r Rights) Without(one Right) Rights {
	return Rights{all: slices.DeleteFunc(r.All(), func(right Right) bool { return right == one })}
}

// With returns all rights and one more.
func (r Rights) With(one Right) Rights { return Rights{all: sorted(append(r.All(), one))} }
