package configure

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// schemaURL is the name under which the schema is compiled. It is never fetched.
const schemaURL = "config://data/schema.json"

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
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return &SchemaError{Err: err}
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
	var invalid *jsonschema.ValidationError
	if err := compiled.Validate(values); errors.As(err, &invalid) {
		return &ValuesError{Problems: problems(doc, invalid)}
	} else if err != nil {
		return &SchemaError{Err: err}
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
	printer := message.NewPrinter(language.English)
	var out []string
	var collect func(e *jsonschema.ValidationError)
	collect = func(e *jsonschema.ValidationError) {
		for _, cause := range e.Causes {
			collect(cause)
		}
		if len(e.Causes) == 0 {
			out = append(out, describe(schema, e, printer)...)
		}
	}
	collect(root)
	slices.Sort(out)
	return slices.Compact(out)
}

// describe says in words what is wrong at one place.
func describe(schema any, e *jsonschema.ValidationError, printer *message.Printer) []string {
	at := pointer(e.InstanceLocation)
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		var out []string
		for _, key := range k.Properties {
			out = append(out, pointer(append(slices.Clone(e.InstanceLocation), key))+": unknown key"+allowed(schema, e.SchemaURL))
		}
		return out
	case *kind.Required:
		var out []string
		for _, key := range k.Missing {
			out = append(out, pointer(append(slices.Clone(e.InstanceLocation), key))+": is required")
		}
		return out
	case *kind.Type:
		return []string{fmt.Sprintf("%s: must be %s, is %s", at, strings.Join(k.Want, " or "), k.Got)}
	case *kind.Enum:
		return []string{fmt.Sprintf("%s: must be one of %s", at, list(k.Want))}
	case *kind.Const:
		return []string{fmt.Sprintf("%s: must be %s", at, list([]any{k.Want}))}
	case *kind.Pattern:
		return []string{fmt.Sprintf("%s: must match %s", at, strconv.Quote(k.Want))}
	case *kind.FalseSchema:
		return []string{at + ": is not allowed"}
	default:
		return []string{at + ": " + e.ErrorKind.LocalizedString(printer)}
	}
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
