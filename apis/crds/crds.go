// Package crds holds the CustomResourceDefinitions of the operator as they are generated from the Go types, for programs and tests that install or check them.
//
// It does not install anything: that is done by the chart, and by tests with a client of their own.
package crds

import (
	"embed"
	"fmt"
	"io/fs"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// FS holds the generated files, one a kind, named <group>_<plural>.yaml.
//
//go:embed *.yaml
var FS embed.FS

// All returns the definitions of every kind, sorted by the name of their file. Each call returns new objects.
func All() ([]*apiextensionsv1.CustomResourceDefinition, error) {
	names, err := fs.Glob(FS, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list embedded definitions: %w", err)
	}
	all := make([]*apiextensionsv1.CustomResourceDefinition, 0, len(names))
	for _, name := range names {
		crd, err := read(name)
		if err != nil {
			return nil, err
		}
		all = append(all, crd)
	}
	return all, nil
}

func read(name string) (*apiextensionsv1.CustomResourceDefinition, error) {
	data, err := FS.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read embedded definition %s: %w", name, err)
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(data, crd); err != nil {
		return nil, fmt.Errorf("decode embedded definition %s: %w", name, err)
	}
	return crd, nil
}
