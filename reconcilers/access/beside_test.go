package access_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
)

// TestBeside reads an archive that lacks a content, alone and beside a registry that has it. What is remembered of the one is not
// taken for the other, and a registry is read as it is.
func TestBeside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	archived(t, filepath.Join(dir, "default", "folder"), app("1.0.0", "left out"))
	lost := strings.Replace(digest.FromString("left out").String(), ":", ".", 1)
	if err := os.Remove(filepath.Join(dir, "default", "folder", "blobs", lost)); err != nil {
		t.Fatal(err)
	}
	has, hasNot := ocmtest.Start(t), ocmtest.Start(t)
	for server, content := range map[*ocmtest.Server]string{has: "left out", hasNot: "another"} {
		if _, err := app("0.9.0", content).Publish(t.Context(), server.URL+"/acme", ocm.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	p := archiveProvider(t, dir)
	open := func(url, field string) *access.Repository {
		repository, err := p.Open(t.Context(), in("default"), v1alpha1.Repository{URL: url}, field)
		if err != nil {
			t.Fatal(err)
		}
		return repository
	}
	archive, full, empty := open("ctf::folder", "spec.source"), open(has.URL+"/acme", "spec.destination"), open(hasNot.URL+"/acme", "spec.destination")
	for range 2 { // in every order
		for name, tc := range map[string]struct {
			repository *access.Repository
			passes     bool
			reason     string
		}{
			"nothing":  {archive.Beside(nil), false, "there is no destination"},
			"has it":   {archive.Beside(full), true, "both together have everything"},
			"has not":  {archive.Beside(empty), false, "neither has it"},
			"registry": {full.Beside(archive), false, "what a registry lacks is lost, and it has no such version"},
		} {
			data, err := dataOf(t, tc.repository, "1.0.0")
			if tc.passes && (err != nil || data != "left out") || !tc.passes && !errors.Is(err, ocm.ErrNotFound) {
				t.Errorf("%s: got %q (%v), want that it passes %t: %s", name, data, err, tc.passes, tc.reason)
			}
		}
	}
	if full.Beside(archive) != full {
		t.Error("a registry is another one beside an archive")
	}
}
