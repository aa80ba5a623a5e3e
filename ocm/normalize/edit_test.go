package normalize_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
)

// editor walks through a descriptor and makes one change: that with the number
// which is left. It knows no field by name but the times, so that a field that is
// added to descriptors is changed as well.
type editor struct {
	left int
	// path is where and how the change was made.
	path string
}

// edit makes change n of all that are possible, and reports whether there is one.
func edit(d *descriptor.Descriptor, n int) (string, bool) {
	e := &editor{left: n}
	e.walk(reflect.ValueOf(d).Elem(), "")
	return e.path, e.path != ""
}

// now reports whether it is the turn of a change.
func (e *editor) now(path string) bool {
	e.left--
	if e.left == -1 {
		e.path = path
	}
	return e.left == -1
}

func (e *editor) walk(v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			name := "." + v.Type().Field(i).Name
			if v.Type().Field(i).Anonymous {
				name = ""
			}
			e.walk(v.Field(i), path+name)
		}
	case reflect.Pointer:
		if e.now(path + ":set") {
			if !v.IsNil() {
				v.SetZero()
				return
			}
			v.Set(reflect.New(v.Type().Elem()))
		}
		if !v.IsNil() {
			e.walk(v.Elem(), path)
		}
	case reflect.Slice:
		e.slice(v, path)
	case reflect.Map:
		e.identity(v, path)
	case reflect.Bool:
		if e.now(path) {
			v.SetBool(!v.Bool())
		}
	case reflect.String:
		e.text(v, path)
	default:
		panic(fmt.Sprintf("%s is a %s, which no change is known for", path, v.Type()))
	}
}

func (e *editor) text(v reflect.Value, path string) {
	if e.now(path) {
		switch {
		case strings.HasSuffix(path, ".CreationTime"):
			t, _ := time.Parse(time.RFC3339, v.String())
			v.SetString(t.Add(time.Hour).Format(time.RFC3339))
		case path == ".Schema" && v.String() == string(descriptor.SchemaV2):
			v.SetString(string(descriptor.SchemaV3Alpha1))
		case path == ".Schema":
			v.SetString(string(descriptor.SchemaV2))
		default:
			v.SetString(v.String() + "x")
		}
	}
	if v.String() != "" && path != ".Schema" && e.now(path+":empty") {
		v.SetString("")
	}
}

// identity adds, removes and changes an attribute.
func (e *editor) identity(v reflect.Value, path string) {
	id, _ := reflect.TypeAssert[descriptor.Identity](v)
	set := func(key, value string) {
		id = maps.Clone(id)
		if id == nil {
			id = descriptor.Identity{}
		}
		if id[key] = value; value == "" {
			delete(id, key)
		}
		v.Set(reflect.ValueOf(id))
	}
	if e.now(path + ":add") {
		set("added", "x")
	}
	for _, key := range slices.Sorted(maps.Keys(id)) {
		if e.now(path + "[" + key + "]") {
			set(key, id[key]+"x")
		}
		if e.now(path + "[" + key + "]:remove") {
			set(key, "")
		}
	}
}

func (e *editor) slice(v reflect.Value, path string) {
	if raw, ok := reflect.TypeAssert[json.RawMessage](v); ok {
		if e.now(path) {
			v.SetBytes(marshal([]any{raw, "x"}))
		}
		if len(raw) > 0 && e.now(path+":empty") {
			v.SetBytes(nil)
		}
		return
	}
	for i := range v.Len() {
		at := path + "[" + mark(v.Index(i)) + "]"
		if e.now(at + ":remove") {
			v.Set(reflect.AppendSlice(v.Slice3(0, i, i), v.Slice(i+1, v.Len())))
			return
		}
		if e.now(at + ":double") {
			v.Set(reflect.AppendSlice(v.Slice3(0, i+1, i+1), v.Slice(i, v.Len())))
			return
		}
		if i > 0 && mark(v.Index(i)) == mark(v.Index(i-1)) && e.now(at+":swap") {
			reflect.Swapper(v.Interface())(i, i-1)
			return
		}
		e.walk(v.Index(i), at)
	}
}

// mark tells apart what is signed in different ways.
func mark(v reflect.Value) string {
	switch v := v.Interface().(type) {
	case descriptor.Label:
		if v.Signing {
			return "signed"
		}
	case descriptor.Resource:
		if v.Access.Type == "none" {
			return "none"
		}
	}
	return ""
}

var (
	never = regexp.MustCompile(`^\.(Signatures|NestedDigests|Component\.RepositoryContexts|Component\.Provider\.Object)|\.Access|\.SourceReferences|\[none\]\.Digest`)
	label = regexp.MustCompile(`\.Labels\[(signed|)\](.*)`)
)

// signed reports whether a change is to be seen in a canonical form.
func signed(algorithm string, schema descriptor.Schema, path string) bool {
	oldest, v3 := algorithm == normalize.V1, schema == descriptor.SchemaV3Alpha1
	switch {
	case strings.Contains(path, "[none].Access.Type"):
		// It decides whether the digest counts.
		return true
	case never.MatchString(path):
		return false
	case path == ".Schema":
		return oldest
	case strings.HasPrefix(path, ".Component.Sources"):
		if oldest && !v3 {
			return false
		}
	case strings.HasPrefix(path, ".Component.References"):
		if !oldest {
			return true
		}
	case strings.HasPrefix(path, ".Component.Provider"):
		if oldest && v3 {
			return true
		}
	}
	if m := label.FindStringSubmatch(path); len(m) > 0 && m[2] != ".Signing" {
		return m[1] == "signed" && !strings.HasPrefix(m[2], ".Merge")
	}
	return true
}

// TestEdits makes each single change to generated descriptors, and compares who
// sees it with what is to be signed.
func TestEdits(t *testing.T) {
	t.Parallel()
	for _, schema := range []descriptor.Schema{descriptor.SchemaV2, descriptor.SchemaV3Alpha1} {
		for seed := range uint64(2) {
			before := normalised(t, generate(seed, schema))
			seen := map[bool]int{}
			for n := 0; ; n++ {
				d := generate(seed, schema)
				path, ok := edit(d, n)
				if !ok {
					break
				}
				for algorithm, text := range normalised(t, d) {
					want := signed(algorithm, schema, path)
					if (text != before[algorithm]) != want {
						t.Errorf("%s, schema %s, seed %d: change %s of what is signed: %v, want %v", algorithm, schema, seed, path, !want, want)
					}
					seen[want]++
				}
			}
			if seen[true] < 500 || seen[false] < 300 {
				t.Errorf("schema %s, seed %d: only %v changes", schema, seed, seen)
			}
		}
	}
}

// TestUnchanged holds that a descriptor is as it was, and its form the same each
// time and canonical.
func TestUnchanged(t *testing.T) {
	t.Parallel()
	for _, schema := range []descriptor.Schema{descriptor.SchemaV2, descriptor.SchemaV3Alpha1} {
		for seed := range uint64(10) {
			d := generate(seed, schema)
			// Two that only a version tells apart, which older forms treat in a way of their own.
			d.Component.Resources = append(d.Component.Resources, d.Component.Resources[0])
			d.Component.Resources[0].Version = "9.9.9"
			want := *d
			want.Component.Resources = slices.Clone(d.Component.Resources)
			first := normalised(t, d)
			if diff := cmp.Diff(&want, d); diff != "" {
				t.Errorf("the descriptor changed:\n%s", diff)
			}
			if diff := cmp.Diff(first, normalised(t, d)); diff != "" {
				t.Errorf("another form the second time:\n%s", diff)
			}
			for algorithm, text := range first {
				if again := reencode(t, text, algorithm == normalize.V1); again != text {
					t.Errorf("%s is not canonical:\n%s", algorithm, cmp.Diff(again, text))
				}
			}
		}
	}
}

// reencode writes JSON as the standard library does, whose members are sorted by
// bytes. No generated name is sorted in another way by RFC 8785.
func reencode(t *testing.T, text string, html bool) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(html)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	again := strings.TrimSuffix(out.String(), "\n")
	if !html {
		again = strings.NewReplacer(`\u2028`, "\u2028", `\u2029`, "\u2029").Replace(again)
	}
	return again
}
