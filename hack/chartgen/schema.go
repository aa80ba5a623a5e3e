package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

const draft = "http://json-schema.org/draft-07/schema#"

// keywords are what @schema may say. A word that is none of them would be ignored by whoever reads the schema, and a rule with a
// typo in it is no rule.
var keywords = []string{
	"$ref", "additionalItems", "additionalProperties", "allOf", "anyOf", "const", "contains", "default", "dependencies", "description", "else", "enum",
	"examples", "exclusiveMaximum", "exclusiveMinimum", "format", "if", "items", "maximum", "maxItems", "maxLength", "maxProperties", "minimum", "minItems",
	"minLength", "minProperties", "multipleOf", "not", "oneOf", "pattern", "patternProperties", "properties", "propertyNames", "required", "then", "title",
	"type", "uniqueItems",
}

// schema returns the schema of all values, which refuses what values.yaml doesn't have.
func (v *values) schema() ([]byte, error) {
	r := &reader{file: v.file}
	root := r.object(v.keys)
	root["$schema"] = draft
	properties, _ := root["properties"].(map[string]any)
	properties["global"] = map[string]any{
		"type": "object", "description": "Values that charts share; Helm sets them, and this chart reads none.", "additionalProperties": true,
	}
	if err := errors.Join(r.errs...); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(root); err != nil {
		return nil, fmt.Errorf("%s: write its schema: %w", v.file, err)
	}
	return out.Bytes(), v.check(out.Bytes())
}

// check proves that the schema is one, and that the defaults keep to it.
func (v *values) check(schema []byte) error {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return fmt.Errorf("%s: read its schema: %w", v.file, err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(schemaFile, document); err != nil {
		return fmt.Errorf("%s: add its schema: %w", v.file, err)
	}
	compiled, err := compiler.Compile(schemaFile)
	if err != nil {
		return fmt.Errorf("%s: what @schema says is no schema: %w", v.file, err)
	}
	defaults, err := json.Marshal(v.defaults)
	if err != nil {
		return fmt.Errorf("%s: has what JSON can't say: %w", v.file, err)
	}
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(defaults))
	if err != nil {
		return fmt.Errorf("%s: read the defaults: %w", v.file, err)
	}
	err = compiled.Validate(instance)
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return err
	}
	return v.locate(invalid)
}

// locate names the line of a default that its own schema refuses.
func (v *values) locate(invalid *jsonschema.ValidationError) error {
	for len(invalid.Causes) > 0 {
		invalid = invalid.Causes[0]
	}
	line, keys, path := 1, v.keys, strings.Join(invalid.InstanceLocation, ".")
	for _, name := range invalid.InstanceLocation {
		i := slices.IndexFunc(keys, func(v *value) bool { return v.name == name })
		if i < 0 {
			break
		}
		line, keys = keys[i].line, keys[i].children
	}
	return fmt.Errorf("%s:%d: %s: its default is not what its schema allows: %w", v.file, line, path, invalid)
}

// object returns the schema of a mapping with these keys and no others. Helm drops a key that is given as null before it looks at the
// schema, so who gives one where it means nothing is told the key's name by its absence.
func (r *reader) object(keys []*value) map[string]any {
	properties := map[string]any{}
	var required []string
	for _, v := range keys {
		property := r.property(v)
		properties[v.name] = property
		if !takesNull(property) {
			required = append(required, v.name)
		}
	}
	schema := map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		schema["required"] = required
	}
	return schema
}

func (r *reader) property(v *value) map[string]any {
	schema := r.inferred(v)
	schema["description"] = v.text
	if said, ok := r.strict(v, v.said, "").(map[string]any); ok {
		maps.Copy(schema, said)
	}
	if v.empty() {
		r.nullable(v, schema)
	}
	return schema
}

// inferred returns what the default of a value tells about its type.
func (r *reader) inferred(v *value) map[string]any {
	if !v.leaf() {
		return r.object(v.children)
	}
	schema := map[string]any{"default": v.standard}
	switch v.node.Kind {
	case yaml.MappingNode:
		schema["type"] = "object"
		if !v.free() && v.said["properties"] == nil {
			r.fail(v.line, v.path, "is an empty mapping; say what is inside, as in: # @schema {additionalProperties: {type: string}}")
		}
		if !v.free() {
			schema["additionalProperties"] = false
		}
	case yaml.SequenceNode:
		schema["type"] = "array"
		if v.said["items"] == nil {
			r.fail(v.line, v.path, "is a list; say of what, as in: # @schema {items: {type: string}}")
		}
	default:
		if kind, ok := scalars[v.node.Tag]; ok {
			schema["type"] = kind
		} else if v.standard != nil {
			r.fail(v.line, v.path, "has a default of the type %s, which JSON doesn't know; quote it", v.node.Tag)
		}
	}
	return schema
}

var scalars = map[string]string{"!!str": "string", "!!bool": "boolean", "!!int": "integer", "!!float": "number"}

// takesNull tells whether a schema accepts null.
func takesNull(schema map[string]any) bool {
	if enum, ok := schema["enum"].([]any); ok && !slices.Contains(enum, nil) {
		return false
	}
	switch said := schema["type"].(type) {
	case string:
		return said == "null"
	case []any:
		return slices.Contains(said, any("null"))
	default:
		return true
	}
}

// nullable lets null stand for a default that is nothing.
func (r *reader) nullable(v *value, schema map[string]any) {
	switch said := schema["type"].(type) {
	case string:
		schema["type"] = []any{said, "null"}
	case []any:
		if !slices.Contains(said, any("null")) {
			schema["type"] = append(slices.Clone(said), "null")
		}
	case nil:
		if schema["enum"] == nil && schema["anyOf"] == nil && schema["oneOf"] == nil {
			r.fail(v.line, v.path, "is null; say its type, as in: # @schema {type: integer}")
		}
	}
	if enum, ok := schema["enum"].([]any); ok && !slices.Contains(enum, nil) {
		schema["enum"] = append(slices.Clone(enum), nil)
	}
}

// strict closes every object of a schema whose properties are listed.
func (r *reader) strict(v *value, schema any, key string) any {
	switch schema := schema.(type) {
	case map[string]any:
		if key == "default" || key == "const" {
			return schema
		}
		// The keys of these are names and not words of the schema language.
		names := key == "properties" || key == "patternProperties" || key == "dependencies"
		closed := map[string]any{}
		for word, part := range schema {
			switch {
			case names:
				closed[word] = r.strict(v, part, "")
			case slices.Contains(keywords, word):
				closed[word] = r.strict(v, part, word)
			default:
				r.fail(v.line, v.path, "has %q in its @schema, which no schema knows", word)
			}
		}
		if _, said := closed["additionalProperties"]; !said && !names && closed["properties"] != nil {
			closed["additionalProperties"] = false
		}
		return closed
	case []any:
		if !slices.Contains([]string{"allOf", "anyOf", "oneOf", "items"}, key) {
			return schema
		}
		parts := make([]any, len(schema))
		for i, part := range schema {
			parts[i] = r.strict(v, part, "")
		}
		return parts
	default:
		return schema
	}
}
