// Package chart reads what a packed Helm chart says of itself, from the beginning of its archive. It unpacks nothing and
// knows nothing of templates.
package chart

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"
)

const (
	// HeadBytes is how much of a packed chart Find wants to see; Helm writes the metadata first.
	HeadBytes = 1 << 20
	// MaxMetadata bounds Chart.yaml.
	MaxMetadata = 256 << 10
	// MaxUnpacked bounds what the beginning of a chart may unpack to while its metadata is looked for.
	MaxUnpacked = 16 << 20

	fileName = "Chart.yaml"
)

// Metadata is what a chart says of itself.
type Metadata struct {
	// Name and Version are those of the chart.
	Name, Version string
	// JSON is all that its Chart.yaml holds, the config of an OCI artifact with the chart.
	JSON []byte
	// Root is the folder in which everything in the archive lies, and Text its Chart.yaml as it is. Parse leaves them empty.
	Root string
	Text []byte
}

// File returns the path of Chart.yaml in the archive.
func (m *Metadata) File() string { return m.Root + "/" + fileName }

// Parse reads the content of a Chart.yaml, of which a name and a version are required.
func Parse(text []byte) (*Metadata, error) {
	if err := checkAliases(text); err != nil {
		return nil, fmt.Errorf("read Chart.yaml: %w", err)
	}
	raw, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil, fmt.Errorf("read Chart.yaml: %w", err)
	}
	var metadata struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	if err := json.Unmarshal(raw, &metadata); err != nil {
		return nil, fmt.Errorf("read Chart.yaml: %w", err)
	}
	if metadata.Name == "" || metadata.Version == "" {
		return nil, errors.New("its Chart.yaml has no name or no version")
	}
	return &Metadata{Name: metadata.Name, Version: metadata.Version, JSON: raw}, nil
}

// checkAliases refuses aliases that repeat so much that the text would be larger than MaxMetadata without them: a few of them
// can make gigabytes.
func checkAliases(text []byte) error {
	if !bytes.ContainsRune(text, '*') {
		return nil
	}
	var root yamlv3.Node
	if err := yamlv3.Unmarshal(text, &root); err != nil {
		return err
	}
	if left := MaxMetadata; !fits(&root, &left) {
		return fmt.Errorf("its aliases make more than %d bytes of it", MaxMetadata)
	}
	return nil
}

// fits takes what a value has from what is left. Each value has a byte at least, which ends one that contains itself.
func fits(n *yamlv3.Node, left *int) bool {
	if *left -= 1 + len(n.Value); *left < 0 {
		return false
	}
	if n.Kind == yamlv3.AliasNode {
		return fits(n.Alias, left)
	}
	for _, child := range n.Content {
		if !fits(child, left) {
			return false
		}
	}
	return true
}

// Find reads the chart's own Chart.yaml, not those of charts below it, from the beginning of the packed chart.
func Find(head []byte) (*Metadata, error) {
	unpacked, err := gzip.NewReader(bytes.NewReader(head))
	if err != nil {
		return nil, err
	}
	files := tar.NewReader(io.LimitReader(unpacked, MaxUnpacked))
	for {
		header, err := files.Next()
		if err != nil {
			return nil, fmt.Errorf("no Chart.yaml in the first %d bytes: %w", len(head), err)
		}
		name := path.Clean(header.Name)
		if path.Base(name) != fileName || strings.Count(name, "/") != 1 {
			continue
		}
		if header.Size > MaxMetadata {
			return nil, fmt.Errorf("its Chart.yaml has %d bytes, more than %d", header.Size, MaxMetadata)
		}
		text, err := io.ReadAll(io.LimitReader(files, MaxMetadata))
		if err != nil {
			return nil, err
		}
		found, err := Parse(text)
		if err != nil {
			return nil, err
		}
		found.Root, found.Text = path.Dir(name), text
		return found, nil
	}
}
