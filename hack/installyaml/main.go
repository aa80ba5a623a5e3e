// Command installyaml makes a file for `kubectl apply` of what `helm template` prints: with the namespace in front, then the
// definitions, and without what only Helm reads. It changes nothing else, and knows nothing of the chart.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

func main() {
	namespace := flag.String("namespace", "ocm-system", "namespace that is created")
	title := flag.String("title", "ocm-operator", "what the file installs, for its first line")
	flag.Parse()
	out, err := convert(os.Stdin, *namespace, *title)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	if _, err := os.Stdout.Write(out); err != nil {
		fmt.Fprintln(os.Stderr, "error: write the manifests:", err)
		os.Exit(1)
	}
}

// head is the beginning of the file. Everything that the chart installs keeps to the profile, so the namespace demands it.
const head = `# %[1]s, rendered from its chart with the defaults: kubectl apply --server-side -f install.yaml
# To choose other values, install the chart.
apiVersion: v1
kind: Namespace
metadata:
  name: %[2]s
  labels:
    app.kubernetes.io/name: ocm-operator
    app.kubernetes.io/part-of: ocm-operator
    pod-security.kubernetes.io/enforce: restricted
`

// convert reads documents and returns them in the order in which they can be applied.
func convert(r io.Reader, namespace, title string) ([]byte, error) {
	var definitions, others []*yaml.Node
	decoder := yaml.NewDecoder(r)
	for {
		document := &yaml.Node{}
		err := decoder.Decode(document)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read what helm has rendered: %w", err)
		}
		object := document.Content[0]
		if object.Kind != yaml.MappingNode {
			continue // a document of comments
		}
		metadata := field(object, "metadata")
		if metadata == nil || field(object, "kind") == nil {
			return nil, fmt.Errorf("line %d: this is no object of Kubernetes: it has no kind or no metadata", object.Line)
		}
		if hook(metadata) {
			continue // only Helm knows when to run it
		}
		clean(metadata)
		if field(object, "kind").Value == "CustomResourceDefinition" {
			definitions = append(definitions, object)
		} else {
			others = append(others, object)
		}
	}
	if len(others) == 0 {
		return nil, errors.New("helm has rendered nothing")
	}
	return encode(fmt.Sprintf(head, title, namespace), append(definitions, others...))
}

func encode(head string, objects []*yaml.Node) ([]byte, error) {
	out := bytes.NewBufferString(head)
	for _, object := range objects {
		// "# Source: ..." of helm names files that are not there.
		object.HeadComment, object.Content[0].HeadComment = "", ""
		out.WriteString("---\n")
		encoder := yaml.NewEncoder(out)
		encoder.SetIndent(2)
		if err := encoder.Encode(object); err != nil {
			return nil, fmt.Errorf("write %s: %w", field(object, "kind").Value, err)
		}
	}
	return out.Bytes(), nil
}

// field returns the value of a key of a mapping, or nil.
func field(mapping *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == name {
			return mapping.Content[i+1]
		}
	}
	return nil
}

func hook(metadata *yaml.Node) bool {
	annotations := field(metadata, "annotations")
	return annotations != nil && field(annotations, "helm.sh/hook") != nil
}

// clean removes the labels and annotations by which Helm finds what is its own: it would take these objects for its own, and
// refuse to install beside them.
func clean(metadata *yaml.Node) {
	for _, name := range []string{"labels", "annotations"} {
		found := field(metadata, name)
		if found == nil {
			continue
		}
		remove(found, func(key, value *yaml.Node) bool {
			return strings.HasPrefix(key.Value, "helm.sh/") || key.Value == "app.kubernetes.io/managed-by" && value.Value == "Helm"
		})
		if len(found.Content) == 0 {
			remove(metadata, func(key, _ *yaml.Node) bool { return key.Value == name })
		}
	}
}

// remove drops the keys of a mapping that are unwanted.
func remove(mapping *yaml.Node, unwanted func(key, value *yaml.Node) bool) {
	var kept []*yaml.Node
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if !unwanted(mapping.Content[i], mapping.Content[i+1]) {
			kept = append(kept, mapping.Content[i], mapping.Content[i+1])
		}
	}
	mapping.Content = kept
}
