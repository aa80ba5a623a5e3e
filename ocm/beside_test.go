package ocm_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// TestBeside reads a version whose archive lacks a blob that a registry has.
func TestBeside(t *testing.T) {
	t.Parallel()
	const name = "acme.org/shop"
	content := []byte("what was left out")
	shop := ocmtest.Component{Name: name, Version: "1.1.0", Resources: []ocmtest.Resource{{Name: "kept", Content: []byte("what is new")}, {Name: "left-out", Content: content}}}
	d, blobs, err := shop.Build()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	archive, err := ocm.CreateCTF(folder, ocm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Put(t.Context(), d, blobs, ocm.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	lost := strings.Replace(digest.FromBytes(content).String(), ":", ".", 1)
	if err := os.Remove(filepath.Join(folder, "blobs", lost)); err != nil {
		t.Fatal(err)
	}
	if archive, err = ocm.OpenCTF(folder, ocm.Options{}); err != nil {
		t.Fatal(err)
	}
	defer archive.Close()

	server := ocmtest.Start(t)
	earlier := ocmtest.Component{Name: name, Version: "1.0.0", Resources: []ocmtest.Resource{{Name: "left-out", Content: content}}}
	if _, err := earlier.Publish(t.Context(), server.URL+"/acme", ocm.Options{}); err != nil {
		t.Fatal(err)
	}
	has, hasNot := open(t, server.URL+"/acme", ocm.Options{}), open(t, ocmtest.Start(t).URL+"/acme", ocm.Options{})
	for place, tt := range map[string]struct {
		repo *ocm.Repository
		ok   bool
	}{
		"alone":              {archive, false},
		"beside who has it":  {archive.Beside(has), true},
		"beside who has not": {archive.Beside(hasNot), false},
	} {
		if !tt.repo.Archive() || tt.repo.URL() != archive.URL() {
			t.Errorf("%s: it is at %s, an archive is %t", place, tt.repo.URL(), tt.repo.Archive())
		}
		cv, err := tt.repo.Get(t.Context(), name, "1.1.0")
		if err != nil {
			t.Fatal(err)
		}
		resources := cv.Descriptor().Component.Resources
		if err := cv.Check(t.Context(), &resources[0]); err != nil {
			t.Errorf("%s: %v", place, err)
		}
		if err := cv.Check(t.Context(), &resources[1]); (err == nil) != tt.ok || err != nil && (!errors.Is(err, ocm.ErrNotFound) || !strings.Contains(err.Error(), folder)) {
			t.Errorf("%s: Check = %v, want that it passes %t, or that the archive lacks it", place, err, tt.ok)
		}
		if _, err := tt.repo.Get(t.Context(), name, "1.0.0"); !errors.Is(err, ocm.ErrNotFound) {
			t.Errorf("%s: Get = %v, want that other versions are not seen", place, err)
		}
	}
	server.Inject(func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "not now", http.StatusForbidden)
		return true
	})
	cv, err := archive.Beside(has).Get(t.Context(), name, "1.1.0")
	if err != nil {
		t.Fatal(err)
	}
	if err := cv.Check(t.Context(), &cv.Descriptor().Component.Resources[1]); !errors.Is(err, ocm.ErrUnauthorized) {
		t.Errorf("Check = %v, want what the other one says", err)
	}
}
