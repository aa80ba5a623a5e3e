package normalize_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
)

// FuzzNormalise holds for anything that can be parsed that its forms are JSON,
// the same each time, and the same after the descriptor was written and read.
func FuzzNormalise(f *testing.F) {
	for seed, schema := range []descriptor.Schema{descriptor.SchemaV2, descriptor.SchemaV3Alpha1, descriptor.SchemaV2} {
		f.Add([]byte(marshal(document(f, generate(uint64(seed), schema)))))
	}
	const head = "meta: {schemaVersion: v2}\ncomponent:\n  name: acme.org/shop\n  version: 1.0.0\n"
	for _, body := range []string{
		"  provider: acme\n",
		"  provider: '{\"name\":\"acme\"}'\n  resources: null\n",
		"  provider: '{\"name\":5}'\n  creationTime: 2026-11-21T00:00:00.5+01:00\n",
		"  provider: 'null'\n  labels: [{name: a, signing: true, value: {b: 1e400}}]\n",
		"  provider: a\n  labels: [{name: a, signing: true, value: \"\\uFFFD\\u2028\"}, {name: b, signing: true, value: null}]\n",
		"  provider: a\n  resources: [{name: r, version: 1}, {name: r, version: 2, extraIdentity: {version: 1}}, {name: r, version: 1, access: {type: none}, digest: {}}]\n",
		"  provider: a\n  componentReferences: [{name: r, labels: [{name: a, merge: {config: [1, -0, 12345678901234567890]}}]}]\n",
	} {
		f.Add([]byte(head + body))
	}
	f.Add([]byte(`{"apiVersion":"ocm.gardener.cloud/v3alpha1","metadata":{"name":"acme.org/shop","version":"v1","provider":{"name":"p"},"labels":[{"name":"a","value":["\ud800","\ud83d\ude00",{"<<":1}],"signing":true}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := descriptor.Parse(data)
		if err != nil {
			return
		}
		stored, encodeErr := descriptor.Encode(d)
		for _, algorithm := range algorithms {
			text, err := normalize.Normalise(d, algorithm)
			again, againErr := normalize.Normalise(d, algorithm)
			if !bytes.Equal(text, again) || (err == nil) != (againErr == nil) {
				t.Fatalf("%s: %s, %v, and the second time %s, %v", algorithm, text, err, again, againErr)
			}
			if err != nil {
				continue
			}
			if !json.Valid(text) {
				t.Errorf("%s: %s is no JSON", algorithm, text)
			}
			if encodeErr == nil {
				checkStored(t, stored, algorithm, text)
			}
		}
	})
}

func checkStored(t *testing.T, stored []byte, algorithm string, want []byte) {
	t.Helper()
	d, err := descriptor.Parse(stored)
	if err != nil {
		t.Fatalf("parse what was written: %v\n%s", err, stored)
	}
	got, err := normalize.Normalise(d, algorithm)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: after it was written the form is %s, %v, and was %s", algorithm, got, err, want)
	}
}
