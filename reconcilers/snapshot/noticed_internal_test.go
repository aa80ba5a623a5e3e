package snapshot

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

func TestSnapshotsOfRepositories(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	long := strings.Repeat("long", 60)
	for _, name := range []string{"app", "other", long, long + "er"} {
		w.Create(&v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named(name)})
	}
	for name, tc := range map[string]struct {
		repository string
		want       []string
		reason     string
	}{
		"name":        {"default/app", []string{"default/app"}, "it is in the name of the repository"},
		"not there":   {"default/gone", []string{"default/gone"}, "nobody is asked; a queue doesn't mind"},
		"cut":         {snapshot.RepositoryName("default", long), []string{"default/" + long}, "names that were cut are compared"},
		"cut, alike":  {snapshot.RepositoryName("default", long+"er"), []string{"default/" + long + "er"}, "they stay apart"},
		"cut, gone":   {snapshot.RepositoryName("default", long+"est"), nil, "there is none"},
		"elsewhere":   {snapshot.RepositoryName("else", long), nil, "there is none in that namespace"},
		"all of them": {"", []string{"default/app", "default/" + long, "default/" + long + "er", "default/other"}, "too much has happened to be told one by one"},
	} {
		found, err := snapshotsOf(t.Context(), w.Client, tc.repository)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got []string
		for _, key := range found {
			got = append(got, key.String())
		}
		slices.Sort(got)
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", name, tc.reason, diff)
		}
	}
}
