package configure

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

const (
	// schemaURL is the name under which the schema is compiled. It is never fetched.
	schemaURL = "config://data/schema.json"

	// maxBytes is the size of the largest schema.
	maxBytes = 4 << 20

	// maxSchemas bounds the objects and booleans in a schema, each of which may be a schema: the time to compile them
	// grows with the square of their number.
	maxSchemas = 10_000

	// maxDigits and maxExponent bound numbers, which are compared exactly: with what they stand for, and not with
	// what is written, grows the time it takes.
	maxDigits   = 1000
	maxExponent = 400
)

var errNumber = errors.New("is a number with too many digits, or too large an exponent")

// SchemaError says that the schema of the component is not one.
type SchemaError struct {
	// Err is the reason.
	Err error
}

// Error implements error.
func (e *SchemaError) Error() string { return fmt.Sprintf("schema of the configuration: %v", e.Err) }

// Unwrap makes errors.Is see the reason.
func (e *SchemaError) Unwrap() error { return e.Err }

// ValuesError says what is wrong with the values of the environment.
type ValuesError struct {
	// Problems are sorted; each begins with the JSON pointer of the value that it is about.
	Problems []string
}

// Error implements error.
func (e *ValuesError) Error() string {
	const most = 10
	problems := e.Problems
	if len(problems) > most {
		problems = append(slices.Clone(problems[:most]), fmt.Sprintf("and %d more", len(problems)-most))
	}
	return "values do not fit the schema: " + strings.Join(problems, "; ")
}

// Validate checks values against a JSON schema. The drafts 4, 6, 7, 2019-09 and 2020-12 are told apart by
// "$schema"; without it the schema is one of draft 7, which is what the tools that introduced
// ConfigData know. A "$ref" that leads out of the schema is an error: nothing is ever fetched.
func Validate(schema []byte, values map[string]any) error {
	if len(schema) > maxBytes {
		return &SchemaError{Err: fmt.Errorf("it has %d bytes, more than %d", len(schema), maxBytes)}
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return &SchemaError{Err: err}
	}
	if n := schemas(doc); n > maxSchemas {
		return &SchemaError{Err: fmt.Errorf("it has %d objects and booleans, more than %d", n, maxSchemas)}
	}
	if at := outOfRange(doc, nil); at != nil {
		return &SchemaError{Err: fmt.Errorf("%s: %w", pointer(at), errNumber)}
	}
	if at := outOfRange(values, nil); at != nil {
		return &ValuesError{Problems: []string{pointer(at) + ": " + errNumber.Error()}}
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft7)
	compiler.UseLoader(noLoader{})
	compiler.UseRegexpEngine((&patterns{known: map[string]*pattern{}}).compile)
	if err := compiler.AddResource(schemaURL, doc); err != nil {
		return &SchemaError{Err: err}
	}
	compiled, err := compiler.Compile(schemaURL)
	if err != nil {
		return &SchemaError{Err: err}
	}
	if err := affordable(compiled, values); err != nil {
		return &SchemaError{Err: err}
	}
	placeItems(compiled, values)
	var invalid *jsonschema.ValidationError
	if err := compiled.Validate(values); errors.As(err, &invalid) {
		return &ValuesError{Problems: problems(doc, invalid)}
	} else if err != nil {
		return &SchemaError{Err: err}
	}
	return nil
}

// schemas counts what may be a schema.
func schemas(v any) int {
	n := 0
	switch v := v.(type) {
	case bool:
		n++
	case map[string]any:
		n++
		for _, item := range v {
			n += schemas(item)
		}
	case []any:
		for _, item := range v {
			n += schemas(item)
		}
	}
	return n
}

// outOfRange returns where a number is that cannot be calculated with in a short time, nil if there is none.
func outOfRange(v any, at []string) []string {
	switch v := v.(type) {
	case json.Number:
		_, exponent, _ := strings.Cut(strings.ToLower(v.String()), "e")
		e, err := strconv.Atoi(cmp.Or(exponent, "0"))
		if err != nil || len(v) > maxDigits || e > maxExponent || e < -maxExponent {
			return slices.Clone(at)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if found := outOfRange(v[key], append(at, key)); found != nil {
				return found
			}
		}
	case []any:
		for i, item := range v {
			if found := outOfRange(item, append(at, strconv.Itoa(i))); found != nil {
				return found
			}
		}
	}
	return nil
}

// noLoader refuses every reference that leads out of the schema.
type noLoader struct{}

// Load implements jsonschema.URLLoader.
func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("%q leads out of the schema, and nothing is fetched: copy it into the schema", url)
}

// problems lists the innermost causes.
func problems(schema any, root *jsonschema.ValidationError) []string {
	var out []string
	var collect func(e *jsonschema.ValidationError)
	collect = func(e *jsonschema.ValidationError) {
		if _, isName := e.ErrorKind.(*kind.PropertyNames); isName || len(e.Causes) == 0 {
			out = append(out, describe(schema, e)...)
			return
		}
		for _, cause := range e.Causes {
			collect(cause)
		}
	}
	collect(root)
	slices.Sort(out)
	return slices.Compact(out)
}

// describe says in words what is wrong at one place. It names keys, types and what the schema says, but
// never a value: values may be secret.
func describe(schema any, e *jsonschema.ValidationError) []string {
	var (
		keys    []string
		problem string
	)
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		keys, problem = k.Properties, "unknown key"+allowed(schema, e.SchemaURL)
	case *kind.Required:
		keys, problem = k.Missing, "is required"
	case *kind.Dependency:
		keys, problem = k.Missing, "is required, as there is "+k.Prop
	case *kind.DependentRequired:
		keys, problem = k.Missing, "is required, as there is "+k.Prop
	case *kind.PropertyNames:
		return []string{fmt.Sprintf("the key %q does not fit \"propertyNames\"", k.Property)} // its place is not known
	default:
		return []string{pointer(e.InstanceLocation) + ": " + violation(k)}
	}
	out := make([]string, 0, len(keys))
	for _, key := range keys {
		out = append(out, pointer(append(slices.Clone(e.InstanceLocation), key))+": "+problem)
	}
	return out
}

// violation says what a value has to be.
func violation(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return fmt.Sprintf("must be %s, is %s", strings.Join(k.Want, " or "), k.Got)
	case *kind.Enum:
		return "must be one of " + list(k.Want)
	case *kind.Const:
		return "must be " + list([]any{k.Want})
	case *kind.Pattern:
		return "must match " + strconv.Quote(k.Want)
	case *kind.Format:
		return "must be a valid " + k.Want
	case *kind.FalseSchema:
		return "is not allowed"
	case *kind.Not:
		return `does not fit "not"`
	case *kind.OneOf:
		return "fits more than one schema of oneOf"
	case *kind.Minimum:
		return "must be at least " + number(k.Want)
	case *kind.Maximum:
		return "must be at most " + number(k.Want)
	case *kind.ExclusiveMinimum:
		return "must be greater than " + number(k.Want)
	case *kind.ExclusiveMaximum:
		return "must be less than " + number(k.Want)
	case *kind.MultipleOf:
		return "must be a multiple of " + number(k.Want)
	default:
		return extent(k)
	}
}

// extent says how large a value has to be.
func extent(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.MinLength:
		return fmt.Sprintf("must have at least %d characters", k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("must have at most %d characters", k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("must have at least %d items", k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("must have at most %d items", k.Want)
	case *kind.AdditionalItems:
		return fmt.Sprintf("has %d items too many", k.Count)
	case *kind.UniqueItems:
		return fmt.Sprintf("the items %d and %d are equal", k.Duplicates[0], k.Duplicates[1])
	case *kind.MinProperties:
		return fmt.Sprintf("must have at least %d keys", k.Want)
	case *kind.MaxProperties:
		return fmt.Sprintf("must have at most %d keys", k.Want)
	case *kind.RefCycle:
		return fmt.Sprintf("the schema refers to itself at %s without an end", k.KeywordLocation1)
	case *kind.InvalidJsonValue:
		return fmt.Sprintf("is a %T, which JSON has not", k.Value)
	default:
		return fmt.Sprintf("does not fit %q", strings.Join(k.KeywordPath(), " "))
	}
}

// number writes a number of the schema.
func number(r *big.Rat) string {
	f, _ := r.Float64()
	if math.Abs(f) < 1e15 {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

func list(values []any) string {
	const most = 12
	parts := make([]string, 0, len(values))
	for _, v := range values[:min(len(values), most)] {
		if s, ok := v.(string); ok {
			v = strconv.Quote(s)
		}
		parts = append(parts, fmt.Sprint(v))
	}
	if len(values) > most {
		parts = append(parts, "...")
	}
	return strings.Join(parts, ", ")
}

// pointer writes a location as a JSON pointer; that of the whole is "/".
func pointer(location []string) string {
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	parts := make([]string, len(location))
	for i, part := range location {
		parts[i] = escape.Replace(part)
	}
	return "/" + strings.Join(parts, "/")
}

// allowed lists the keys that the schema at a URL knows.
func allowed(schema any, url string) string {
	_, fragment, _ := strings.Cut(url, "#")
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	for part := range strings.SplitSeq(strings.TrimPrefix(fragment, "/"), "/") {
		if part == "" {
			continue
		}
		switch s := schema.(type) {
		case map[string]any:
			schema = s[unescape.Replace(part)]
		case []any:
			if i, err := strconv.Atoi(part); err == nil && i >= 0 && i < len(s) {
				schema = s[i]
			}
		}
	}
	s, _ := schema.(map[string]any)
	properties, _ := s["properties"].(map[string]any)
	if len(properties) == 0 {
		return ""
	}
	keys := slices.SortedFunc(maps.Keys(properties), cmp.Compare[string])
	const most = 20
	if len(keys) > most {
		keys = append(keys[:most], "...")
	}
	return ", allowed: " + strings.Join(keys, ", ")
}
