package v1alpha1_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// apiField is a field of an API type with everything that its comment says.
type apiField struct {
	owner, name string
	tag         string
	doc         string
	markers     []string
	expr        ast.Expr
}

func (f apiField) has(marker string) bool {
	for _, m := range f.markers {
		if m == marker || strings.HasPrefix(m, marker+"=") || strings.HasPrefix(m, marker+":") {
			return true
		}
	}
	return false
}

// root tells whether the field is one of the three that every kind has.
func (f apiField) root() bool { return f.name == "metadata" || f.name == "spec" || f.name == "status" }

// written tells whether only the controller writes the field, so that it has no default to speak of.
func (f apiField) written() bool {
	switch f.owner {
	case "Origin", "Reference", "VerifiedSignature", "UnprotectedResource", "PassedOverVersion", "AcceptedVersion",
		"ReplicatedVersion", "ReplicationProgress", "Replication", "ReplicationFailure":
		return true // parts of a status
	}
	return strings.HasSuffix(f.owner, "Status")
}

// apiFields reads the fields of all types from the source.
func apiFields(t *testing.T) []apiField {
	t.Helper()
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var all []apiField
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "zz_generated") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(node ast.Node) bool {
			if spec, ok := node.(*ast.TypeSpec); ok && !strings.HasSuffix(spec.Name.Name, "List") {
				all = append(all, structFields(spec)...)
			}
			return true
		})
	}
	if len(all) < 100 {
		t.Fatalf("got %d fields, so the source was not read", len(all))
	}
	return all
}

func structFields(spec *ast.TypeSpec) []apiField {
	structure, ok := spec.Type.(*ast.StructType)
	if !ok {
		return nil
	}
	var found []apiField
	for _, field := range structure.Fields.List {
		if field.Tag == nil {
			continue
		}
		tag := reflect.StructTag(strings.Trim(field.Tag.Value, "`")).Get("json")
		name, _, _ := strings.Cut(tag, ",")
		if name == "" || name == "-" {
			continue
		}
		f := apiField{owner: spec.Name.Name, name: name, tag: tag, expr: field.Type}
		if field.Doc != nil {
			for _, line := range field.Doc.List {
				text := strings.TrimSpace(strings.TrimPrefix(line.Text, "//"))
				if marker, ok := strings.CutPrefix(text, "+"); ok {
					f.markers = append(f.markers, marker)
				} else {
					f.doc += text + " "
				}
			}
		}
		f.doc = strings.TrimSpace(f.doc)
		found = append(found, f)
	}
	return found
}

func TestEveryFieldIsExplained(t *testing.T) {
	t.Parallel()
	for _, f := range apiFields(t) {
		where := f.owner + "." + f.name
		if !strings.HasPrefix(f.doc, f.name+" ") {
			t.Errorf("%s: its comment must begin with its name in JSON", where)
		}
		if !strings.HasSuffix(f.doc, ".") && !strings.Contains(f.doc, "Example: ") {
			t.Errorf("%s: its comment must end with a full stop", where)
		}
		if !f.root() && !strings.Contains(f.doc, "Example: ") {
			t.Errorf("%s: its comment must give an example", where)
		}
		if !f.root() && !f.written() && !strings.Contains(f.doc, "default") {
			t.Errorf("%s: its comment must state the default, or that there is none", where)
		}
	}
}

func TestEveryFieldIsOptionalOrRequired(t *testing.T) {
	t.Parallel()
	for _, f := range apiFields(t) {
		where := f.owner + "." + f.name
		if f.has("optional") == f.has("required") {
			t.Errorf("%s: it must have one of the markers +optional and +required", where)
		}
		omitted := strings.Contains(f.tag, ",omitempty") || strings.Contains(f.tag, ",omitzero")
		if omitted != f.has("optional") {
			t.Errorf("%s: what is optional is omitted when empty, and what is required is not", where)
		}
	}
}

func TestEveryFieldIsBounded(t *testing.T) {
	t.Parallel()
	for _, f := range apiFields(t) {
		if f.has("kubebuilder:validation:Schemaless") {
			continue
		}
		var wanted []string
		switch typeName(f.expr) {
		case "string":
			wanted = []string{"kubebuilder:validation:MaxLength"}
		case "slice":
			wanted = []string{"kubebuilder:validation:MaxItems", "listType"}
		case "map":
			wanted = []string{"kubebuilder:validation:MaxProperties", "mapType"}
		case "metav1.Duration":
			wanted = []string{"kubebuilder:validation:MaxLength", "kubebuilder:validation:XValidation"}
		case "apiextensionsv1.JSON":
			wanted = []string{"kubebuilder:pruning:PreserveUnknownFields"}
		}
		for _, marker := range wanted {
			if !f.has(marker) {
				t.Errorf("%s.%s: a field of type %s needs the marker +%s", f.owner, f.name, typeName(f.expr), marker)
			}
		}
	}
}

// boundOf finds the bound that a comment speaks of.
var boundOf = regexp.MustCompile(`(?:at most|1 to) (\d+)`)

func TestBoundsAreStated(t *testing.T) {
	t.Parallel()
	for _, f := range apiFields(t) {
		for _, marker := range f.markers {
			name, bound, _ := strings.Cut(marker, "=")
			kind := name[strings.LastIndex(name, ":")+1:]
			if typeName(f.expr) == "metav1.Duration" || strings.Contains(name, ":items:") || kind != "MaxLength" && kind != "MaxItems" && kind != "MaxProperties" {
				continue
			}
			stated := boundOf.FindStringSubmatch(strings.ToLower(f.doc))
			if len(stated) != 2 || stated[1] != bound {
				t.Errorf("%s.%s: its comment must state the bound %s as \"at most %s\" or \"1 to %s\"", f.owner, f.name, kind, bound, bound)
			}
		}
	}
}

func TestEveryRuleHasAMessage(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	rules := 0
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, group := range file.Comments {
			for _, line := range group.List {
				if !strings.Contains(line.Text, "+kubebuilder:validation:") || !strings.Contains(line.Text, "XValidation:rule=") {
					continue
				}
				rules++
				if !strings.Contains(line.Text, `,message="`) {
					t.Errorf("%s: a rule has no message that says how to satisfy it: %s", path, line.Text)
				}
			}
		}
	}
	if rules == 0 {
		t.Error("no rule was found, so the source was not read")
	}
}

func typeName(expr ast.Expr) string {
	switch e := expr.(type) {
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.ArrayType:
		return "slice"
	case *ast.MapType:
		return "map"
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return typeName(e.X) + "." + e.Sel.Name
	default:
		return "other"
	}
}
