package scenarios_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// constructor is what the guides use of a component constructor, the file that "ocm add componentversions" reads.
type constructor struct {
	Components []struct {
		Name     string `json:"name"`
		Version  string `json:"version"`
		Provider struct {
			Name string `json:"name"`
		} `json:"provider"`
		Resources []struct {
			Name          string             `json:"name"`
			Type          string             `json:"type"`
			Version       string             `json:"version"`
			ExtraIdentity map[string]string  `json:"extraIdentity"`
			Labels        []descriptor.Label `json:"labels"`
			Input         *input             `json:"input"`
			Access        *image             `json:"access"`
		} `json:"resources"`
		References []struct {
			Name          string `json:"name"`
			ComponentName string `json:"componentName"`
			Version       string `json:"version"`
		} `json:"componentReferences"`
	} `json:"components"`
}

// input is content that lies beside the constructor.
type input struct {
	Type      string `json:"type"`
	Path      string `json:"path"`
	MediaType string `json:"mediaType"`
}

// image is content that lies in a registry.
type image struct {
	Type           string `json:"type"`
	ImageReference string `json:"imageReference"`
}

// components makes the components of a guide, in an order in which they can be published.
func components(t *testing.T, guide string, replace ...string) []ocmtest.Component {
	t.Helper()
	dir := filepath.Join(guides, guide, "component")
	raw, err := os.ReadFile(filepath.Join(dir, "component-constructor.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var c constructor
	if err := yaml.UnmarshalStrict([]byte(replaced(t, string(raw), replace...)), &c); err != nil {
		t.Fatal(err)
	}
	var made []ocmtest.Component
	for _, component := range c.Components {
		m := ocmtest.Component{Name: component.Name, Version: component.Version, Provider: component.Provider.Name}
		for _, r := range component.Resources {
			resource := ocmtest.Resource{Name: r.Name, Type: r.Type, Version: r.Version, ExtraIdentity: r.ExtraIdentity, Labels: r.Labels}
			if r.Input != nil {
				resource.Content, resource.MediaType = r.Input.read(t, dir)
			} else {
				resource.Image = r.Access.ImageReference
			}
			m.Resources = append(m.Resources, resource)
		}
		for _, r := range component.References {
			m.References = append(m.References, ocmtest.Reference{Name: r.Name, Component: r.ComponentName, Version: r.Version})
		}
		made = append(made, m)
	}
	return made
}

// read returns the content as the ocm command packs it, and its media type.
func (i *input) read(t *testing.T, dir string) (content []byte, mediaType string) {
	t.Helper()
	path := filepath.Join(dir, i.Path)
	switch i.Type {
	case "file":
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return content, i.MediaType
	case "dir":
		return pack(t, path, ""), "application/x-tar"
	case "helm":
		return chart(t, path), "application/vnd.oci.image.manifest.v1+tar+gzip"
	}
	t.Fatalf("input type %q is not known: file, dir and helm are", i.Type)
	return nil, ""
}

// pack returns a folder as an archive whose names have a prefix.
func pack(t *testing.T, dir, prefix string) []byte {
	t.Helper()
	var files []ocmtest.File
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		files = append(files, ocmtest.File{Name: prefix + strings.TrimPrefix(filepath.ToSlash(path), filepath.ToSlash(dir)+"/"), Content: content})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	archive, err := ocmtest.Tar(files...)
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

// chart packs a chart as "helm package" does, and the artifact that it is pushed as.
func chart(t *testing.T, dir string) []byte {
	t.Helper()
	var metadata struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	raw, err := os.ReadFile(filepath.Join(dir, "Chart.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if raw, err = yaml.YAMLToJSON(raw); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &metadata); err != nil {
		t.Fatal(err)
	}
	packed, err := ocmtest.Gzip(pack(t, dir, metadata.Name+"/"))
	if err != nil {
		t.Fatal(err)
	}
	artifact, _, err := ocmtest.Chart(metadata.Name, metadata.Version, packed).Pack(ocmtest.Archive{})
	if err != nil {
		t.Fatal(err)
	}
	return artifact
}
