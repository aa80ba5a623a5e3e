package forge_test

import (
	"testing"

	"github.com/ocm-operator/ocm-operator/git/forge"
	"github.com/ocm-operator/ocm-operator/git/forge/forgetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	for provider, path := range map[string]string{forge.GitHub: "acme/fleet", forge.GitLab: "acme/platform/fleet"} {
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			w, _ := forgetest.NewWorld(t, provider, path, "merge")
			forgetest.Run(t, w)
		})
	}
}

// TestMergeCommit: whatever the way of merging, the commit that is reported is the one that the base branch has then.
func TestMergeCommit(t *testing.T) {
	t.Parallel()
	for provider, path := range map[string]string{forge.GitHub: "acme/fleet", forge.GitLab: "acme/platform/fleet"} {
		for _, method := range []string{"squash", "rebase"} {
			t.Run(provider+" "+method, func(t *testing.T) {
				t.Parallel()
				w, _ := forgetest.NewWorld(t, provider, path, method)
				f, err := forge.New(forge.Options{Provider: provider, RepositoryURL: w.RepositoryURL, APIURL: w.APIURL, Token: w.Token})
				if err != nil {
					t.Fatal(err)
				}
				w.Branch(t, "ocm/merge")
				created, err := f.Create(t.Context(), forge.Draft{Title: "Merge", Head: "ocm/merge", Base: "main"})
				if err != nil {
					t.Fatal(err)
				}
				// The base goes on, so that no way of merging is just a step forward.
				w.Branch(t, "main")
				tip := w.Merge(t, created.Number)
				read, err := f.Get(t.Context(), created.Number)
				if err != nil || read.State != forge.Merged || read.MergeCommit != tip {
					t.Errorf("merged as %+v, %v; want commit %s", read, err, tip)
				}
			})
		}
	}
}
