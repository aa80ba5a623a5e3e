package configure

import (
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// maxPlaces bounds what placeItems adds to all schemas.
const maxPlaces = 100_000

// placeItems makes errors name the right element of a list. For the elements behind those that have a schema each, the
// library counts anew from zero; so these get a schema each, as far as the longest list of the values goes.
func placeItems(root *jsonschema.Schema, values map[string]any) {
	length, left := longest(values), maxPlaces
	known := map[*jsonschema.Schema]bool{}
	for todo := []*jsonschema.Schema{root}; len(todo) > 0; {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if s == nil || known[s] {
			continue
		}
		known[s] = true
		todo = append(todo, within(s)...)
		if s.Items2020 != nil && len(s.PrefixItems) > 0 {
			s.PrefixItems = extend(s.PrefixItems, s.Items2020, length, &left)
		}
		each, isList := s.Items.([]*jsonschema.Schema)
		if rest, ok := s.AdditionalItems.(*jsonschema.Schema); ok && isList {
			s.Items = extend(each, rest, length, &left)
		}
	}
}

func extend(each []*jsonschema.Schema, rest *jsonschema.Schema, length int, left *int) []*jsonschema.Schema {
	n := max(0, min(length-len(each), *left))
	*left -= n
	return append(slices.Clip(each), slices.Repeat([]*jsonschema.Schema{rest}, n)...)
}

// within are all schemas that a schema refers to.
func within(s *jsonschema.Schema) []*jsonschema.Schema {
	out := append(inPlace(s), forChild(s, "")...)
	for _, t := range s.Properties {
		out = append(out, t)
	}
	return append(out, s.PropertyNames)
}

// longest is the length of the longest list in a value.
func longest(v any) int {
	n := 0
	switch v := v.(type) {
	case map[string]any:
		for _, item := range v {
			n = max(n, longest(item))
		}
	case []any:
		n = len(v)
		for _, item := range v {
			n = max(n, longest(item))
		}
	}
	return n
}
