package transfer_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// TestCompares leaves it to registries of every make to compare large blobs with their digest: all of them prove that they do,
// and what is wrong is told of the source.
func TestCompares(t *testing.T) {
	content, desc := random(t, 3<<20)
	wrong := bytes.Clone(content)
	wrong[1<<20]++
	for _, to := range []string{ours, distribution, gcr} {
		t.Run(to, func(t *testing.T) {
			var reads atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				reads.Add(1)
				w.Header().Set("Content-Length", strconv.Itoa(len(wrong)))
				_, _ = w.Write(wrong) // the client is gone if this fails
			}))
			defer server.Close()
			location, err := oci.ParseURL(server.URL + "/a")
			if err != nil {
				t.Fatal(err)
			}
			source, err := oci.NewClient(oci.Options{Home: location.Host}).Repository(location)
			if err != nil {
				t.Fatal(err)
			}
			target := with(t, to, "b")
			_, err = oci.CopyBlob(t.Context(), source, target, desc, oci.CopyOptions{})
			if mismatch, ok := errors.AsType[*oci.DigestMismatchError](err); !ok || oci.SideOf(err) != oci.Source || mismatch.Want != desc.Digest.String() {
				t.Errorf("wrong content: %v of side %q, want a mismatch of the source", err, oci.SideOf(err))
			}
			// The target finds it, and we look who is wrong.
			if reads.Load() != 2 {
				t.Errorf("the content was read %d times, want 2", reads.Load())
			}
			if has, err := target.Has(t.Context(), desc); has || err != nil {
				t.Errorf("wrong content is at the target: %t, %v", has, err)
			}
			store(t, target, content, desc)
		})
	}
}
