package configure

import (
	"errors"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const (
	maxCost   = 5_000_000 // applications of a schema to a value
	maxVisits = 500_000   // pairs of a schema and a value
)

var errCost = errors.New("it refers to itself, or combines schemas, so often that checking the values would take too long")

// instance is one value, with an identity.
type instance struct{ children []child }

type child struct {
	key   string // empty in lists
	value *instance
}

func newInstance(v any) *instance {
	n := &instance{}
	switch v := v.(type) {
	case map[string]any:
		for key, item := range v {
			n.children = append(n.children, child{key, newInstance(item)})
		}
	case []any:
		for _, item := range v {
			n.children = append(n.children, child{"", newInstance(item)})
		}
	}
	return n
}

type visit struct {
	schema *jsonschema.Schema
	value  *instance
}

// affordable refuses schemas whose check would take exponential time: a validator follows every
// branch of a schema anew, and a small schema can have more branches than there is time.
func affordable(s *jsonschema.Schema, values map[string]any) error {
	e := estimate{known: map[visit]int{}}
	if e.cost(s, newInstance(values)) > maxCost || len(e.known) > maxVisits {
		return errCost
	}
	return nil
}

// estimate counts, from above, how often schemas are applied. Each pair of a schema and a value is
// looked at once, however often the validator would.
type estimate struct{ known map[visit]int }

func (e estimate) cost(s *jsonschema.Schema, v *instance) int {
	if s == nil || len(e.known) > maxVisits {
		return 0
	}
	key := visit{s, v}
	if n, ok := e.known[key]; ok {
		return n
	}
	e.known[key] = 0 // a circle without progress is found by the validator itself
	n := 1
	for _, t := range inPlace(s) {
		n = min(n+e.cost(t, v), maxCost+1)
	}
	for _, c := range v.children {
		for _, t := range forChild(s, c.key) {
			n = min(n+e.cost(t, c.value), maxCost+1)
		}
	}
	e.known[key] = n
	return n
}

// inPlace are the schemas that a schema applies to the same value.
func inPlace(s *jsonschema.Schema) []*jsonschema.Schema {
	out := []*jsonschema.Schema{s.Ref, s.RecursiveRef, s.Not, s.If, s.Then, s.Else, s.PropertyNames}
	if s.DynamicRef != nil {
		out = append(out, s.DynamicRef.Ref)
	}
	out = append(out, s.AllOf...)
	out = append(out, s.AnyOf...)
	out = append(out, s.OneOf...)
	for _, t := range s.DependentSchemas {
		out = append(out, t)
	}
	for _, t := range s.Dependencies {
		out = appendSchema(out, t)
	}
	return out
}

// forChild are the schemas that a schema may apply to an element of its value.
func forChild(s *jsonschema.Schema, key string) []*jsonschema.Schema {
	out := []*jsonschema.Schema{s.Properties[key], s.UnevaluatedProperties, s.Contains, s.Items2020, s.UnevaluatedItems}
	for _, t := range s.PatternProperties {
		out = append(out, t)
	}
	out = append(out, s.PrefixItems...)
	out = appendSchema(out, s.AdditionalProperties)
	out = appendSchema(out, s.AdditionalItems)
	return appendSchema(out, s.Items)
}

// appendSchema adds what a keyword that is of several types holds.
func appendSchema(out []*jsonschema.Schema, v any) []*jsonschema.Schema {
	switch v := v.(type) {
	case *jsonschema.Schema:
		return append(out, v)
	case []*jsonschema.Schema:
		return append(out, v...)
	default:
		return out
	}
}
