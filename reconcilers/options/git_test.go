package options_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/reconcilers/options"
)

func TestGit(t *testing.T) {
	want := options.Git{TempDir: "/scratch", MaxRepositoryBytes: 2 << 20, MaxFiles: 10, CrossNamespaceRefs: true}
	o, _, err := parse(t, "--git-temp-dir=/scratch", "--git-max-repository-size=2097152", "--git-max-files=10", "--git-cross-namespace-refs")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, o.Git); diff != "" {
		t.Errorf("git (-want +got):\n%s", diff)
	}
	if o, _, err = parse(t); err != nil || o.Git.CrossNamespaceRefs {
		t.Errorf("references to other namespaces are %v by default (%v), want them refused", o.Git.CrossNamespaceRefs, err)
	}
}

func TestBoundsOfGit(t *testing.T) {
	for arg, says := range map[string]string{
		"--git-temp-dir=tmp":                "--git-temp-dir \"tmp\" is no absolute path",
		"--git-max-repository-size=1048575": "at least 1048576 bytes",
		"--git-max-files=0":                 "--git-max-files is 0: it must be at least 1",
	} {
		t.Run(arg, func(t *testing.T) {
			if o, _, err := parse(t, arg); err == nil || o != nil || !strings.Contains(err.Error(), says) {
				t.Errorf("options %v, error %v; want one that says %s", o, err, says)
			}
		})
	}
}
