package main

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// marshal writes YAML with fields in the order of the struct; sigs.k8s.io/yaml would sort them.
func marshal(entries any) (string, error) {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(entries); err != nil {
		return "", fmt.Errorf("encode: %w", err)
	}
	return out.String(), nil
}
