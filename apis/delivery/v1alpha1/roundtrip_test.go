package v1alpha1_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/ocm-operator/ocm-operator/apis/crds"
	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
)

// TestSchemaKnowsEveryField fills every field of every kind, and holds that the API server would keep them all and that they read back as they were.
func TestSchemaKnowsEveryField(t *testing.T) {
	t.Parallel()
	all, err := crds.All()
	if err != nil {
		t.Fatal(err)
	}
	scheme := newScheme(t)
	for _, crd := range all {
		t.Run(crd.Spec.Names.Kind, func(t *testing.T) {
			t.Parallel()
			object, err := scheme.New(v1alpha1.GroupVersion.WithKind(crd.Spec.Names.Kind))
			if err != nil {
				t.Fatal(err)
			}
			fill(reflect.ValueOf(object).Elem(), 0)
			data, err := json.Marshal(object)
			if err != nil {
				t.Fatal(err)
			}
			var content map[string]any
			if err := json.Unmarshal(data, &content); err != nil {
				t.Fatal(err)
			}
			options := schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}
			if lost := pruning.PruneWithOptions(content, structural(t, crd), true, options); len(lost) > 0 {
				t.Errorf("the definition does not know %v: generate it again", lost)
			}
			again, err := scheme.New(v1alpha1.GroupVersion.WithKind(crd.Spec.Names.Kind))
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(data, again); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(object, again); diff != "" {
				t.Errorf("it reads back differently: %s", diff)
			}
			if diff := cmp.Diff(object, object.DeepCopyObject()); diff != "" {
				t.Errorf("its copy differs: %s", diff)
			}
		})
	}
}

// TestManifestsRoundTrip holds that manifests have no field that the types do not know, and lose nothing on their way through them.
func TestManifestsRoundTrip(t *testing.T) {
	t.Parallel()
	scheme := newScheme(t)
	files, err := filepath.Glob("testdata/*/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no manifests were found: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, document := range bytes.Split(data, []byte("\n---\n")) {
			t.Run(fmt.Sprintf("%s/%d", filepath.Base(file), i), func(t *testing.T) {
				t.Parallel()
				var written map[string]any
				if err := yaml.UnmarshalStrict(document, &written); err != nil {
					t.Fatal(err)
				}
				object, err := scheme.New(v1alpha1.GroupVersion.WithKind(written["kind"].(string)))
				if err != nil {
					t.Fatal(err)
				}
				if err := yaml.UnmarshalStrict(document, object); err != nil {
					t.Fatal(err)
				}
				read, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
				if err != nil {
					t.Fatal(err)
				}
				if lost := missing("", written, read); len(lost) > 0 {
					t.Errorf("these are lost or changed: %v", lost)
				}
			})
		}
	}
}

// missing lists the paths whose values in want are not in got. Durations may be spelt differently.
func missing(path string, want, got any) []string {
	switch w := want.(type) {
	case map[string]any:
		g, _ := got.(map[string]any)
		var lost []string
		for key, value := range w {
			if path == ".spec" && key == "references" && g[key] == nil {
				continue // an empty object is left out
			}
			lost = append(lost, missing(path+"."+key, value, g[key])...)
		}
		return lost
	case []any:
		g, _ := got.([]any)
		if len(g) != len(w) {
			return []string{path}
		}
		var lost []string
		for i := range w {
			lost = append(lost, missing(fmt.Sprintf("%s[%d]", path, i), w[i], g[i])...)
		}
		return lost
	default:
		if fmt.Sprint(want) == fmt.Sprint(got) || sameDuration(want, got) {
			return nil
		}
		return []string{path}
	}
}

func sameDuration(a, b any) bool {
	first, err := time.ParseDuration(fmt.Sprint(a))
	if err != nil {
		return false
	}
	second, err := time.ParseDuration(fmt.Sprint(b))
	return err == nil && first == second
}

func newScheme(t testing.TB) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return scheme
}

func structural(t testing.TB, crd *apiextensionsv1.CustomResourceDefinition) *schema.Structural {
	t.Helper()
	var internal apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(crd.Spec.Versions[0].Schema.OpenAPIV3Schema, &internal, nil); err != nil {
		t.Fatal(err)
	}
	converted, err := schema.NewStructural(&internal)
	if err != nil {
		t.Fatal(err)
	}
	return converted
}

// fill sets every field to something, and lists that contain themselves to a depth of a few.
func fill(v reflect.Value, depth int) {
	switch target := v.Addr().Interface().(type) {
	case *metav1.TypeMeta:
		return
	case *metav1.ObjectMeta:
		target.Name, target.Namespace = "name", "namespace"
		return
	case *metav1.Time:
		*target = metav1.Unix(1_700_000_000, 0)
		return
	case *metav1.Duration:
		target.Duration = time.Minute
		return
	case *apiextensionsv1.JSON:
		target.Raw = []byte(`{"any":["thing",1,true,null]}`)
		return
	case *v1alpha1.Access:
		*target = v1alpha1.Access{Type: "ociBlob", Raw: []byte(`{"type":"ociBlob","size":3072}`)}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth)
	case reflect.Struct:
		for _, field := range v.Fields() {
			fill(field, depth+1)
		}
	case reflect.Slice:
		if depth < 12 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			fill(v.Index(0), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"key": "value"}))
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32, reflect.Int64:
		v.SetInt(7)
	default:
		panic("fill does not know " + v.Type().String())
	}
}
