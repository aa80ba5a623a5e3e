package normalize_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
)

var algorithms = []string{normalize.V1, normalize.V2, normalize.V3, normalize.V4Alpha1}

// generator makes descriptors that have everything a descriptor may have. Equal
// seeds make equal descriptors.
type generator struct{ *rand.Rand }

func generate(seed uint64, schema descriptor.Schema) *descriptor.Descriptor {
	g := generator{rand.New(rand.NewPCG(seed, 1))}
	d := &descriptor.Descriptor{
		Schema: schema,
		Component: descriptor.Component{
			Name:               "acme.org/" + g.name(),
			Version:            g.version(),
			CreationTime:       fmt.Sprintf("2026-0%d-1%dT0%d:00:07Z", 1+g.IntN(9), g.IntN(10), g.IntN(10)),
			Labels:             g.labels(),
			Provider:           descriptor.Provider{Name: g.text() + "p", Labels: g.labels(), Object: true},
			RepositoryContexts: []json.RawMessage{g.access().Raw},
		},
		Signatures: []descriptor.Signature{{
			Name: g.name(), Digest: *g.digest(), Signature: descriptor.SignatureValue{Algorithm: "a", Value: "b", MediaType: "c"},
		}},
		NestedDigests: []descriptor.NestedDigest{{Name: g.name(), Version: g.version(), Digest: g.digest()}},
	}
	c := &d.Component
	for i := range 2 + g.IntN(3) {
		c.Resources = append(c.Resources, descriptor.Resource{
			Element: g.element(i), Type: g.text(), Relation: descriptor.LocalRelation, Access: g.access(), Digest: g.digest(),
			SourceReferences: []descriptor.SourceReference{{IdentitySelector: descriptor.Identity{"name": g.name()}, Labels: g.labels()}},
		})
		c.Sources = append(c.Sources, descriptor.Source{Element: g.element(i), Type: g.text(), Access: g.access()})
		c.References = append(c.References, descriptor.Reference{Element: g.element(i), ComponentName: "acme.org/" + g.name(), Digest: g.digest()})
	}
	none := json.RawMessage(`{"type":"none"}`)
	c.Resources = append(c.Resources, descriptor.Resource{
		Element: g.element(9), Type: "t", Access: descriptor.Access{Type: "none", Raw: none}, Digest: g.digest(),
	})
	return d
}

func (g generator) pick(from ...string) string { return from[g.IntN(len(from))] }

func (g generator) name() string {
	return fmt.Sprintf("%s%d", g.pick("web", "db", "cache"), g.IntN(1000))
}

func (g generator) version() string {
	return fmt.Sprintf("%d.%d.%d", g.IntN(3), g.IntN(10), g.IntN(100))
}

func (g generator) text() string {
	return "t" + g.pick("", " ", "<b>&amp;", "é", "\u2028\u2029", "\U0001F600", "\ufb33", "\"quoted\" \\", "a\nb\tc\r\b\f", "\u0001\u001f", "null", "1e3", "{}", ": - #")
}

// element returns an element of which only the index is surely its own.
func (g generator) element(i int) descriptor.Element {
	e := descriptor.Element{Name: fmt.Sprintf("%s-%d", g.name(), i), Version: g.version(), Labels: g.labels()}
	if g.IntN(3) > 0 {
		e.ExtraIdentity = descriptor.Identity{"os": g.text(), "arch": g.name()}
	}
	return e
}

// labels returns labels of both kinds, in any order.
func (g generator) labels() []descriptor.Label {
	out := []descriptor.Label{
		{Name: "signed", Signing: true, Value: g.value(), Version: "v1", Merge: &descriptor.MergeSpec{Algorithm: g.name(), Config: g.value()}},
		{Name: "plain", Value: g.value(), Merge: &descriptor.MergeSpec{Algorithm: g.name()}},
		{Name: g.text(), Signing: g.IntN(2) == 0, Value: g.value()},
	}
	g.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func (g generator) value() json.RawMessage {
	return marshal(g.json(3))
}

// json returns any value but null, which the forms do not agree about.
func (g generator) json(depth int) any {
	switch g.IntN(4 + min(depth, 2)) {
	case 0:
		return g.text()
	case 1:
		return g.IntN(2) == 0
	case 2:
		return g.NormFloat64() * float64(int64(1)<<g.IntN(62))
	case 3:
		return g.Int64()
	case 4:
		return []any{g.json(depth - 1), g.json(depth - 1)}
	}
	return map[string]any{g.text(): g.json(depth - 1), "zz": g.json(depth - 1), "Z": g.json(depth - 1)}
}

func (g generator) digest() *descriptor.Digest {
	return &descriptor.Digest{
		HashAlgorithm: descriptor.SHA256, NormalisationAlgorithm: g.pick(descriptor.GenericBlobDigest, descriptor.OCIArtifactDigest),
		Value: fmt.Sprintf("%064x", g.Uint64()),
	}
}

func (g generator) access() descriptor.Access {
	return descriptor.Access{Type: "ociArtifact", Raw: marshal(map[string]string{"type": "ociArtifact", "imageReference": g.name()})}
}

func marshal(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}

// normalised returns the canonical forms of a descriptor by algorithm.
func normalised(tb testing.TB, d *descriptor.Descriptor) map[string]string {
	tb.Helper()
	out := map[string]string{}
	for _, algorithm := range algorithms {
		text, err := normalize.Normalise(d, algorithm)
		if err != nil {
			tb.Fatalf("%s: %v", algorithm, err)
		}
		out[algorithm] = string(text)
	}
	return out
}
