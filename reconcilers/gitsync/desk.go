package gitsync

import (
	"context"
	"errors"
	"fmt"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/git/forge"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

// desk is a forge whose use is counted.
type desk struct {
	forge    forge.Forge
	provider string
	metrics  *metrics
	// leave ends connections.
	leave func()
}

// desk makes the forge ready that has the requests of a repository.
func (c *controller) desk(r *run, repositoryURL string) (*desk, error) {
	provider := r.obj.Spec.Repository.Provider
	if r.credentials.apiToken == "" {
		return nil, lifecycle.Stall(v1alpha1.CredentialsNotFoundReason, fmt.Errorf(
			"there is no token for the API of %s: put it into the Secret that spec.repository.secretRef names, under the key %q", provider, apiTokenKey))
	}
	made, leave, err := c.forge(r, repositoryURL)
	if err != nil {
		return nil, invalidSpec(fmt.Errorf("spec.repository: %w", err))
	}
	return &desk{forge: made, provider: provider, metrics: c.metrics, leave: leave}, nil
}

func (d *desk) open(ctx context.Context, head string) ([]forge.Request, error) {
	open, err := d.forge.Open(ctx, head)
	d.metrics.asked(d.provider, actionLook, err)
	return open, d.explain("look for pull requests of branch "+head, err)
}

func (d *desk) get(ctx context.Context, number int64) (*forge.Request, error) {
	got, err := d.forge.Get(ctx, number)
	d.metrics.asked(d.provider, actionLook, err)
	return got, d.explain(fmt.Sprintf("look at pull request #%d", number), err)
}

func (d *desk) create(ctx context.Context, draft forge.Draft) (*forge.Request, error) {
	made, err := d.forge.Create(ctx, draft)
	d.metrics.asked(d.provider, actionCreate, err)
	return made, d.explain("create a pull request of branch "+draft.Head, err)
}

func (d *desk) update(ctx context.Context, number int64, draft forge.Draft) (*forge.Request, error) {
	updated, err := d.forge.Update(ctx, number, draft)
	d.metrics.asked(d.provider, actionUpdate, err)
	if err == nil && updated == nil {
		err = errors.New("the forge says nothing of it")
	}
	return updated, d.explain(fmt.Sprintf("update pull request #%d", number), err)
}

func (d *desk) close(ctx context.Context, number int64, comment string) error {
	err := d.forge.Close(ctx, number, comment)
	d.metrics.asked(d.provider, actionClose, err)
	return d.explain(fmt.Sprintf("close pull request #%d", number), err)
}

func (d *desk) explain(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
