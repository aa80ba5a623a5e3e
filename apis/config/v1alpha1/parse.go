package v1alpha1

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

const (
	// DefaultBytes is how large a ConfigData file may be where nothing else was said.
	DefaultBytes = 1 << 20
	// MaxBytes is how large it may be at all.
	MaxBytes = 16 << 20
)

// ErrTooLarge tells that a file is larger than MaxBytes.
var ErrTooLarge = errors.New("larger than 16 MiB")

// FieldError tells that a field of ConfigData is unknown, missing or holds what it must not.
type FieldError struct {
	// Line is the line of the file, from 1; 0 when it concerns the whole file.
	Line int
	// Path is the field, such as localization[0].image.
	Path string
	// Problem says what is wrong and what would be right.
	Problem string
}

// Error returns the line, the field and the problem.
func (e *FieldError) Error() string {
	return fmt.Sprintf("line %d: %s: %s", e.Line, e.Path, e.Problem)
}

// IsConfigData tells a ConfigData with a mistake in it from a file that is something else.
func (e *FieldError) IsConfigData() bool {
	return e.Path != "file" && e.Path != "kind" && e.Path != "apiVersion"
}

// Parse reads ConfigData from YAML or JSON. It returns ErrTooLarge, a *FieldError, or what the YAML parser says.
//
// A file without apiVersion and kind is accepted, since such files exist in components that were delivered long ago; another apiVersion or kind is not.
func Parse(data []byte) (*ConfigData, error) {
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("read ConfigData of %d bytes: %w: split it into several", len(data), ErrTooLarge)
	}
	if err := checkMarks(data); err != nil {
		return nil, fmt.Errorf("read ConfigData: %w", err)
	}
	root, err := document(data)
	if err != nil {
		return nil, fmt.Errorf("read ConfigData: %w", err)
	}
	config, err := decodeConfigData(root)
	if err != nil {
		return nil, fmt.Errorf("read ConfigData: %w", err)
	}
	return config, nil
}

// document returns the root of the only document.
func document(data []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	if err := decoder.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, &FieldError{Line: 1, Path: "file", Problem: "it is empty: write at least configuration or localization"}
	} else if err != nil {
		return nil, err
	}
	if err := decoder.Decode(&more); errors.Is(err, io.EOF) {
		return doc.Content[0], nil
	} else if err != nil {
		return nil, err
	}
	return nil, &FieldError{Line: more.Line, Path: "file", Problem: "it holds a second document: keep one ConfigData in a file"}
}

func decodeConfigData(root *yaml.Node) (*ConfigData, error) {
	config := &ConfigData{}
	d := &decoder{}
	if err := checkKind(root); err != nil {
		return nil, err
	}
	err := d.object(root, "file", fields{
		"apiVersion": d.text(&config.APIVersion),
		"kind":       d.text(&config.Kind),
		"metadata":   d.mapping(&config.Metadata),
		"configuration": optional(func(node *yaml.Node, path string) (err error) {
			config.Configuration, err = d.configuration(node, path)
			return err
		}),
		"localization": list(d, &config.Localization, d.localizationRule),
	})
	if err != nil {
		return nil, err
	}
	return config, nil
}

// checkKind looks at the kind first: the fields of another are not known here, and that says less.
func checkKind(root *yaml.Node) error {
	if root.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i].Value, root.Content[i+1]
		want := map[string]string{"apiVersion": APIVersion, "kind": Kind}[key]
		if want != "" && value.Kind == yaml.ScalarNode && !isNull(value) && value.Value != "" && value.Value != want {
			return problem(value, key, "it is %q: only %s is understood", value.Value, want)
		}
	}
	return nil
}

func (d *decoder) configuration(node *yaml.Node, path string) (*Configuration, error) {
	configuration := &Configuration{}
	err := d.object(node, path, fields{
		"defaults": d.mapping(&configuration.Defaults),
		"schema":   d.rawObject(&configuration.Schema),
		"rules":    list(d, &configuration.Rules, d.configurationRule),
	})
	return configuration, err
}

func (d *decoder) configurationRule(node *yaml.Node, path string) (ConfigurationRule, error) {
	var rule ConfigurationRule
	hasValue := false
	err := d.object(node, path, fields{
		"value": func(node *yaml.Node, path string) (err error) {
			hasValue = true
			rule.Value, err = d.value(node, path)
			return err
		},
		"file":     d.text(&rule.File),
		"path":     d.text(&rule.Path),
		"document": d.index(&rule.Document),
		"selector": d.selector(&rule.Selector),
	})
	switch {
	case err != nil:
		return rule, err
	case !hasValue:
		return rule, problem(node, path+".value", "it is missing: give the value to put, which may be null")
	case rule.File == "":
		return rule, problem(node, path+".file", "it is missing: name the file of the resource that is changed")
	case rule.Path == "":
		return rule, problem(node, path+".path", "it is missing: say where in the file the value goes, such as data.COLOR")
	}
	return rule, oneDocument(node, path, rule.Document, rule.Selector)
}

func (d *decoder) localizationRule(node *yaml.Node, path string) (LocalizationRule, error) {
	var rule LocalizationRule
	err := d.object(node, path, fields{
		"resource": optional(func(node *yaml.Node, path string) error {
			return d.object(node, path, fields{
				"name":          d.text(&rule.Resource.Name),
				"extraIdentity": d.texts(&rule.Resource.ExtraIdentity),
			})
		}),
		"file":                     d.text(&rule.File),
		"registry":                 d.text(&rule.Registry),
		"repository":               d.text(&rule.Repository),
		"fullyQualifiedRepository": d.text(&rule.FullyQualifiedRepository),
		"image":                    d.text(&rule.Image),
		"tag":                      d.text(&rule.Tag),
		"mapping":                  d.mappingProgram(&rule.Mapping),
		"document":                 d.index(&rule.Document),
		"selector":                 d.selector(&rule.Selector),
	})
	if err != nil {
		return rule, err
	}
	return rule, rule.check(node, path)
}

func (r *LocalizationRule) check(node *yaml.Node, path string) error {
	if r.File == "" {
		return problem(node, path+".file", "it is missing: name the file of the resource that is changed")
	}
	if r.Mapping == nil {
		if r.Resource.Name == "" {
			return problem(node, path+".resource.name", "it is missing: name the resource whose image reference is used")
		}
		if r.Registry == "" && r.Repository == "" && r.FullyQualifiedRepository == "" && r.Image == "" && r.Tag == "" {
			return problem(node, path, "it changes nothing: set one of registry, repository, fullyQualifiedRepository, image, tag and mapping")
		}
	}
	return oneDocument(node, path, r.Document, r.Selector)
}

func (d *decoder) mappingProgram(target **Mapping) field {
	return optional(func(node *yaml.Node, path string) error {
		mapping := &Mapping{}
		err := d.object(node, path, fields{"path": d.text(&mapping.Path), "transform": d.text(&mapping.Transform)})
		switch {
		case err != nil:
			return err
		case mapping.Path == "":
			return problem(node, path+".path", "it is missing: say where in the file the value goes")
		case mapping.Transform == "":
			return problem(node, path+".transform", "it is missing: give the program that computes the value")
		}
		*target = mapping
		return nil
	})
}

func (d *decoder) selector(target **DocumentSelector) field {
	return optional(func(node *yaml.Node, path string) error {
		selector := &DocumentSelector{}
		if err := d.object(node, path, fields{"kind": d.text(&selector.Kind), "name": d.text(&selector.Name)}); err != nil {
			return err
		}
		if *selector == (DocumentSelector{}) {
			return problem(node, path, "it selects nothing: set kind, name or both")
		}
		*target = selector
		return nil
	})
}

func oneDocument(node *yaml.Node, path string, document *int, selector *DocumentSelector) error {
	if document != nil && selector != nil {
		return problem(node, path, "document and selector exclude each other: keep one")
	}
	return nil
}

// rawObject keeps an object as JSON.
func (d *decoder) rawObject(target *json.RawMessage) field {
	return optional(func(node *yaml.Node, path string) error {
		var object map[string]any
		if err := d.mapping(&object)(node, path); err != nil {
			return err
		}
		raw, err := json.Marshal(object)
		if err != nil {
			return problem(node, path, "it cannot be written as JSON: %v", err)
		}
		*target = raw
		return nil
	})
}
