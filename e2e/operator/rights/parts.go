package rights

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// files is where the rules are in a clone, one file for each feature and each option.
const files = "charts/ocm-operator/files/rbac"

// part is what one feature or option needs.
type part struct {
	// watched are its rules where the operator watches objects, and for what is in no namespace; own are those in the operator's
	// own namespace.
	watched, own []rbacv1.PolicyRule
}

// parts are all features and options by name.
type parts map[string]part

// read reads the files of a clone.
func read(root string) (parts, error) {
	paths, err := filepath.Glob(filepath.Join(root, files, "*.yaml"))
	if err != nil || len(paths) == 0 {
		return nil, errors.Join(fmt.Errorf("no rules in %s: run 'make generate'", filepath.Join(root, files)), err)
	}
	all := parts{}
	for _, path := range paths {
		p, err := readPart(path)
		if err != nil {
			return nil, fmt.Errorf("read the rules in %s: %w", path, err)
		}
		all[strings.TrimSuffix(filepath.Base(path), ".yaml")] = p
	}
	return all, nil
}

func readPart(path string) (part, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return part{}, err
	}
	var p part
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096)
	for {
		role := rbacv1.Role{}
		err := decoder.Decode(&role)
		switch {
		case errors.Is(err, io.EOF):
			return p, nil
		case err != nil:
			return part{}, err
		case role.Kind == "ClusterRole":
			p.watched = append(p.watched, role.Rules...)
		case role.Kind == "Role":
			p.own = append(p.own, role.Rules...)
		}
	}
}

// features are the names of the parts that are features: those of the options are written in small letters.
func (p parts) features() []string {
	var names []string
	for name := range p {
		if unicode.IsUpper(rune(name[0])) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
