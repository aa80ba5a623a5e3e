// Package docs holds the documentation and the tests that keep it true: examples are valid, links lead somewhere, and every
// field of the API is described.
package docs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	configv1 "github.com/ocm-operator/ocm-operator/apis/config/v1alpha1"
	"github.com/ocm-operator/ocm-operator/apis/crds"
)

const root = ".."

// TestExamples checks every manifest in the documentation: ours against its schema, in which an unknown field is an error,
// ConfigData with the parser that the controllers use.
func TestExamples(t *testing.T) {
	t.Parallel()
	validators := schemas(t)
	kinds := map[string]int{}
	for _, page := range pages(t) {
		for _, block := range blocks(t, page, "yaml") {
			for i, doc := range documents(t, page, block) {
				kind, _ := doc["kind"].(string)
				apiVersion, _ := doc["apiVersion"].(string)
				if kind == "" || apiVersion == "" {
					continue
				}
				name := fmt.Sprintf("%s:%d document %d (%s)", page, block.line, i, kind)
				switch {
				case apiVersion == configv1.APIVersion:
					text, err := yaml.Marshal(doc)
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					if _, err := configv1.Parse(text); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				case validators[apiVersion+" "+kind] != nil:
					if err := validators[apiVersion+" "+kind].Validate(plain(t, doc)); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				case strings.HasPrefix(apiVersion, "delivery.ocm.software/"):
					t.Errorf("%s: there is no kind %s in %s", name, kind, apiVersion)
				}
				kinds[kind]++
			}
		}
	}
	for key := range validators {
		_, kind, _ := strings.Cut(key, " ")
		if kinds[kind] == 0 {
			t.Errorf("no page has an example of a %s", kind)
		}
	}
}

// TestFieldsAreDescribed demands that the page of a kind names every field of its spec and status.
func TestFieldsAreDescribed(t *testing.T) {
	t.Parallel()
	for _, crd := range definitions(t) {
		for _, version := range crd.Spec.Versions {
			page := filepath.Join("spec", version.Name, strings.ToLower(crd.Spec.Names.Kind)+".md")
			text, err := os.ReadFile(page)
			if err != nil {
				t.Errorf("%s has no page: %v", crd.Spec.Names.Kind, err)
				continue
			}
			properties := version.Schema.OpenAPIV3Schema.Properties
			for _, part := range []string{"spec", "status"} {
				for _, field := range fields(properties[part], part, 0) {
					last := field[strings.LastIndex(field, ".")+1:]
					if !regexp.MustCompile(`\b` + regexp.QuoteMeta(last) + `\b`).Match(text) {
						t.Errorf("%s does not describe %s", page, field)
					}
				}
			}
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)

// TestLinks follows every link to a file of the repository.
func TestLinks(t *testing.T) {
	t.Parallel()
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range link.FindAllSubmatch(text, -1) {
			target := filepath.Join(filepath.Dir(page), string(match[1]))
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s: %v", page, match[1], err)
			}
		}
	}
}

var upgrade = regexp.MustCompile("(?s)`helm upgrade[^`]*`|helm upgrade[^`\n]*")

// TestUpgradesKeepValues wants each `helm upgrade` with a value to keep the others: without being told, Helm takes the chart's defaults for
// them, and volumes, namespaces and what was denied are gone.
func TestUpgradesKeepValues(t *testing.T) {
	t.Parallel()
	found := 0
	for _, page := range append(pages(t), filepath.Join(root, "charts", "ocm-operator", "README.md")) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, command := range upgrade.FindAllString(strings.ReplaceAll(string(text), "\\\n", ""), -1) {
			if !strings.Contains(command, "--set") {
				continue
			}
			found++
			if !strings.Contains(command, "--reset-then-reuse-values") {
				t.Errorf("%s: %s: it needs --reset-then-reuse-values", page, command)
			}
		}
	}
	if found == 0 {
		t.Error("no page has a helm upgrade with a value, so nothing was looked at")
	}
}

type block struct {
	line int
	text string
}

// pages lists the documentation: everything in this folder and the pages at the root of the repository.
func pages(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".md") {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 {
		t.Fatal("there is no documentation to check")
	}
	return names
}

// blocks returns the fenced code blocks of a language.
func blocks(t *testing.T, page, language string) []block {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var found []block
	var current *block
	for i, line := range strings.Split(string(text), "\n") {
		switch fence := strings.TrimSpace(line); {
		case current == nil && fence == "```"+language:
			current = &block{line: i + 1}
		case current != nil && fence == "```":
			found = append(found, *current)
			current = nil
		case current != nil:
			current.text += line + "\n"
		}
	}
	if current != nil {
		t.Errorf("%s:%d: the block has no end", page, current.line)
	}
	return found
}

func documents(t *testing.T, page string, b block) []map[string]any {
	t.Helper()
	var docs []map[string]any
	decoder := yaml.NewDecoder(strings.NewReader(b.text))
	for {
		var doc map[string]any
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return docs
		}
		if err != nil {
			t.Errorf("%s:%d: %v", page, b.line, err)
			return docs
		}
		docs = append(docs, doc)
	}
}

func definitions(t *testing.T) []*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	all, err := crds.All()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("there are no custom resource definitions")
	}
	return all
}

// schemas compiles the schema of every kind, by "apiVersion kind". CEL rules are not a part of it; the tests of apis run them.
func schemas(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	compiled := map[string]*jsonschema.Schema{}
	for _, crd := range definitions(t) {
		for _, version := range crd.Spec.Versions {
			text, err := json.Marshal(version.Schema.OpenAPIV3Schema)
			if err != nil {
				t.Fatal(err)
			}
			schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			key := crd.Spec.Group + "/" + version.Name + " " + crd.Spec.Names.Kind
			url := "https://example.org/" + strings.ReplaceAll(key, " ", "/")
			compiler := jsonschema.NewCompiler()
			if err := compiler.AddResource(url, closed(schema, true)); err != nil {
				t.Fatal(err)
			}
			if compiled[key], err = compiler.Compile(url); err != nil {
				t.Fatal(err)
			}
		}
	}
	return compiled
}

// closed forbids fields that the schema does not know, which the API server would drop without a word. The metadata of an
// object, at the top, is not described by its definition.
func closed(schema any, top bool) any {
	switch schema := schema.(type) {
	case map[string]any:
		for key, value := range schema {
			if properties, ok := value.(map[string]any); ok && key == "properties" {
				for name, property := range properties {
					if !top || name != "metadata" {
						properties[name] = closed(property, false)
					}
				}
				continue
			}
			schema[key] = closed(value, false)
		}
		_, described := schema["properties"].(map[string]any)
		if described && schema["additionalProperties"] == nil && schema["x-kubernetes-preserve-unknown-fields"] != true {
			schema["additionalProperties"] = false
		}
	case []any:
		for i := range schema {
			schema[i] = closed(schema[i], false)
		}
	}
	return schema
}

// plain turns what the YAML decoder made into what the validator knows.
func plain(t *testing.T, doc map[string]any) any {
	t.Helper()
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// fields lists the fields of a schema, two levels deep and through lists.
func fields(schema apiextensionsv1.JSONSchemaProps, path string, depth int) []string {
	const levels = 2
	if schema.Items != nil && schema.Items.Schema != nil {
		schema = *schema.Items.Schema
	}
	var found []string
	if depth == levels {
		return nil
	}
	for name, property := range schema.Properties {
		found = append(found, path+"."+name)
		if name == "conditions" {
			continue // the fields of a condition are those of Kubernetes
		}
		found = append(found, fields(property, path+"."+name, depth+1)...)
	}
	slices.Sort(found)
	return found
}
