package source

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// Handed is content that Flux was given by a FluxDeployer, and may pull at any time, though its source has moved on: one
// that is suspended, or stuck, leaves Flux with what it was given before.
type Handed struct {
	// Repository is where the content is, and Manifest the digest of its manifest.
	Repository, Manifest string
	// Leaving is set when the FluxDeployer is being deleted, and what it made with it.
	Leaving bool
}

// HandedOver lists what all FluxDeployers have given to Flux: what was deployed last, and what Flux has been at since. The
// two differ while the objects of Flux aren't ready, and either is pulled then.
func HandedOver(ctx context.Context, reader client.Reader) ([]Handed, error) {
	all := &v1alpha1.FluxDeployerList{}
	err := reader.List(ctx, all)
	if apimeta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
		return nil, nil // without the kind, nothing was deployed
	}
	if err != nil {
		return nil, fmt.Errorf("list FluxDeployers: %w", err)
	}
	var handed []Handed
	for i := range all.Items {
		d := &all.Items[i]
		ref := RefTo(d.Spec.SourceRef, d.Namespace)
		item := Handed{Repository: snapshot.RepositoryName(ref.Namespace, snapshot.Name(ref.Kind, ref.Name)), Leaving: !d.DeletionTimestamp.IsZero()}
		for _, revision := range []string{d.Status.LastAppliedRevision, d.Status.LastAttemptedRevision} {
			_, manifest, ok := strings.Cut(revision, "@")
			if ok && manifest != item.Manifest {
				item.Manifest = manifest
				handed = append(handed, item)
			}
		}
	}
	return handed, nil
}
