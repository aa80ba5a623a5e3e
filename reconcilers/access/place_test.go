package access_test

import (
	"testing"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

func TestWhereARepositoryIs(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	open := func(url string) *access.Repository {
		t.Helper()
		repository, err := w.Repositories.Open(t.Context(), access.User{Namespace: "default"}, v1alpha1.Repository{URL: url}, "spec.source")
		if err != nil {
			t.Fatal(err)
		}
		return repository
	}
	for url, host := range map[string]string{
		"registry.example.com/ocm": "registry.example.com", "http://127.0.0.1:5000/ocm": "127.0.0.1:5000", "oci://[::1]:5000/ocm": "[::1]:5000",
	} {
		if got := open(url).Host(); got != host {
			t.Errorf("host of %s is %q, want %q", url, got, host)
		}
	}
	one := open("registry.example.com/ocm").Fingerprint()
	if again := open("registry.example.com/ocm").Fingerprint(); again != one {
		t.Error("the same repository has another fingerprint")
	}
	if other := open("registry.example.com/other").Fingerprint(); other == one {
		t.Error("another repository has the same fingerprint")
	}
}

// TestWhatOneTransferHasAlone: an archive of a namespace is one, and registries are none.
func TestWhatOneTransferHasAlone(t *testing.T) {
	t.Parallel()
	p := provider(t, access.Options{Live: reconcilertest.New(t).Client, Archives: access.ArchiveOptions{Dir: t.TempDir(), TempDir: t.TempDir()}})
	of := func(namespace, url string) string {
		t.Helper()
		repository, err := p.Open(t.Context(), access.User{Namespace: namespace}, v1alpha1.Repository{URL: url}, "spec.destination")
		if err != nil {
			t.Fatal(err)
		}
		return repository.Exclusive()
	}
	one := of("a", "ctf::app.tgz")
	if again := of("a", "ctf::app.tgz"); one == "" || again != one {
		t.Errorf("the same archive is %q and %q", one, again)
	}
	for _, other := range []string{of("b", "ctf::app.tgz"), of("a", "ctf::deep/app.tgz"), of("a", "registry.example.com/app.tgz")} {
		if other == one {
			t.Errorf("something else is %q, too", other)
		}
	}
	if got := of("a", "registry.example.com/ocm"); got != "" {
		t.Errorf("a registry is %q, want nothing", got)
	}
}
