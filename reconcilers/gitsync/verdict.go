package gitsync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/git/forge"
	"github.com/ocm-operator/ocm-operator/git/message"
	"github.com/ocm-operator/ocm-operator/git/pack"
	"github.com/ocm-operator/ocm-operator/git/remote"
	"github.com/ocm-operator/ocm-operator/git/tree"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// Flags of the operator that set limits.
const (
	repositorySizeFlag = "--git-max-repository-size"
	filesFlag          = "--git-max-files"
	allowedHostsFlag   = "--allowed-hosts"
)

// judged tells whether an error is a verdict already.
func judged(err error) bool {
	_, ok := errors.AsType[*lifecycle.Verdict](err)
	return ok || errors.Is(err, errLookAgain)
}

// fetchVerdict judges the errors of reading a repository.
func fetchVerdict(err error) error {
	if errors.Is(err, remote.ErrNoSuchCommit) {
		return fmt.Errorf("%w: %w", errLookAgain, err)
	}
	return remoteVerdict(v1alpha1.GitRepositoryFetchFailedReason, err)
}

// pushVerdict judges the errors of pushing to it.
func pushVerdict(err error) error {
	if rejected, ok := errors.AsType[*remote.RejectedError](err); ok && rejected.Protected {
		return lifecycle.Fail(v1alpha1.ProtectedBranchReason, err)
	} else if ok {
		return lifecycle.Fail(v1alpha1.GitRepositoryPushFailedReason, err)
	}
	return remoteVerdict(v1alpha1.GitRepositoryPushFailedReason, err)
}

// remoteVerdict judges what a git server answers: what it says clearly it would say again, and everything else passes.
func remoteVerdict(reason string, err error) error {
	redirect, large := (*remote.RedirectError)(nil), (*remote.TooLargeError)(nil)
	switch {
	case err == nil || judged(err):
		return err
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return lifecycle.Retry(reason, err)
	case errors.Is(err, remote.ErrUnauthorized), errors.Is(err, remote.ErrForbidden), errors.Is(err, remote.ErrHostKey):
		return lifecycle.Fail(v1alpha1.AuthenticationFailedReason, err)
	case errors.As(err, &large):
		return lifecycle.Fail(reason, fmt.Errorf("%w, the limit that %s sets", err, repositorySizeFlag))
	case errors.Is(err, remote.ErrNotFound), errors.Is(err, remote.ErrProtocol), errors.Is(err, remote.ErrUnsupported), errors.As(err, &redirect), refusedHost(err):
		return lifecycle.Fail(reason, err)
	}
	return lifecycle.Retry(reason, err)
}

// refusedHost tells a host that is never connected to. What a name server said may be another answer the next time.
func refusedHost(err error) bool {
	return errors.Is(err, oci.ErrHostRefused) && !errors.Is(err, oci.ErrUnsure)
}

// contentVerdict judges the errors of reading the content and of putting it into the tree of the repository.
func contentVerdict(err error) error {
	var (
		path     *tree.PathError
		limit    *tree.LimitError
		large    *pack.TooLargeError
		mismatch *snapshot.DigestMismatchError
	)
	switch {
	case err == nil || judged(err):
		return err
	case errors.As(err, &mismatch):
		return lifecycle.Fail(v1alpha1.ContentMismatchReason, err)
	case errors.As(err, &path):
		return lifecycle.Stall(v1alpha1.InvalidContentReason, fmt.Errorf("the content is not written to a git repository: %w", err))
	case errors.As(err, &limit) && limit.What == "entries":
		return lifecycle.Stall(v1alpha1.InvalidContentReason, fmt.Errorf("the content is not written to a git repository: %w, the limit that %s sets", err, filesFlag))
	case errors.As(err, &limit):
		return lifecycle.Stall(v1alpha1.InvalidContentReason, fmt.Errorf("the content is not written to a git repository: %w", err))
	case errors.As(err, &large):
		return lifecycle.Stall(v1alpha1.InvalidContentReason, fmt.Errorf("the content is not written to a git repository: %w, the limit that %s sets", err, repositorySizeFlag))
	}
	return lifecycle.Retry(v1alpha1.GitRepositoryPushFailedReason, err)
}

// templateVerdict judges the errors of templates, which only their author can change.
func templateVerdict(err error) error {
	if template, ok := errors.AsType[*message.TemplateError](err); ok {
		return invalidSpec(template)
	}
	return invalidSpec(err)
}

// seenLate is how long after a push a forge may not know of the branch yet: some look at what was pushed later.
const seenLate = 2 * time.Minute

// forgeVerdict judges what a forge answers.
func (c *controller) forgeVerdict(r *run, err error) error {
	if pushed := r.obj.Status.LastPushTime; errors.Is(err, forge.ErrNotFound) && !judged(err) && pushed != nil && c.now().Sub(pushed.Time) < seenLate {
		return lifecycle.Retry(v1alpha1.CreatePullRequestFailedReason, err)
	}
	return forgeVerdict(err)
}

func forgeVerdict(err error) error {
	const reason = v1alpha1.CreatePullRequestFailedReason
	var (
		limited  *forge.RateLimitedError
		redirect *forge.RedirectError
		answer   *forge.ResponseError
	)
	switch {
	case err == nil || judged(err):
		return err
	case errors.As(err, &limited):
		// What forges say besides has the number of the request and the time, and is new each time.
		return lifecycle.Wait(reason, max(time.Until(limited.Until), time.Second), errors.New("the forge limits how often it is asked; waiting until it may be asked again"))
	case errors.Is(err, forge.ErrUnauthorized):
		return lifecycle.Fail(v1alpha1.AuthenticationFailedReason, err)
	case errors.Is(err, forge.ErrForbidden), errors.Is(err, forge.ErrNotFound), errors.As(err, &redirect), refusedHost(err):
		return lifecycle.Fail(reason, err)
	case errors.As(err, &answer) && answer.Status >= 400 && answer.Status < 500 && !errors.Is(err, forge.ErrNoChanges):
		return lifecycle.Fail(reason, err)
	}
	return lifecycle.Retry(reason, err)
}
