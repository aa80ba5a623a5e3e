package transfer_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
)

// TestDamagedArchive damages each file of an archive in turn, which keeps its size: it is
// written anew, and the archive is what it was.
func TestDamagedArchive(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	c := one(p.image(t, "image", "a/web:1.0", "layer"))
	c.Resources = append(c.Resources, ocmtest.Resource{Name: "config", Content: []byte("content")})
	p.publish(t, c)
	path := filepath.Join(t.TempDir(), "archive")
	before := func() *transfer.Result {
		written := archive(t, path, p.options)
		defer closed(t, written)
		return run(t, p.source, written, shop, "1.0.0", transfer.Options{})
	}()
	// Layers of images are not read back.
	unread := map[string]bool{"sha256." + digestOf("layer").Encoded(): true, "sha256." + digestOf("{}").Encoded(): true}
	files, err := os.ReadDir(filepath.Join(path, "blobs"))
	if err != nil || len(files) < 6 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if unread[f.Name()] {
			continue
		}
		name := filepath.Join(path, "blobs", f.Name())
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, bytes.Repeat([]byte("x"), len(want)), 0o600); err != nil {
			t.Fatal(err)
		}
		again := archive(t, path, p.options)
		result := run(t, p.source, again, shop, "1.0.0", transfer.Options{})
		closed(t, again)
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) || result.Versions[0].Target != before.Versions[0].Target {
			t.Errorf("%s is %q, %v, and was %q; the result is %+v", f.Name(), got, err, want, result)
		}
	}
}

// TestDamagedRegistry says what has to be removed where nothing can be written anew.
func TestDamagedRegistry(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.publish(t, one(ocmtest.Resource{Name: "config", Content: []byte("content")}))
	run(t, p.source, p.target, shop, "1.0.0", transfer.Options{})
	damaged := digestOf("content")
	p.to.Inject(func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodGet || !strings.HasSuffix(req.URL.Path, damaged.String()) {
			return false
		}
		_, _ = w.Write([]byte("CONTENT"))
		return true
	})
	_, err := transfer.Run(t.Context(), p.source, p.target, shop, "1.0.0", transfer.Options{})
	if err == nil || oci.SideOf(err) != oci.Target || !strings.Contains(err.Error(), damaged.String()) || !strings.Contains(err.Error(), "removed from the target") {
		t.Errorf("Run = %v", err)
	}
}
