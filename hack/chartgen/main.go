package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Files of a chart that are read and written. The templates of definitions have a folder of their own, in which there is
// nothing else.
const (
	valuesFile   = "values.yaml"
	schemaFile   = "values.schema.json"
	readmeFile   = "README.md"
	readmeSource = "README.md.gotmpl"
	chartFile    = "Chart.yaml"
	crdFolder    = "templates/crds"
)

func main() {
	chart := flag.String("chart", "charts/ocm-operator", "folder of the chart")
	crds := flag.String("crds", "apis/crds", "folder of the custom resource definitions")
	changelog := flag.String("changes", "", "changelog whose section of the chart's appVersion, or else of what is unreleased, becomes the annotation of changes")
	flag.Parse()
	if err := run(*chart, *crds, *changelog); err != nil {
		fmt.Fprintln(os.Stderr, err)
		fmt.Fprintln(os.Stderr, "error: nothing was written; correct what is listed above")
		os.Exit(1)
	}
}

// run writes the derived files of a chart.
func run(chart, crds, changelog string) error {
	files, err := generate(chart, crds, changelog)
	if err != nil {
		return err
	}
	if err := removeStale(filepath.Join(chart, crdFolder), files); err != nil {
		return err
	}
	for name, content := range files {
		if err := write(filepath.Join(chart, name), content); err != nil {
			return err
		}
	}
	return nil
}

// generate returns the derived files by their path in the chart.
func generate(chart, crds, changelog string) (map[string][]byte, error) {
	values, valuesErr := readValues(filepath.Join(chart, valuesFile))
	definitions, crdErr := readDefinitions(crds)
	if err := errors.Join(valuesErr, crdErr); err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, d := range definitions {
		files[crdFolder+"/"+d.plural+".yaml"] = d.template()
	}
	var schemaErr, chartErr, readmeErr error
	files[schemaFile], schemaErr = values.schema()
	var about *chartMetadata
	files[chartFile], about, chartErr = annotate(filepath.Join(chart, chartFile), values, definitions, changelog)
	if err := errors.Join(schemaErr, chartErr); err != nil {
		return nil, err
	}
	files[readmeFile], readmeErr = readme(filepath.Join(chart, readmeSource), about, values)
	return files, readmeErr
}

// removeStale removes templates of definitions that are no more.
func removeStale(folder string, files map[string][]byte) error {
	found, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		return fmt.Errorf("list templates of definitions: %w", err)
	}
	for _, file := range found {
		if _, wanted := files[crdFolder+"/"+filepath.Base(file)]; wanted {
			continue
		}
		if err := os.Remove(file); err != nil {
			return fmt.Errorf("remove the template of a definition that is no more: %w", err)
		}
	}
	return nil
}

// write leaves a file alone that is right already, so that its time tells when it changed.
func write(file string, content []byte) error {
	found, err := os.ReadFile(file)
	if err == nil && bytes.Equal(found, content) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read what is to be replaced: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("create the folder of %s: %w", filepath.Base(file), err)
	}
	if err := os.WriteFile(file, content, 0o644); err != nil {
		return fmt.Errorf("write a derived file: %w", err)
	}
	return nil
}
