// Package rights tells which rights in a cluster an operator needs that is started with some flags: those that the chart grants
// when its values lead to these flags, neither more nor less. It reads the same files as the chart. The end-to-end tests run the
// operator with nothing else, so whatever is missing there fails one of them.
package rights

import (
	"cmp"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
)

// Right is the permission to do one thing.
type Right struct {
	// Namespace is where it holds; empty is everywhere, and what is in no namespace.
	Namespace string
	// Group, Resource and Name are what it is about; a resource may have a subresource, as in "resources/status". Without a name,
	// it is about all of them.
	Group, Resource, Name string
	// Verb is what may be done.
	Verb string
}

// String returns the right as people say it.
func (r Right) String() string {
	text := r.Verb + " " + r.Resource
	if r.Group != "" {
		text += "." + r.Group
	}
	if r.Name != "" {
		text += " " + r.Name
	}
	if r.Namespace != "" {
		text += " in namespace " + r.Namespace
	}
	return text
}

func compare(a, b Right) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Resource, b.Resource),
		cmp.Compare(a.Name, b.Name), cmp.Compare(a.Verb, b.Verb))
}

// sorted returns rights in their order, each once.
func sorted(all []Right) []Right {
	slices.SortFunc(all, compare)
	return slices.Compact(all)
}

// Expand returns what rules permit in a namespace, or everywhere if that is empty.
func Expand(namespace string, rules []rbacv1.PolicyRule) []Right {
	var all []Right
	for _, rule := range rules {
		names := rule.ResourceNames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, name := range names {
					for _, verb := range rule.Verbs {
						all = append(all, Right{Namespace: namespace, Group: group, Resource: resource, Name: name, Verb: verb})
					}
				}
			}
		}
	}
	return sorted(all)
}

// rulesOf returns rules that permit some rights.
func rulesOf(all []Right) []rbacv1.PolicyRule {
	var rules []rbacv1.PolicyRule
	last := Right{}
	for _, right := range all {
		verb := right.Verb
		right.Verb = ""
		if len(rules) > 0 && right == last {
			rules[len(rules)-1].Verbs = append(rules[len(rules)-1].Verbs, verb)
			continue
		}
		last = right
		rule := rbacv1.PolicyRule{APIGroups: []string{right.Group}, Resources: []string{right.Resource}, Verbs: []string{verb}}
		if right.Name != "" {
			rule.ResourceNames = []string{right.Name}
		}
		rules = append(rules, rule)
	}
	return rules
}
