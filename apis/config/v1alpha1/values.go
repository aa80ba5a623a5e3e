package v1alpha1

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

// ParseValues reads the values of an environment from YAML or JSON. They mean what values in ConfigData mean: a date is text, keys are text, and integers stay integers.
// A file without content has no values. It returns ErrTooLarge, a *FieldError, or what the YAML parser says.
func ParseValues(data []byte) (map[string]any, error) {
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("read values of %d bytes: %w: split them into several", len(data), ErrTooLarge)
	}
	if err := checkMarks(data); err != nil {
		return nil, fmt.Errorf("read values: %w", err)
	}
	parser := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	if err := parser.Decode(&doc); errors.Is(err, io.EOF) {
		return map[string]any{}, nil
	} else if err != nil {
		return nil, fmt.Errorf("read values: %w", err)
	}
	if err := parser.Decode(&more); err == nil {
		return nil, fmt.Errorf("read values: %w", &FieldError{Line: more.Line, Path: "file", Problem: "it holds a second document: keep all values in one"})
	} else if !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read values: %w", err)
	}
	value, err := (&decoder{}).value(doc.Content[0], "values")
	if err != nil {
		return nil, fmt.Errorf("read values: %w", err)
	}
	switch values := value.(type) {
	case nil:
		return map[string]any{}, nil
	case map[string]any:
		return values, nil
	}
	return nil, fmt.Errorf("read values: %w", problem(doc.Content[0], "values", "it is %s: it must be a mapping", describe(doc.Content[0])))
}
