package descriptor_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
)

func load(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func parse(t testing.TB, data []byte) *descriptor.Descriptor {
	t.Helper()
	d, err := descriptor.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestRoundTrip writes what a reference tool wrote, byte by byte.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	want := bytes.TrimPrefix(load(t, "v2.yaml"), []byte("---\n"))
	got, err := descriptor.Encode(parse(t, want))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("descriptor changed (-want +got):\n%s", diff)
	}
}

func TestParseV2(t *testing.T) {
	t.Parallel()
	d := parse(t, load(t, "v2.yaml"))
	c := &d.Component
	if d.Schema != descriptor.SchemaV2 || c.Name != "vectors.example/orchard/root" || c.Version != "3.0.0" {
		t.Errorf("got %s %s:%s", d.Schema, c.Name, c.Version)
	}
	if c.Provider.Name != "orchard-test" || len(c.Provider.Labels) != 2 || !c.Provider.Object {
		t.Errorf("provider = %+v", c.Provider)
	}
	if c.CreationTime != "2026-11-21T02:09:48Z" || len(d.Signatures) != 1 || len(c.RepositoryContexts) != 1 {
		t.Errorf("creationTime %s, %d signatures, %d contexts", c.CreationTime, len(d.Signatures), len(c.RepositoryContexts))
	}
	// The number does not fit a float64, so only the text keeps it.
	if value := string(c.Labels[0].Value); !strings.Contains(value, "12345678901234567890") {
		t.Errorf("label value = %s", value)
	}
}

// TestSchemasAgree reads one component version in both schemas.
func TestSchemasAgree(t *testing.T) {
	t.Parallel()
	v2, v3 := parse(t, load(t, "v2.yaml")), parse(t, load(t, "v3alpha1.yaml"))
	if v3.Schema != descriptor.SchemaV3Alpha1 {
		t.Errorf("schema = %s", v3.Schema)
	}
	if diff := cmp.Diff(v2.Component.Provider, v3.Component.Provider); diff != "" {
		t.Errorf("provider differs:\n%s", diff)
	}
	if diff := cmp.Diff(v2.Component.Labels, v3.Component.Labels); diff != "" {
		t.Errorf("labels differ:\n%s", diff)
	}
	if diff := cmp.Diff(v2.ResourceIdentities(), v3.ResourceIdentities()); diff != "" {
		t.Errorf("resources differ:\n%s", diff)
	}
	if diff := cmp.Diff(v2.ReferenceIdentities(), v3.ReferenceIdentities()); diff != "" {
		t.Errorf("references differ:\n%s", diff)
	}
	if _, err := descriptor.Encode(v3); err != nil {
		t.Errorf("Encode as v2: %v", err)
	}
}

func TestParseNullLists(t *testing.T) {
	t.Parallel()
	d := parse(t, load(t, "v2-null-lists.json"))
	if len(d.Component.Sources) != 0 || len(d.Component.Resources) != 2 {
		t.Errorf("%d sources, %d resources", len(d.Component.Sources), len(d.Component.Resources))
	}
	out, err := descriptor.Encode(d)
	if err != nil || !bytes.Contains(out, []byte("sources: []\n")) {
		t.Errorf("Encode = %s, %v, want an empty list of sources", out, err)
	}
}

// TestEncodeValues writes values of labels as JSON has them and YAML has not.
func TestEncodeValues(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ value, want string }{
		"surrogates":     {`"\ud83d\ude00"`, `"😀"`},
		"lone surrogate": {`"\ud800"`, `"\ufffd"`},
		"invalid UTF-8":  {"\"\xff\"", `"\ufffd"`},
		"large number":   {`["\u00e9",12345678901234567890]`, `["é",12345678901234567890]`},
		"as it is":       {`"a\\u0041"`, `"a\\u0041"`},
		"merge key":      {`{"<<":{"a":1}}`, ""},
		"merge value":    {`["<<"]`, `["<<"]`},
	}
	for name, tc := range cases {
		d := parse(t, []byte(`{"meta":{"schemaVersion":"v2"},"component":{"name":"a.bc/d","version":"1.0.0","provider":"p","labels":[{"name":"a","value":`+tc.value+`}]}}`))
		data, err := descriptor.Encode(d)
		if tc.want == "" {
			if err == nil {
				t.Errorf("%s: written as %s", name, data)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got, want any
		if err := errors.Join(json.Unmarshal(parse(t, data).Component.Labels[0].Value, &got), json.Unmarshal([]byte(tc.want), &want)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

const head = "meta: {schemaVersion: v2}\ncomponent:\n  name: acme.org/shop\n  version: 1.0.0\n  provider: acme\n"

func TestParseDetails(t *testing.T) {
	t.Parallel()
	d := parse(t, []byte(head+`
  unknown: field
  labels: [{name: none}, {name: null-value, value: null}, {name: text, value: "no"}, {name: flag, value: no}]
  resources:
  - {name: a, version: 1.0.0, type: t, srcRef: [{identitySelector: {name: src}}], access: {type: s3/v2, objectKey: x}}
  - {name: b, version: 1.0.0, type: t, access: null}
`))
	var values []string
	for _, l := range d.Component.Labels {
		values = append(values, string(l.Value))
	}
	if diff := cmp.Diff([]string{"", "null", `"no"`, "false"}, values); diff != "" {
		t.Errorf("label values (-want +got):\n%s", diff)
	}
	a, b := d.Component.Resources[0], d.Component.Resources[1]
	if a.Access.Kind() != "s3" || a.Access.Version() != "v2" || b.Access.Type != "" {
		t.Errorf("access = %+v, %+v", a.Access, b.Access)
	}
	if len(a.SourceReferences) != 1 || a.SourceReferences[0].IdentitySelector["name"] != "src" {
		t.Errorf("srcRefs = %+v", a.SourceReferences)
	}
	var spec struct{ ObjectKey string }
	if err := a.Access.Decode(&spec); err != nil || spec.ObjectKey != "x" {
		t.Errorf("Decode = %+v, %v", spec, err)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	bomb := "a: &a [" + strings.Repeat("x,", 50) + "x]\nb: [" + strings.Repeat("*a,", 50) + "*a]\n"
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	cases := map[string]struct {
		data string
		is   error
	}{
		"empty":              {"", descriptor.ErrUnknownSchema},
		"too large":          {head + strings.Repeat("#", descriptor.MaxBytes), descriptor.ErrTooLarge},
		"no schema":          {"component: {name: acme.org/shop}", descriptor.ErrUnknownSchema},
		"unknown schema":     {"meta: {schemaVersion: v9}", descriptor.ErrUnknownSchema},
		"two schemas":        {"apiVersion: ocm.software/v3alpha1\n" + head, descriptor.ErrUnknownSchema},
		"aliases":            {bomb + head, nil},
		"deep YAML":          {head + "  labels: [{name: x, value: " + deep + "}]\n", nil},
		"deep JSON":          {`{"meta":{"schemaVersion":"v2"},"x":` + deep + `}`, nil},
		"duplicate YAML key": {head + "  name: acme.org/other\n", nil},
		"duplicate JSON key": {`{"meta":{"schemaVersion":"v2"},"component":{"name":"acme.org/a","name":"acme.org/b","version":"1.0.0"}}`, nil},
		"a list":             {"[]", nil},
		"text":               {"hello", nil},
		"bad name":           {"meta: {schemaVersion: v2}\ncomponent: {name: shop, version: 1.0.0}", nil},
		"bad version":        {"meta: {schemaVersion: v2}\ncomponent: {name: acme.org/shop, version: latest}", nil},
		"wrong type":         {head + "  resources: {}\n", nil},
	}
	for name, tc := range cases {
		_, err := descriptor.Parse([]byte(tc.data))
		if err == nil || (tc.is != nil && !errors.Is(err, tc.is)) {
			t.Errorf("%s: Parse = %v, want an error %v", name, err, tc.is)
		}
	}
}

func element(name, version string, extra ...string) descriptor.Element {
	e := descriptor.Element{Name: name, Version: version}
	for _, kv := range extra {
		k, v, _ := strings.Cut(kv, "=")
		if e.ExtraIdentity == nil {
			e.ExtraIdentity = descriptor.Identity{}
		}
		e.ExtraIdentity[k] = v
	}
	return e
}

func TestFind(t *testing.T) {
	t.Parallel()
	d := &descriptor.Descriptor{Component: descriptor.Component{Name: "acme.org/shop", Version: "1.0.0"}}
	for _, e := range []descriptor.Element{
		element("one", "1.0.0"), element("arch", "1.0.0", "arch=amd64"), element("arch", "1.0.0", "arch=arm64", "os=linux"),
		element("dup", "1.0.0", "version=1.0.0"), element("dup", "2.0.0", "version=2.0.0"),
		element("base", "1.0.0"), element("base", "1.0.0", "debug=true"), element("two", "1.0.0"), element("two", "2.0.0"),
	} {
		d.Component.Resources = append(d.Component.Resources, descriptor.Resource{Element: e})
		d.Component.References = append(d.Component.References, descriptor.Reference{Element: e})
	}
	ambiguous, missing := new(descriptor.AmbiguousError), new(descriptor.NotFoundError)
	cases := map[string]struct {
		s      descriptor.Selector
		want   string
		fails  any
		reason string
	}{
		"by name":            {s: descriptor.Selector{Name: "one"}, want: "one:1.0.0"},
		"by name and key":    {s: descriptor.Selector{Name: "arch", ExtraIdentity: descriptor.Identity{"arch": "arm64"}}, want: "arch:1.0.0(arch=arm64,os=linux)"},
		"by version":         {s: descriptor.Selector{Name: "two", Version: "2.0.0"}, want: "two:2.0.0"},
		"version as a key":   {s: descriptor.Selector{Name: "two", ExtraIdentity: descriptor.Identity{"version": "2.0.0"}}, want: "two:2.0.0"},
		"version as both":    {s: descriptor.Selector{Name: "dup", ExtraIdentity: descriptor.Identity{"version": "2.0.0"}}, want: "dup:2.0.0(version=2.0.0)"},
		"complete identity":  {s: descriptor.Selector{Name: "base"}, want: "base:1.0.0", reason: "otherwise nothing could pick it"},
		"several by name":    {s: descriptor.Selector{Name: "arch"}, fails: &ambiguous, reason: "never the first hit"},
		"several versions":   {s: descriptor.Selector{Name: "two"}, fails: &ambiguous},
		"unknown name":       {s: descriptor.Selector{Name: "none"}, fails: &missing},
		"unknown version":    {s: descriptor.Selector{Name: "one", Version: "9.9.9"}, fails: &missing},
		"unknown key":        {s: descriptor.Selector{Name: "one", ExtraIdentity: descriptor.Identity{"arch": "amd64"}}, fails: &missing},
		"contradicting keys": {s: descriptor.Selector{Name: "two", Version: "1.0.0", ExtraIdentity: descriptor.Identity{"version": "2.0.0"}}, fails: &missing},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			res, err := d.FindResource(tc.s)
			ref, refErr := d.FindReference(tc.s)
			if tc.fails != nil {
				if !errors.As(err, tc.fails) || !errors.As(refErr, tc.fails) {
					t.Errorf("errors = %v, %v, want %T (%s)", err, refErr, tc.fails, tc.reason)
				}
				return
			}
			if err != nil || refErr != nil || res.String() != tc.want || ref.String() != tc.want {
				t.Errorf("found %v, %v, %v, %v, want %s (%s)", res, err, ref, refErr, tc.want, tc.reason)
			}
		})
	}
	if text := missing.Error(); !strings.Contains(text, "arch:1.0.0(arch=amd64)") {
		t.Errorf("%q does not list the candidates", text)
	}
	if text := ambiguous.Error(); !strings.Contains(text, "extraIdentity") {
		t.Errorf("%q does not say how to choose", text)
	}
}

func TestIdentities(t *testing.T) {
	t.Parallel()
	d := parse(t, load(t, "v2.yaml"))
	var got []string
	for _, id := range d.ResourceIdentities() {
		got = append(got, id.String())
	}
	want := []string{
		"name=config", "name=web-image", "name=multi-image", "name=chart", "name=chart-tgz",
		"name=dup,version=1.0.0", "name=dup,version=2.0.0", "arch=arm64,name=arch", "arch=amd64,name=arch",
	}
	if diff := cmp.Diff(want, got[:len(want)]); diff != "" {
		t.Errorf("identities (-want +got):\n%s", diff)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	access := descriptor.Access{Type: "none", Raw: json.RawMessage(`{"type":"none"}`)}
	cases := map[string]struct {
		change func(*descriptor.Component)
		want   string
	}{
		"fine":               {func(*descriptor.Component) {}, ""},
		"bad name":           {func(c *descriptor.Component) { c.Name = "Shop" }, "DNS domain"},
		"long name":          {func(c *descriptor.Component) { c.Name = "acme.org/" + strings.Repeat("a", 300) }, "too long"},
		"bad version":        {func(c *descriptor.Component) { c.Version = "one" }, "semantic version"},
		"no provider":        {func(c *descriptor.Component) { c.Provider.Name = "" }, "provider"},
		"bad time":           {func(c *descriptor.Component) { c.CreationTime = "today" }, "RFC 3339"},
		"bad element name":   {func(c *descriptor.Component) { c.Resources[0].Name = "A b" }, "does not match"},
		"bad key":            {func(c *descriptor.Component) { c.Resources[0].ExtraIdentity = descriptor.Identity{"X": "y"} }, "extraIdentity"},
		"worse key":          {func(c *descriptor.Component) { c.Resources[0].ExtraIdentity = descriptor.Identity{"a b": "y"} }, "extraIdentity"},
		"twice":              {func(c *descriptor.Component) { c.Resources = append(c.Resources, c.Resources[0]) }, "twice"},
		"no access":          {func(c *descriptor.Component) { c.Resources[0].Access = descriptor.Access{} }, "no access"},
		"no type":            {func(c *descriptor.Component) { c.Resources[0].Type = "" }, "no type"},
		"no version":         {func(c *descriptor.Component) { c.Resources[0].Version = "" }, "no version"},
		"bad relation":       {func(c *descriptor.Component) { c.Resources[0].Relation = "friend" }, "relation"},
		"bad digest":         {func(c *descriptor.Component) { c.Resources[0].Digest = &descriptor.Digest{HashAlgorithm: "MD5"} }, "MD5"},
		"label twice":        {func(c *descriptor.Component) { c.Labels = []descriptor.Label{{Name: "a"}, {Name: "a"}} }, "twice"},
		"label without name": {func(c *descriptor.Component) { c.Labels = []descriptor.Label{{}} }, "without a name"},
		"label version":      {func(c *descriptor.Component) { c.Labels = []descriptor.Label{{Name: "a", Version: "1"}} }, "v1"},
		"reference":          {func(c *descriptor.Component) { c.References[0].ComponentName = "x" }, "DNS domain"},
		"reference version":  {func(c *descriptor.Component) { c.References[0].Version = "x" }, "semantic version"},
	}
	for name, tc := range cases {
		d := &descriptor.Descriptor{Component: descriptor.Component{
			Name: "acme.org/shop", Version: "1.0.0", Provider: descriptor.Provider{Name: "acme"},
			Resources:  []descriptor.Resource{{Element: element("res", "1.0.0"), Type: "blob", Access: access}},
			References: []descriptor.Reference{{Element: element("ref", "1.0.0"), ComponentName: "acme.org/db"}},
		}}
		tc.change(&d.Component)
		err := d.Validate()
		if (err == nil) != (tc.want == "") || (err != nil && !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: Validate = %v, want %q", name, err, tc.want)
		}
		if _, encErr := descriptor.Encode(d); (encErr == nil) != (err == nil) {
			t.Errorf("%s: Encode = %v", name, encErr)
		}
	}
}

func TestDigest(t *testing.T) {
	t.Parallel()
	d256, d512 := digest.FromString("x"), digest.SHA512.FromString("x")
	for _, d := range []digest.Digest{d256, d512} {
		if got, err := descriptor.NewBlobDigest(d).OCI(); err != nil || got != d {
			t.Errorf("OCI = %s, %v, want %s", got, err, d)
		}
	}
	old := descriptor.Digest{HashAlgorithm: "sha256", NormalisationAlgorithm: "ociArtefactDigest/v1", Value: strings.ToUpper(d256.Encoded())}
	if got, err := old.OCI(); err != nil || got != d256 || !old.ForArtifact() || old.ForBlob() {
		t.Errorf("old spelling: %s, %v", got, err)
	}
	if _, err := (&descriptor.Digest{HashAlgorithm: descriptor.SHA512, Value: d256.Encoded()}).OCI(); err == nil {
		t.Error("a value of the wrong length is accepted")
	}
	half := descriptor.Digest{HashAlgorithm: descriptor.NoDigest, NormalisationAlgorithm: descriptor.ExcludeFromSignature, Value: "x"}
	if half.Excluded() {
		t.Error("a digest is excluded although its value is one")
	}
}

// TestEncodeKeepsTheSchema writes a descriptor as what it was, since the oldest
// signatures are made over that.
func TestEncodeKeepsTheSchema(t *testing.T) {
	t.Parallel()
	for file, marks := range map[string][2]string{
		"v2.yaml":            {"schemaVersion: v2", "apiVersion:"},
		"v2-null-lists.json": {"schemaVersion: v2", "apiVersion:"},
		"v3alpha1.yaml":      {"apiVersion: ocm.software/v3alpha1\nkind: ComponentVersion\n", "schemaVersion:"},
	} {
		d := parse(t, load(t, file))
		out, err := descriptor.Encode(d)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if !bytes.Contains(out, []byte(marks[0])) || bytes.Contains(out, []byte(marks[1])) {
			t.Errorf("%s is written as\n%s", file, out)
		}
		again := parse(t, out)
		if diff := cmp.Diff(d, again, cmpopts.EquateEmpty()); diff != "" || again.Schema != d.Schema {
			t.Errorf("%s differs after it was written (-before +after):\n%s", file, diff)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, file := range []string{"v2.yaml", "v3alpha1.yaml", "v2-null-lists.json"} {
		f.Add(load(f, file))
	}
	f.Add([]byte(head))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte(head + "---\n" + head))
	f.Add([]byte(head + "  Name: x\n  labels: [{value: {A: 1, a: 2}}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := descriptor.Parse(data)
		if err != nil {
			return
		}
		out, err := descriptor.Encode(d)
		if err != nil {
			return
		}
		again, err := descriptor.Parse(out)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, out)
		}
		out2, err := descriptor.Encode(again)
		if err != nil || !bytes.Equal(out, out2) {
			t.Errorf("writing is not stable: %v\n%s\n%s", err, out, out2)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	var large strings.Builder
	large.WriteString(head + "  resources:\n")
	for i := range 1000 {
		fmt.Fprintf(&large, "  - {name: r%d, version: 1.0.0, type: blob, access: {type: ociArtifact, imageReference: ghcr.io/acme/r%d:1.0.0}}\n", i, i)
	}
	for name, data := range map[string][]byte{"9 resources YAML": load(b, "v2.yaml"), "2 resources JSON": load(b, "v2-null-lists.json"), "1000 resources YAML": []byte(large.String())} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := descriptor.Parse(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
