package transfer

import (
	"bytes"
	"errors"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// FuzzRewrite holds for any descriptor that what a signature covers stays as it is
// when it is rewritten and merged, and that merging once is enough.
func FuzzRewrite(f *testing.F) {
	const head = "meta: {schemaVersion: v2}\ncomponent:\n  name: acme.org/shop\n  version: 1.0.0\n  provider: acme\n"
	const access = "access: {type: localBlob, localReference: 'sha256:1', mediaType: a, globalAccess: {type: ociArtifact}}"
	for _, body := range []string{
		"  resources: [{name: r, version: 1.0.0, type: t, " + access + ", srcRefs: [{identitySelector: {name: s}}], labels: [{name: a, value: 1e400, signing: true}]}]\n",
		"  resources: [{name: r, version: '1', type: t, access: {type: none}, digest: {}}, {name: r, version: '2', type: t, access: {type: s3}}]\n",
		"  sources: [{name: s, version: '1', type: git, " + access + ", labels: [{name: a, value: {\"<\": [1, -0, 12345678901234567890]}}]}]\n",
		"  componentReferences: [{name: c, version: 1.0.0, componentName: acme.org/c, labels: [{name: a, value: u, merge: {algorithm: x, config: 1}}]}]\n",
		"  repositoryContexts: [{type: OCIRegistry, baseUrl: ghcr.io, subPath: acme}, {type: OCIRegistry, baseUrl: ghcr.io/acme}, null, 5]\n  creationTime: '2026-11-21T00:00:00.5+01:00'\n",
		"  labels: [{name: a, value: \"\\uFFFD\\u2028\", signing: true}, {name: b, value: null}, {name: c, value: 0x10}]\nsignatures: [{name: a, digest: {hashAlgorithm: SHA-256}}]\n",
	} {
		f.Add([]byte(head+body), []byte(head+"  labels: [{name: z, value: 1}]\n"))
	}
	f.Add([]byte(`{"apiVersion":"ocm.software/v3alpha1","metadata":{"name":"acme.org/shop","version":"v1","provider":{"name":"p","labels":[{"name":"l","value":1}]},`+
		`"labels":[{"name":"a","value":["\ud800",{"x":1.0}],"signing":true}]},"spec":{"resources":[{"name":"r","version":"1","type":"t","access":{"type":"wget"}}]}}`), []byte(head))
	f.Fuzz(func(t *testing.T, data, other []byte) {
		d, err := descriptor.Parse(data)
		if err != nil {
			return
		}
		at := oci.Location{Host: "mirror.example", Path: "acme"}
		out, err := rewritten(d, changed(t, d), at)
		if err != nil {
			t.Fatal(err)
		}
		err = unchanged(d, out)
		if errors.Is(err, errChanged) {
			t.Fatal(err)
		}
		if err != nil {
			return // it can't be written
		}
		checkTexts(t, d, out)
		there, err := descriptor.Parse(other)
		if err != nil {
			there = d
		}
		checkMerge(t, d, out, there, at)
	})
}

// checkMerge wants merging to change nothing that is signed, and to be done after the
// first time.
func checkMerge(t *testing.T, d, out, there *descriptor.Descriptor, at oci.Location) {
	t.Helper()
	once, err := merge(out, there, at)
	if err != nil {
		t.Fatal(err)
	}
	if errors.Is(unchanged(d, once), errChanged) {
		t.Fatalf("merged with %+v", there)
	}
	twice, err := merge(out, once, at)
	if err != nil {
		t.Fatal(err)
	}
	x, errX := descriptor.Encode(once)
	y, errY := descriptor.Encode(twice)
	if errX == nil && errY == nil && !bytes.Equal(x, y) {
		t.Fatalf("merged once it is\n%s\nand twice\n%s", x, y)
	}
}

// changed returns other accesses than those of a descriptor.
func changed(t *testing.T, d *descriptor.Descriptor) []descriptor.Access {
	t.Helper()
	var out []descriptor.Access
	for i := range len(d.Component.Resources) + len(d.Component.Sources) {
		var a descriptor.Access
		if i < len(d.Component.Resources) {
			a = d.Component.Resources[i].Access
		} else {
			a = d.Component.Sources[i-len(d.Component.Resources)].Access
		}
		switch {
		case access.IsNone(a):
		case access.IsLocal(a):
			if local, err := withoutGlobal(a); err == nil {
				a = local
			}
		default:
			blob, err := access.NewLocalBlob(digest.FromString("x"), "text/plain")
			if err != nil {
				t.Fatal(err)
			}
			a = blob
		}
		out = append(out, a)
	}
	return out
}

// checkTexts compares the canonical texts of a descriptor with what is read of another
// one that was written.
func checkTexts(t *testing.T, d, written *descriptor.Descriptor) {
	t.Helper()
	text, err := descriptor.Encode(written)
	if err != nil {
		t.Fatal(err)
	}
	read, err := descriptor.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, algorithm := range algorithms {
		want, err := normalize.Normalise(d, algorithm)
		if err != nil {
			continue
		}
		if got, err := normalize.Normalise(read, algorithm); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is %s, %v, and was %s", algorithm, got, err, want)
		}
	}
}
