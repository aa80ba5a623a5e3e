package normalize_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
)

// minimal is a component of which a test adds one part.
func minimal(change func(*descriptor.Component)) *descriptor.Descriptor {
	d := &descriptor.Descriptor{Component: descriptor.Component{Name: "a.bc/d", Version: "1", Provider: descriptor.Provider{Name: "p"}}}
	if change != nil {
		change(&d.Component)
	}
	return d
}

// part returns what a canonical form has beyond that of a minimal component,
// which is in one place.
func part(t *testing.T, d *descriptor.Descriptor, algorithm string) string {
	t.Helper()
	all, err := normalize.Normalise(d, algorithm)
	if err != nil {
		t.Fatalf("%s: %v", algorithm, err)
	}
	empty := minimal(nil)
	empty.Schema = d.Schema
	base, err := normalize.Normalise(empty, algorithm)
	if err != nil {
		t.Fatal(err)
	}
	start := 0
	for start < min(len(all), len(base)) && all[start] == base[start] {
		start++
	}
	end := 0
	for end < min(len(all), len(base))-start && all[len(all)-1-end] == base[len(base)-1-end] {
		end++
	}
	return string(all[start : len(all)-end])
}

func TestEmpty(t *testing.T) {
	t.Parallel()
	const rfc = `{"component":{"componentReferences":[],"name":"a.bc/d","provider":{"name":"p"},"resources":[],"sources":[],"version":"1"}}`
	old := minimal(nil)
	old.Schema = descriptor.SchemaV3Alpha1
	for name, tc := range map[string]struct {
		d               *descriptor.Descriptor
		algorithm, want string
	}{
		"v1": {minimal(nil), normalize.V1, `[{"component":[{"componentReferences":[]},{"name":"a.bc/d"},{"provider":"p"},{"resources":[]},{"version":"1"}]},{"meta":[{"schemaVersion":"v2"}]}]`},
		"v1 of the other schema": {
			old, normalize.V1,
			`[{"apiVersion":"ocm.software/v3alpha1"},{"kind":"ComponentVersion"},{"metadata":[{"name":"a.bc/d"},{"provider":[{"name":"p"}]},{"version":"1"}]},{"spec":[]}]`,
		},
		"v2":                     {minimal(nil), normalize.V2, rfc},
		"v3":                     {minimal(nil), normalize.V3, rfc},
		"v4":                     {minimal(nil), normalize.V4Alpha1, rfc},
		"v3 of the other schema": {old, normalize.V3, rfc},
	} {
		got, err := normalize.Normalise(tc.d, tc.algorithm)
		if err != nil || string(got) != tc.want {
			t.Errorf("%s = %s, %v, want %s", name, got, err, tc.want)
		}
	}
}

// TestValues is about the values of labels, which are any JSON.
func TestValues(t *testing.T) {
	t.Parallel()
	same := func(text string) [3]string { return [3]string{text, text, text} }
	for name, tc := range map[string]struct {
		raw    string
		want   [3]string // of v1, v3 and v4alpha1
		reason string
	}{
		"integer":          {`3`, same(`3`), ""},
		"point":            {`2.50`, same(`2.5`), ""},
		"no fraction":      {`1.0e2`, same(`100`), ""},
		"large":            {`12345678901234567890`, same(`12345678901234567000`), "what a float64 holds"},
		"before exponents": {`100000000000000000000`, same(`100000000000000000000`), ""},
		"with an exponent": {`1e21`, same(`1e+21`), ""},
		"small":            {`0.000001`, same(`0.000001`), ""},
		"smaller":          {`0.0000001`, same(`1e-7`), "no zero before the digit"},
		"smallest":         {`5e-324`, same(`5e-324`), ""},
		"too small":        {`1e-400`, same(`0`), ""},
		"largest":          {`1.7976931348623157e308`, same(`1.7976931348623157e+308`), ""},
		"shortest":         {`333333333.33333329`, same(`333333333.3333333`), ""},
		"negative zero":    {`-0`, [3]string{`-0`, `0`, `0`}, "the Go encoder keeps the sign"},
		"text":             {`"\u0041\/\"\\"`, same(`"A/\"\\"`), ""},
		"controls":         {`"\u0000\b\t\n\f\r\u001f\u007f"`, same(`"\u0000\b\t\n\f\r\u001f` + "\u007f" + `"`), ""},
		"HTML":             {`"<&>\u2028\u2029"`, [3]string{`"\u003c\u0026\u003e\u2028\u2029"`, "\"<&>\u2028\u2029\"", "\"<&>\u2028\u2029\""}, ""},
		"lone surrogate":   {`"\ud800x"`, same("\"\uFFFDx\""), "no text can have it"},
		"invalid UTF-8":    {"\"\xff\xfe\"", same("\"\uFFFD\uFFFD\""), ""},
		"pair":             {`"\ud83d\ude00"`, same("\"\U0001F600\""), ""},
		"empty":            {`[{},[],""]`, [3]string{`[[],[],""]`, `[{},[],""]`, `[{},[],""]`}, ""},
		"nulls":            {`{"a":null,"b":[null]}`, [3]string{`[{"a":null},{"b":[null]}]`, `{"a":null,"b":[null]}`, `{"b":[null]}`}, ""},
		"last wins":        {`{"a":1,"a":2}`, [3]string{`[{"a":2}]`, `{"a":2}`, `{"a":2}`}, "where a descriptor was not parsed"},
		"blanks":           {" [ 1 , true ] ", same(`[1,true]`), ""},
		"keys": {
			`{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7,"<":8}`,
			[3]string{
				"[{\"\\r\":2},{\"1\":4},{\"\\u003c\":8},{\"\u0080\":6},{\"ö\":7},{\"€\":1},{\"\ufb33\":3},{\"\U0001F600\":5}]",
				"{\"\\r\":2,\"1\":4,\"<\":8,\"\u0080\":6,\"ö\":7,\"€\":1,\"\U0001F600\":5,\"\ufb33\":3}",
				"{\"\\r\":2,\"1\":4,\"<\":8,\"\u0080\":6,\"ö\":7,\"€\":1,\"\U0001F600\":5,\"\ufb33\":3}",
			},
			"by bytes, and by UTF-16",
		},
	} {
		d := minimal(func(c *descriptor.Component) {
			c.Labels = []descriptor.Label{{Name: "l", Signing: true, Value: json.RawMessage(tc.raw)}}
		})
		for i, algorithm := range []string{normalize.V1, normalize.V3, normalize.V4Alpha1} {
			want := `labels":[{"name":"l","signing":true,"value":` + tc.want[i] + `}],"`
			if i == 0 {
				want = `labels":[[{"name":"l"},{"signing":true},{"value":` + tc.want[i] + `}]]},{"`
			}
			if got := part(t, d, algorithm); got != want {
				t.Errorf("%s, %s = %q, want %q (%s)", name, algorithm, got, want, tc.reason)
			}
		}
	}
}

// TestParts is about the parts that the forms treat in different ways.
func TestParts(t *testing.T) {
	t.Parallel()
	digest := &descriptor.Digest{HashAlgorithm: "h", NormalisationAlgorithm: "n", Value: "v"}
	labels := func(all ...descriptor.Label) []descriptor.Label { return all }
	plain := descriptor.Label{Name: "u", Value: json.RawMessage(`1`), Merge: &descriptor.MergeSpec{}}
	for name, tc := range map[string]struct {
		change func(*descriptor.Component)
		want   map[string]string
	}{
		"null value": {
			func(c *descriptor.Component) {
				c.Labels = labels(descriptor.Label{Name: "l", Signing: true, Value: json.RawMessage("null")}, plain)
			},
			map[string]string{
				normalize.V1:       `labels":[[{"name":"l"},{"signing":true},{"value":null}]]},{"`,
				normalize.V3:       `labels":[{"name":"l","signing":true,"value":null}],"`,
				normalize.V4Alpha1: `labels":[{"name":"l","signing":true}],"`,
			},
		},
		"no value": {
			func(c *descriptor.Component) { c.Labels = labels(descriptor.Label{Name: "l", Signing: true}, plain) },
			map[string]string{normalize.V3: `labels":[{"name":"l","signing":true}],"`},
		},
		"unsigned labels": {
			func(c *descriptor.Component) { c.Labels = labels(plain) },
			map[string]string{normalize.V1: "", normalize.V2: "", normalize.V3: "", normalize.V4Alpha1: ""},
		},
		"time": {
			func(c *descriptor.Component) { c.CreationTime = "2026-01-01T01:59:59.5+02:00" },
			map[string]string{
				normalize.V1: `creationTime":"2026-01-01T00:00:00Z"},{"`, normalize.V2: `creationTime":"2026-01-01T00:00:00Z","`,
				normalize.V4Alpha1: `creationTime":"2026-01-01T01:59:59.5+02:00","`,
			},
		},
		"reference": {
			func(c *descriptor.Component) {
				c.References = []descriptor.Reference{{Element: descriptor.Element{Name: "r", Version: "2", Labels: labels(plain)}, ComponentName: "c", Digest: digest}}
			},
			map[string]string{
				normalize.V1: `[{"componentName":"c"},{"digest":[{"hashAlgorithm":"h"},{"normalisationAlgorithm":"n"},{"value":"v"}]},{"extraIdentity":null},{"name":"r"},{"version":"2"}]`,
				normalize.V3: `{"componentName":"c","digest":{"hashAlgorithm":"h","normalisationAlgorithm":"n","value":"v"},"labels":[{"merge":{"algorithm":""},"name":"u","value":1}],"name":"r","version":"2"}`,
			},
		},
		"source": {
			func(c *descriptor.Component) {
				c.Sources = []descriptor.Source{{Element: descriptor.Element{Name: "s", Version: "2", Labels: labels(plain)}, Type: "t"}}
			},
			map[string]string{normalize.V1: "", normalize.V2: `{"name":"s","type":"t","version":"2"}`},
		},
		"no content": {
			func(c *descriptor.Component) {
				c.Resources = []descriptor.Resource{{Element: descriptor.Element{Name: "r", Version: "2"}, Type: "t", Access: descriptor.Access{Type: "None"}, Digest: digest}}
			},
			map[string]string{
				normalize.V1: `[{"extraIdentity":null},{"name":"r"},{"type":"t"},{"version":"2"}]`,
				normalize.V3: `{"name":"r","type":"t","version":"2"}`,
			},
		},
		"another none": {
			func(c *descriptor.Component) {
				c.Resources = []descriptor.Resource{{Element: descriptor.Element{Name: "r", Version: "2"}, Type: "t", Access: descriptor.Access{Type: "none/v1"}, Digest: digest}}
			},
			map[string]string{normalize.V3: `{"digest":{"hashAlgorithm":"h","normalisationAlgorithm":"n","value":"v"},"name":"r","type":"t","version":"2"}`},
		},
		"unsigned provider labels": {
			func(c *descriptor.Component) { c.Provider.Labels = labels(plain) },
			map[string]string{normalize.V1: `[{"name":"p"}]`, normalize.V2: "", normalize.V3: ""},
		},
		"provider without labels": {
			func(c *descriptor.Component) { c.Provider.Object = true },
			map[string]string{normalize.V1: "", normalize.V2: "", normalize.V3: "", normalize.V4Alpha1: ""},
		},
	} {
		for algorithm, want := range tc.want {
			if got := part(t, minimal(tc.change), algorithm); got != want {
				t.Errorf("%s, %s = %s, want %s", name, algorithm, got, want)
			}
		}
	}
}

// TestTwins is about resources of one name, to which older forms give their
// version: one after the other, so that the last one needs none.
func TestTwins(t *testing.T) {
	t.Parallel()
	id := func(kv ...string) descriptor.Identity { return descriptor.Identity{kv[0]: kv[1]} }
	type twin struct {
		version string
		extra   descriptor.Identity
	}
	for name, tc := range map[string]struct {
		twins []twin
		want  []string
	}{
		"two":               {[]twin{{"1", nil}, {"2", nil}}, []string{`{"version":"1"}`, ""}},
		"three":             {[]twin{{"1", nil}, {"2", nil}, {"3", nil}}, []string{`{"version":"1"}`, `{"version":"2"}`, ""}},
		"told apart":        {[]twin{{"1", id("a", "x")}, {"2", id("a", "y")}}, []string{`{"a":"x"}`, `{"a":"y"}`}},
		"equal identities":  {[]twin{{"1", id("a", "x")}, {"2", id("a", "x")}}, []string{`{"a":"x","version":"1"}`, `{"a":"x"}`}},
		"empty identity":    {[]twin{{"1", descriptor.Identity{}}, {"2", nil}}, []string{`{"version":"1"}`, ""}},
		"becomes a twin":    {[]twin{{"1", nil}, {"2", nil}, {"1", id("version", "1")}}, []string{`{"version":"1"}`, "", `{"version":"1"}`}},
		"one and the same":  {[]twin{{"1", nil}, {"1", nil}}, []string{`{"version":"1"}`, ""}},
		"quotes in between": {[]twin{{"1", id("a", `b""c`)}, {"2", id(`a""b`, "c")}}, []string{`{"a":"b\"\"c"}`, `{"a\"\"b":"c"}`}},
	} {
		d := minimal(func(c *descriptor.Component) {
			for _, e := range tc.twins {
				element := descriptor.Element{Name: "r", Version: e.version, ExtraIdentity: e.extra}
				c.Resources = append(c.Resources, descriptor.Resource{Element: element, Type: "t"})
				// Nothing else is treated like that.
				c.Sources = append(c.Sources, descriptor.Source{Element: element, Type: "t"})
			}
		})
		text, err := normalize.Normalise(d, normalize.V2)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Component map[string]json.RawMessage `json:"component"`
		}
		var resources, sources []map[string]json.RawMessage
		for _, v := range []any{&got, &resources, &sources} {
			from := map[any][]byte{&got: text, &resources: got.Component["resources"], &sources: got.Component["sources"]}[v]
			if err := json.Unmarshal(from, v); err != nil {
				t.Fatal(err)
			}
		}
		for i, want := range tc.want {
			if extra := string(resources[i]["extraIdentity"]); extra != want {
				t.Errorf("%s: resource %d has %s, want %s", name, i, extra, want)
			}
			if extra := sources[i]["extraIdentity"]; (extra == nil) != (len(tc.twins[i].extra) == 0) {
				t.Errorf("%s: source %d has %s", name, i, extra)
			}
		}
	}
}

// TestNoForm is about descriptors that no form exists of.
func TestNoForm(t *testing.T) {
	t.Parallel()
	labels := func(value string) []descriptor.Label {
		return []descriptor.Label{{Name: "size", Signing: true, Value: json.RawMessage(value)}}
	}
	for name, tc := range map[string]struct {
		change func(*descriptor.Component)
		want   string
	}{
		"huge number": {func(c *descriptor.Component) { c.Labels = labels("1e400") }, `value of label "size"`},
		"no JSON":     {func(c *descriptor.Component) { c.Labels = labels("{") }, `value of label "size"`},
		"in an element": {func(c *descriptor.Component) {
			c.Resources = []descriptor.Resource{{Element: descriptor.Element{Name: "web", Version: "2", Labels: labels("{")}}}
		}, "web:2: value of label"},
		"merge": {func(c *descriptor.Component) {
			merge := &descriptor.MergeSpec{Config: json.RawMessage("x")}
			c.References = []descriptor.Reference{{Element: descriptor.Element{Labels: []descriptor.Label{{Name: "l", Merge: merge}}}}}
		}, `config of label "l"`},
		"no time":  {func(c *descriptor.Component) { c.CreationTime = "today" }, "RFC 3339"},
		"bad year": {func(c *descriptor.Component) { c.CreationTime = "0000-01-01T00:00:00+01:00" }, "year"},
	} {
		got, err := normalize.Normalise(minimal(tc.change), normalize.V3)
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "a.bc/d:1") {
			t.Errorf("%s = %s, %v, want an error about %s", name, got, err, tc.want)
		}
	}
}

// TestLarge holds that what is passed on in pieces is complete.
func TestLarge(t *testing.T) {
	t.Parallel()
	d := minimal(func(c *descriptor.Component) {
		for range 3000 {
			c.Resources = append(c.Resources, descriptor.Resource{Element: descriptor.Element{Name: "same", Version: "1"}, Type: "t"})
		}
	})
	text, err := normalize.Normalise(d, normalize.V3)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte(`"same"`)); n != 3000 || !json.Valid(text) {
		t.Errorf("%d of 3000 resources", n)
	}
	if _, err := normalize.Normalise(d, normalize.V1); err != nil {
		t.Fatal(err)
	}
}
