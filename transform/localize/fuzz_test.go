package localize_test

import (
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/transform/localize"
)

// FuzzParsePinned reads image references as component versions state them: one that is accepted as pinned keeps its digest,
// and is the same when it is read again.
func FuzzParsePinned(f *testing.F) {
	for _, seed := range []string{"ghcr.io/a/b:1@" + sha, "ghcr.io/a/b@" + sha, "redis:7", "a@b@" + sha, "[::1]:5000/app:x@" + sha, "http://ghcr.io/a/b", ":@" + sha, "a/b:c:d@" + sha} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, reference string) {
		plain, plainErr := localize.ParseImage(reference)
		pinned, err := localize.ParsePinned(reference)
		if err != nil {
			return
		}
		if plainErr != nil || plain.Registry != pinned.Registry || plain.Repository != pinned.Repository {
			t.Fatalf("%q: pinned it is %+v, else %+v, %v", reference, pinned, plain, plainErr)
		}
		if !strings.HasSuffix(pinned.Tag, plain.Tag) || !strings.HasPrefix(plain.Tag, "sha") {
			t.Fatalf("%q: tag %q has lost the digest %q", reference, pinned.Tag, plain.Tag)
		}
		if again, err := localize.ParsePinned(pinned.String()); err != nil || again != pinned {
			t.Fatalf("%q: %q is read again as %+v, %v", reference, pinned, again, err)
		}
	})
}
