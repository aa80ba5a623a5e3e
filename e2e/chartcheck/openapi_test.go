package chartcheck

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
)

const refPrefix = "#/components/schemas/"

// openAPI writes what an API server says about its kinds as JSON schemas, one file for each kind that is asked for.
type openAPI struct {
	dir     string
	client  discovery.DiscoveryInterface
	written map[schema.GroupVersionKind]bool
}

// location is the name of the file of a kind, in the template language of kubeconform.
const location = "{{.Group}}_{{.ResourceAPIVersion}}_{{.ResourceKind}}.json"

func newOpenAPI(tb testing.TB, config *rest.Config) *openAPI {
	tb.Helper()
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		tb.Fatal(err)
	}
	return &openAPI{dir: tb.TempDir(), client: client, written: map[schema.GroupVersionKind]bool{}}
}

// add writes the schema of a kind.
func (o *openAPI) add(ctx context.Context, gvk schema.GroupVersionKind) error {
	if o.written[gvk] {
		return nil
	}
	var standalone []byte
	// The schemas of a definition are published some time after its objects are served.
	err := wait.PollUntilContextTimeout(ctx, readyPoll, readyTimeout, true, func(context.Context) (bool, error) {
		all, err := o.schemas(gvk.GroupVersion())
		if err != nil {
			return false, err
		}
		name, found := find(all, gvk)
		if found {
			standalone, err = json.Marshal(closed(all, name))
		}
		return found, err
	})
	if err != nil {
		return fmt.Errorf("ask the API server for the schema of %s: %w", gvk, err)
	}
	group := gvk.Group
	if group == "" {
		group = gvk.Version // as kubeconform has it
	}
	file := fmt.Sprintf("%s_%s_%s.json", group, gvk.Version, strings.ToLower(gvk.Kind))
	if err := os.WriteFile(filepath.Join(o.dir, file), standalone, 0o600); err != nil {
		return err
	}
	o.written[gvk] = true
	return nil
}

// schemas returns all schemas of a version of a group, or none yet.
func (o *openAPI) schemas(gv schema.GroupVersion) (map[string]map[string]any, error) {
	path := "apis/" + gv.String()
	if gv.Group == "" {
		path = "api/" + gv.Version
	}
	paths, err := o.client.OpenAPIV3().Paths()
	if err != nil {
		return nil, err
	}
	document, ok := paths[path]
	if !ok {
		return map[string]map[string]any{}, nil
	}
	content, err := document.Schema("application/json")
	if err != nil {
		return nil, err
	}
	var all struct {
		Components struct {
			Schemas map[string]map[string]any `json:"schemas"`
		} `json:"components"`
	}
	err = json.Unmarshal(content, &all)
	return all.Components.Schemas, err
}

// find returns the name of the schema of a kind.
func find(all map[string]map[string]any, wanted schema.GroupVersionKind) (string, bool) {
	for name, s := range all {
		kinds, _ := s["x-kubernetes-group-version-kind"].([]any)
		for _, kind := range kinds {
			gvk, _ := kind.(map[string]any)
			if gvk["group"] == wanted.Group && gvk["version"] == wanted.Version && gvk["kind"] == wanted.Kind {
				return name, true
			}
		}
	}
	return "", false
}

// closed returns a schema with all that it refers to, in which objects have the fields that are listed and no others.
func closed(all map[string]map[string]any, name string) map[string]any {
	found := map[string]any{}
	var visit func(part any)
	visit = func(part any) {
		switch part := part.(type) {
		case map[string]any:
			if ref, ok := part["$ref"].(string); ok {
				inner := strings.TrimPrefix(ref, refPrefix)
				if _, seen := found[inner]; !seen {
					found[inner] = all[inner]
					visit(all[inner])
				}
			}
			_, fields := part["properties"].(map[string]any)
			if _, said := part["additionalProperties"]; fields && !said && part["x-kubernetes-preserve-unknown-fields"] != true {
				part["additionalProperties"] = false
			}
			for _, inner := range part {
				visit(inner)
			}
		case []any:
			for _, inner := range part {
				visit(inner)
			}
		}
	}
	root := map[string]any{"$ref": refPrefix + name}
	visit(root)
	return map[string]any{"$ref": refPrefix + name, "components": map[string]any{"schemas": found}}
}
