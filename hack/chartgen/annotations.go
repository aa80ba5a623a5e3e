package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"sigs.k8s.io/yaml"
)

// marker is the line of Chart.yaml below which all is derived. What is above is written by hand.
const marker = "  # Below this line: written by make generate.\n"

// chartMetadata is what Chart.yaml says by hand.
type chartMetadata struct {
	Name        string            `json:"name"`
	Description string            `json:"description"`
	Version     string            `json:"version"`
	AppVersion  string            `json:"appVersion"`
	KubeVersion string            `json:"kubeVersion"`
	Annotations map[string]string `json:"annotations"`
}

// Entries of annotations that Artifact Hub reads. The order of fields is the order in the file.
type (
	hubCRD struct {
		Kind        string `yaml:"kind"`
		Version     string `yaml:"version"`
		Name        string `yaml:"name"`
		DisplayName string `yaml:"displayName"`
		Description string `yaml:"description"`
	}
	hubImage struct {
		Name      string   `yaml:"name"`
		Image     string   `yaml:"image"`
		Platforms []string `yaml:"platforms"`
	}
	hubChange struct {
		Kind        string `yaml:"kind"`
		Description string `yaml:"description"`
	}
)

// annotate returns Chart.yaml with its derived annotations, and what it says by hand.
func annotate(file string, v *values, definitions []*definition, changelog string) ([]byte, *chartMetadata, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, fmt.Errorf("read the chart's metadata: %w", err)
	}
	byHand, _, found := strings.Cut(string(content), marker)
	if !found || !strings.Contains(byHand, "\nannotations:\n") {
		return nil, nil, fmt.Errorf("%s: must end with annotations, and among them the line %q", file, strings.TrimSpace(marker))
	}
	chart := &chartMetadata{}
	if err := yaml.Unmarshal([]byte(byHand), chart); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	image, err := v.image(chart.AppVersion)
	if err != nil {
		return nil, nil, err
	}
	crds := make([]hubCRD, 0, len(definitions))
	for _, d := range definitions {
		crds = append(crds, hubCRD{Kind: d.kind, Version: d.version, Name: d.name, DisplayName: d.kind, Description: d.description})
	}
	out := byHand + marker
	for _, a := range []struct {
		name    string
		entries any
	}{
		{"crds", crds},
		{"images", []hubImage{{Name: chart.Name, Image: image, Platforms: []string{"linux/amd64", "linux/arm64"}}}},
	} {
		if out, err = addAnnotation(out, a.name, a.entries); err != nil {
			return nil, nil, err
		}
	}
	if changelog != "" {
		entries, err := readChanges(changelog, chart.AppVersion)
		if err != nil {
			return nil, nil, err
		}
		if out, err = addAnnotation(out, "changes", entries); err != nil {
			return nil, nil, err
		}
	}
	return []byte(out), chart, nil
}

// image returns the image that the defaults name.
func (v *values) image(appVersion string) (string, error) {
	defaults, _ := v.defaults.(map[string]any)
	image, _ := defaults["image"].(map[string]any)
	registry, _ := image["registry"].(string)
	repository, _ := image["repository"].(string)
	if registry == "" || repository == "" || appVersion == "" {
		return "", fmt.Errorf("%s: image.registry, image.repository and the appVersion of %s must be set: the chart's annotations name the image", v.file, chartFile)
	}
	return registry + "/" + repository + ":" + appVersion, nil
}

func addAnnotation(text, name string, entries any) (string, error) {
	content, err := marshal(entries)
	if err != nil {
		return "", fmt.Errorf("write the annotation artifacthub.io/%s: %w", name, err)
	}
	var out strings.Builder
	out.WriteString(text)
	fmt.Fprintf(&out, "  artifacthub.io/%s: |\n", name)
	for line := range strings.Lines(content) {
		out.WriteString("    " + line)
	}
	return out.String(), nil
}

// kinds are the headings of Keep a Changelog, and what Artifact Hub calls them.
var kinds = map[string]string{
	"Added": "added", "Changed": "changed", "Deprecated": "deprecated", "Removed": "removed", "Fixed": "fixed", "Security": "security",
}

// readChanges returns the entries of a changelog that belong to a version, or else to none yet.
func readChanges(file, version string) ([]hubChange, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the changelog: %w", err)
	}
	for _, heading := range []string{strings.TrimPrefix(version, "v"), "Unreleased"} {
		_, section, found := strings.Cut(string(content), "\n## ["+heading+"]")
		if !found {
			continue
		}
		section, _, _ = strings.Cut(section, "\n## ")
		return changes(file, section)
	}
	return nil, fmt.Errorf("%s: has neither a section [%s] nor [Unreleased]", file, strings.TrimPrefix(version, "v"))
}

func changes(file, section string) ([]hubChange, error) {
	var found []hubChange
	kind := ""
	for line := range strings.Lines(section) {
		line = strings.TrimRight(line, "\n")
		if heading, ok := strings.CutPrefix(line, "### "); ok {
			kind = kinds[heading] // empty for what is no change, such as limits that are known
			continue
		}
		switch entry, begins := strings.CutPrefix(line, "- "); {
		case begins && kind != "":
			found = append(found, hubChange{Kind: kind, Description: entry})
		case strings.HasPrefix(line, "  ") && kind != "" && len(found) > 0:
			found[len(found)-1].Description += " " + strings.TrimSpace(line)
		}
	}
	if len(found) == 0 {
		return nil, errors.New(file + ": the section of this version has no entries")
	}
	return found, nil
}
