package configure

import (
	"errors"
	"regexp"
	"regexp/syntax"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const (
	maxCost     = 5_000_000 // applications of a schema to a value
	maxVisits   = 500_000   // pairs of a schema and a value
	maxPatterns = 500_000   // instructions of all patterns of a schema
)

var (
	errCost     = errors.New("it refers to itself, combines schemas, or matches patterns with long texts, so often that checking the values would take too long")
	errPatterns = errors.New("the patterns of the schema are too large")
)

// pattern is a regular expression of which it is known how large it is: matching takes time for each
// character and each instruction.
type pattern struct {
	*regexp.Regexp
	size int // in instructions
}

// cost of matching a text, in applications of a schema.
func (p *pattern) cost(text int) int { return 1 + text*(8+p.size)/32 }

// patterns compiles the patterns of one schema, each of them once.
type patterns struct {
	known map[string]*pattern
	size  int
}

// compile is a jsonschema.RegexpEngine.
func (p *patterns) compile(s string) (jsonschema.Regexp, error) {
	if known, ok := p.known[s]; ok {
		return known, nil
	}
	if p.size > maxPatterns {
		return nil, errPatterns
	}
	parsed, err := syntax.Parse(s, syntax.Perl)
	if err != nil {
		return nil, err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, err
	}
	if p.size += len(program.Inst); p.size > maxPatterns {
		return nil, errPatterns
	}
	compiled, err := regexp.Compile(s)
	if err != nil {
		return nil, err
	}
	p.known[s] = &pattern{Regexp: compiled, size: len(program.Inst)}
	return p.known[s], nil
}

// instance is one value, with an identity.
type instance struct {
	children []child
	text     int // the length of a text
	size     int // of the value with all that is in it, in values and kibibytes of text
}

type child struct {
	key   string    // empty in lists
	name  *instance // the key as a value, nil in lists
	value *instance
}

func newInstance(v any) *instance {
	n := &instance{}
	switch v := v.(type) {
	case string:
		n.text = len(v)
	case map[string]any:
		for key, item := range v {
			n.children = append(n.children, child{key: key, name: newInstance(key), value: newInstance(item)})
		}
	case []any:
		for _, item := range v {
			n.children = append(n.children, child{value: newInstance(item)})
		}
	}
	n.size = 1 + n.text/1024
	for _, c := range n.children {
		n.size += c.value.size
	}
	return n
}

type visit struct {
	schema *jsonschema.Schema
	value  *instance
}

// affordable refuses schemas whose check would take too much time: a validator follows every branch
// of a schema anew, and a small schema can have more branches than there is time; and it matches
// whole texts with every pattern.
func affordable(s *jsonschema.Schema, values map[string]any) error {
	e := estimate{known: map[visit]int{}}
	if e.cost(s, newInstance(values)) > maxCost || e.exhausted() {
		return errCost
	}
	return nil
}

// estimate counts, from above, how often schemas are applied. Each pair of a schema and a value is
// looked at once, however often the validator would.
type estimate struct {
	known map[visit]int
	sum   int // of what all pairs cost by themselves
}

// exhausted tells whether the estimate itself would take too long.
func (e *estimate) exhausted() bool { return e.sum > maxCost || len(e.known) > maxVisits }

func (e *estimate) cost(s *jsonschema.Schema, v *instance) int {
	if s == nil || e.exhausted() {
		return 0
	}
	key := visit{s, v}
	if n, ok := e.known[key]; ok {
		return n
	}
	e.known[key] = 0 // a circle without progress is found by the validator itself
	n := min(own(s, v), maxCost+1)
	e.sum += n
	for _, t := range inPlace(s) {
		n = min(n+e.cost(t, v), maxCost+1)
	}
	for _, c := range v.children {
		if e.exhausted() {
			break
		}
		if c.name != nil {
			n = min(n+e.cost(s.PropertyNames, c.name), maxCost+1)
		}
		for _, t := range forChild(s, c.key) {
			n = min(n+e.cost(t, c.value), maxCost+1)
		}
	}
	e.known[key] = n
	return n
}

// own is what the keywords of a schema cost that have no schemas within.
func own(s *jsonschema.Schema, v *instance) int {
	n := 1 + len(v.children) + v.text/1024
	if s.UniqueItems {
		n += v.size
	}
	if s.Const != nil {
		n += v.size
	}
	if s.Enum != nil {
		n += len(s.Enum.Values) + v.size
	}
	if s.Format != nil && s.Format.Name == "regex" {
		n += 64 * v.text // a short pattern can have very many instructions
	} else if s.Format != nil {
		n += v.text / 16
	}
	if p, ok := s.Pattern.(*pattern); ok {
		n += p.cost(v.text)
	}
	for re := range s.PatternProperties {
		p, ok := re.(*pattern)
		for _, c := range v.children {
			if ok && c.name != nil {
				n += p.cost(len(c.key))
			}
		}
	}
	return n
}

// inPlace are the schemas that a schema applies to the same value.
func inPlace(s *jsonschema.Schema) []*jsonschema.Schema {
	out := []*jsonschema.Schema{s.Ref, s.RecursiveRef, s.Not, s.If, s.Then, s.Else}
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
