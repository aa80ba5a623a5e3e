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
	// head is the branch that is pushed to.
	head    string
	metrics *metrics
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
	return &desk{forge: made, provider: provider, head: r.obj.TargetBranch(), metrics: c.metrics, leave: leave}, nil
}

// open lists the open requests of the branch that is pushed to.
func (d *desk) open(ctx context.Context) ([]forge.Request, error) {
	open, err := d.forge.Open(ctx, d.head)
	d.metrics.asked(d.provider, actionLook, err)
	return open, d.explain("look for pull requests of branch "+d.head, err)
}

func (d *desk) get(ctx context.Context, number int64) (*forge.Request, error) {
	got, err := d.forge.Get(ctx, number)
	d.metrics.asked(d.provider, actionLook, err)
	return got, d.absent(ctx, fmt.Sprintf("look at pull request #%d", number), err)
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
	return d.absent(ctx, fmt.Sprintf("close pull request #%d", number), err)
}

// errGone says that a pull request does not exist any more, in a repository that does.
var errGone = errors.New("it does not exist any more")

// absent tells a request that is gone from one that the token may not see: forges say the same of both, but they don't list the requests of
// a repository either whose existence they hide.
func (d *desk) absent(ctx context.Context, what string, err error) error {
	if !errors.Is(err, forge.ErrNotFound) {
		return d.explain(what, err)
	}
	_, hidden := d.forge.Open(ctx, d.head)
	d.metrics.asked(d.provider, actionLook, hidden)
	switch {
	case hidden == nil:
		return d.explain(what, fmt.Errorf("%w: %w", errGone, err))
	case errors.Is(hidden, forge.ErrNotFound):
		return d.explain(what, fmt.Errorf("the token may see neither the pull request nor the repository, or the repository is gone: check the rights of the token, and spec.repository: %w", err))
	}
	return d.explain(what, hidden)
}

func (d *desk) explain(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
