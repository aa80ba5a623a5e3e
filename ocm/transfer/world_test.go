package transfer_test

import (
	"testing"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest/vectors"
)

// withImages returns options that lead to the images of the vectors, and to
// registries of this test.
func withImages(t testing.TB) ocm.Options {
	t.Helper()
	hosts, err := oci.ParseHosts([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	return ocm.Options{Transport: vectors.Redirect(vectors.Images(t).Host), Hosts: hosts}
}

// open returns the repository at a URL.
func open(t testing.TB, url string, o ocm.Options) *ocm.Repository {
	t.Helper()
	repo, err := ocm.Open(url, o)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}
