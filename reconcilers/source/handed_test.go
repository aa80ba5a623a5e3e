package source_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

func TestHandedOver(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	deploy := func(name, applied, attempted string, leaving bool) {
		d := &v1alpha1.FluxDeployer{ObjectMeta: reconcilertest.Named(name)}
		d.Spec.SourceRef = v1alpha1.ObjectReference{Kind: v1alpha1.ResourceKind, Namespace: "team", Name: "app"}
		if leaving {
			d.Finalizers = []string{"example.com/keep"}
		}
		w.Create(d)
		w.SetStatus(d, func() { d.Status.LastAppliedRevision, d.Status.LastAttemptedRevision = applied, attempted })
		if leaving {
			w.Delete(d)
		}
	}
	deploy("a-new", "", "", false)
	deploy("b-first", "", "1@sha256:a", false)
	deploy("c-next", "1@sha256:a", "2@sha256:b", false)
	deploy("d-ready", "2@sha256:b", "2@sha256:b", false)
	deploy("e-leaving", "1@sha256:a", "", true)
	repository := snapshot.RepositoryName("team", snapshot.Name(v1alpha1.ResourceKind, "app"))
	got, err := source.HandedOver(t.Context(), w.Client)
	want := []source.Handed{
		{Repository: repository, Manifest: "sha256:a"},
		{Repository: repository, Manifest: "sha256:a"},
		{Repository: repository, Manifest: "sha256:b"},
		{Repository: repository, Manifest: "sha256:b"},
		{Repository: repository, Manifest: "sha256:a", Leaving: true},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestHandedOverWithoutTheKind(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	for cause, passes := range map[error]bool{&apimeta.NoKindMatchError{}: true, errors.New("no answer"): false} {
		if got, err := source.HandedOver(t.Context(), unlistable{w.Client, cause}); (err == nil) != passes || len(got) > 0 {
			t.Errorf("%v: got %v, %v", cause, got, err)
		}
	}
}

// unlistable lists nothing.
type unlistable struct {
	client.Reader
	err error
}

func (u unlistable) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return u.err
}
