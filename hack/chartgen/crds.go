package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// definition is a custom resource definition with the text it was read from.
type definition struct {
	plural, kind, version, name, description string

	text string
}

// Lines of a definition that the template adds to.
const (
	annotationsLine = "  annotations:\n"
	nameLine        = "  name: "
)

const crdHead = `{{- /* Written by "make generate" from apis/crds; edit the Go types in apis. */ -}}
{{- if .Values.crds.enabled }}
`

const crdAnnotations = `    {{- if .Values.crds.keep }}
    helm.sh/resource-policy: keep
    {{- end }}
    {{- with .Values.commonAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
`

const crdLabels = `  labels:
    {{- include "ocm-operator.labels" . | nindent 4 }}
`

// readDefinitions reads a folder of definitions, sorted by the names of their files.
func readDefinitions(folder string) ([]*definition, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("list custom resource definitions: %w", err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: has no custom resource definitions", folder)
	}
	slices.Sort(files)
	var found []*definition
	var errs []error
	for _, file := range files {
		d, err := readDefinition(file)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", file, err))
			continue
		}
		found = append(found, d)
	}
	return found, errors.Join(errs...)
}

func readDefinition(file string) (*definition, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(content, crd); err != nil {
		return nil, err
	}
	if len(crd.Spec.Versions) == 0 {
		return nil, errors.New("spec.versions: has none")
	}
	d := &definition{plural: crd.Spec.Names.Plural, kind: crd.Spec.Names.Kind, name: crd.Name, text: strings.TrimPrefix(string(content), "---\n")}
	for _, version := range crd.Spec.Versions {
		if version.Storage {
			d.version = version.Name
			if version.Schema != nil && version.Schema.OpenAPIV3Schema != nil {
				d.description = firstSentence(version.Schema.OpenAPIV3Schema.Description)
			}
		}
	}
	for _, line := range []string{annotationsLine, nameLine} {
		if strings.Count(metadata(d.text), "\n"+line) != 1 {
			return nil, fmt.Errorf("metadata: must have one line %q, as controller-gen writes it", strings.TrimSuffix(line, "\n"))
		}
	}
	return d, nil
}

// metadata returns what is before the spec.
func metadata(text string) string {
	head, _, _ := strings.Cut(text, "\nspec:")
	return head
}

// template returns the template of a definition. Everything but metadata is as it was read, with braces that are no actions.
func (d *definition) template() []byte {
	head := metadata(d.text)
	rest := strings.TrimPrefix(d.text, head)
	head = strings.Replace(escape(head), "\n"+annotationsLine, "\n"+annotationsLine+crdAnnotations, 1)
	head = strings.Replace(head, "\n"+nameLine, "\n"+crdLabels+nameLine, 1)
	var out bytes.Buffer
	out.WriteString(crdHead)
	out.WriteString(head)
	out.WriteString(escape(rest))
	out.WriteString("{{- end }}\n")
	return out.Bytes()
}

func escape(text string) string { return strings.ReplaceAll(text, "{{", `{{ "{{" }}`) }

// firstSentence returns the first sentence of a text, in one line.
func firstSentence(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if end := strings.Index(text, ". "); end >= 0 {
		return text[:end+1]
	}
	return text
}
