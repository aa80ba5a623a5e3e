package scenarios_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// TestAirGapped carries a component in an archive to where there is no way back, and delivers it from there.
func TestAirGapped(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	outside, inside := ocmtest.Start(t), ocmtest.Start(t)
	publish(t, outside, "air-gapped", theirRepo, outside.Host+"/acme")
	archive := filepath.Join(t.TempDir(), "podinfo.tgz")
	carry(t, open(t, repository(outside)), create(t, archive), "", "")
	if info, err := os.Stat(archive); err != nil || info.Size() == 0 {
		t.Fatalf("there is no archive: %v", err)
	}

	outside.Inject(func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "you cannot get here", http.StatusServiceUnavailable)
		return true
	})
	outside.ResetRequests()
	carry(t, create(t, archive), open(t, repository(inside)), outside.Host, inside.Host)
	apply(t, e, inside, "air-gapped/deliver.yaml")
	podinfo(t, e, inside.Host+"/acme/images/podinfo:6.9.1", "not configured", 1)
	allReady(e)
	if got := outside.Requests(); len(got) > 0 {
		t.Errorf("somebody has asked for the outside: %v", got)
	}
}

func open(t *testing.T, url string) *ocm.Repository {
	t.Helper()
	repository, err := ocm.Open(url, ocm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return repository
}

func create(t *testing.T, archive string) *ocm.Repository {
	t.Helper()
	repository, err := ocm.CreateCTF(archive, ocm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return repository
}

// carry copies the component as "ocm transfer --copy-resources" does, which gives images the host they are copied to, and
// closes both ends.
func carry(t *testing.T, from, to *ocm.Repository, fromHost, toHost string) {
	t.Helper()
	version, err := from.Get(t.Context(), "acme.org/podinfo", "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	d := version.Descriptor()
	blobs := ocmtest.Blobs{}
	for i := range d.Component.Resources {
		resource := &d.Component.Resources[i]
		if resource.Access.Kind() != access.KindLocalBlob {
			raw := strings.ReplaceAll(string(resource.Access.Raw), `"`+fromHost+"/", `"`+toHost+"/")
			resource.Access.Raw = []byte(raw)
			continue
		}
		blob, err := version.Open(t.Context(), resource, ocm.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(blob)
		if err != nil {
			t.Fatal(err)
		}
		blobs[digest.FromBytes(content)] = content
		if err := blob.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := to.Put(t.Context(), d, blobs, ocm.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, repository := range []*ocm.Repository{from, to} {
		if err := repository.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
