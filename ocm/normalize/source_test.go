package normalize_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
)

// document returns a descriptor as it is stored, in its schema.
func document(tb testing.TB, d *descriptor.Descriptor) map[string]any {
	tb.Helper()
	v2 := *d
	v2.Schema = descriptor.SchemaV2
	stored, err := descriptor.Encode(&v2)
	if err != nil {
		tb.Fatal(err)
	}
	js, err := yaml.YAMLToJSON(stored)
	if err != nil {
		tb.Fatal(err)
	}
	var doc map[string]any
	dec := json.NewDecoder(bytes.NewReader(js))
	dec.UseNumber()
	if err := dec.Decode(&doc); err != nil {
		tb.Fatal(err)
	}
	if d.Schema == descriptor.SchemaV3Alpha1 {
		return version3(tb, doc)
	}
	return doc
}

// version3 turns a document of schema v2 into one of v3alpha1.
func version3(tb testing.TB, doc map[string]any) map[string]any {
	tb.Helper()
	c, _ := doc["component"].(map[string]any)
	text, _ := c["provider"].(string)
	var provider any
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	dec.UseNumber()
	if err := dec.Decode(&provider); err != nil {
		tb.Fatal(err)
	}
	metadata := map[string]any{"provider": provider}
	for _, key := range []string{"name", "version", "creationTime", "labels"} {
		metadata[key] = c[key]
	}
	return map[string]any{
		"apiVersion": descriptor.SchemaV3Alpha1, "kind": "ComponentVersion", "metadata": metadata,
		"spec":               map[string]any{"sources": c["sources"], "references": c["componentReferences"], "resources": c["resources"]},
		"repositoryContexts": c["repositoryContexts"], "signatures": doc["signatures"], "nestedDigests": doc["nestedDigests"],
	}
}

// shuffled writes JSON with members in any order and blanks between all tokens.
func shuffled(r *rand.Rand, out *bytes.Buffer, v any) {
	blank := func() { out.WriteString([]string{"", " ", "\n", "\t\r\n  "}[r.IntN(4)]) }
	comma := func(i int) {
		if i > 0 {
			out.WriteByte(',')
		}
		blank()
	}
	switch v := v.(type) {
	case map[string]any:
		out.WriteByte('{')
		keys := slices.Sorted(maps.Keys(v))
		r.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		for i, key := range keys {
			comma(i)
			out.Write(marshal(key))
			blank()
			out.WriteByte(':')
			blank()
			shuffled(r, out, v[key])
		}
		blank()
		out.WriteByte('}')
	case []any:
		out.WriteByte('[')
		for i, element := range v {
			comma(i)
			shuffled(r, out, element)
		}
		blank()
		out.WriteByte(']')
	default:
		out.Write(marshal(v))
	}
}

// TestSources holds that neither the order of members, nor blanks, nor the
// choice of YAML or JSON are seen in the canonical form.
func TestSources(t *testing.T) {
	t.Parallel()
	for _, schema := range []descriptor.Schema{descriptor.SchemaV2, descriptor.SchemaV3Alpha1} {
		for seed := range uint64(8) {
			d := generate(seed, schema)
			want := normalised(t, d)
			doc := document(t, d)
			var out bytes.Buffer
			shuffled(rand.New(rand.NewPCG(seed, 2)), &out, doc)
			plain := marshal(doc)
			indented, err := json.MarshalIndent(doc, "", "\t")
			if err != nil {
				t.Fatal(err)
			}
			inYAML, err := yaml.JSONToYAML(plain)
			if err != nil {
				t.Fatal(err)
			}
			for form, data := range map[string][]byte{"JSON": plain, "indented": indented, "shuffled": out.Bytes(), "YAML": inYAML} {
				again, err := descriptor.Parse(data)
				if err != nil {
					t.Fatalf("%s: %v", form, err)
				}
				if diff := cmp.Diff(want, normalised(t, again)); diff != "" {
					t.Errorf("schema %s, seed %d, %s:\n%s", schema, seed, form, diff)
				}
			}
		}
	}
}
