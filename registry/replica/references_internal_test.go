package replica

import (
	"testing"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

// FuzzReferences wants only digests that can be asked for, whatever a manifest says.
func FuzzReferences(f *testing.F) {
	const sum = `"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"`
	f.Add([]byte(`{"config":{"digest":` + sum + `},"layers":[{"digest":` + sum + `,"urls":["https://x"]}]}`))
	f.Add([]byte(`{"manifests":[{"digest":` + sum + `}]}`))
	f.Add([]byte(`{"layers":[{"digest":"sha256:../../etc"}]}`))
	f.Add([]byte(`{"layers":{}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		blobs, children, err := references(body)
		if err != nil {
			return
		}
		for _, d := range append(blobs, children...) {
			if _, err := store.ParseDigest(d.Digest.String()); err != nil {
				t.Errorf("%q names %q", body, d.Digest)
			}
		}
	})
}
