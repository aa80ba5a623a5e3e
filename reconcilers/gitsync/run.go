package gitsync

import (
	"cmp"
	"context"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/git/message"
	"github.com/ocm-operator/ocm-operator/git/remote"
	"github.com/ocm-operator/ocm-operator/git/tree"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// controller holds what the steps of every run share.
type controller struct {
	// reader reads from the cache, and live past it.
	reader, live client.Reader
	resolver     source.Resolver
	store        snapshot.Store
	hosts        *oci.Hosts
	userAgent    string
	limits       tree.Limits
	maxBytes     int64
	tempDir      string
	metrics      *metrics
	memory       memory
	lanes        *lanes
	now          func() time.Time
	settling     time.Duration

	crossNamespaceRefs bool
}

func newController(o Options, reader, live client.Reader) *controller {
	return &controller{
		reader: reader, live: live, store: o.Store, userAgent: o.UserAgent, limits: o.Limits,
		maxBytes: cmp.Or(o.MaxRepositoryBytes, usualRepositoryBytes), settling: cmp.Or(o.Settling, usualSettling),
		resolver:           source.Resolver{Reader: reader, NoCrossNamespaceRefs: o.NoCrossNamespaceRefs},
		crossNamespaceRefs: o.CrossNamespaceRefs, now: time.Now, lanes: newLanes(o.Concurrent),
	}
}

// repository is what is needed of a git repository.
type repository interface {
	Refs(ctx context.Context) (*remote.Refs, error)
	Fetch(ctx context.Context, commit plumbing.Hash) (*remote.Store, error)
	Push(ctx context.Context, update remote.Update) error
	// Close ends connections.
	Close()
}

// run is what the steps of one reconciliation hand to each other.
type run struct {
	obj    *v1alpha1.GitSync
	events lifecycle.Events

	subPath     string
	content     *source.Content
	location    *remote.URL
	credentials credentials
	repository  repository
	// leave are to be called when the run is over.
	leave []func()
	// world is what was there at the last look.
	world world
	// found is what is known of that world; nil if it has to be found out.
	found *finding
	// recorded is set if an earlier run has seen this very world, and has said all that there is to say about it.
	recorded bool
	// fresh is set if the branch has to stand on what the base is now, and made is what was pushed last, whether it arrived or not.
	fresh bool
	made  plumbing.Hash
}

// world is everything that the result depends on. Equal worlds need no second look.
type world struct {
	// uid is the object, fingerprint its spec and the content, and repository the address.
	uid                     types.UID
	fingerprint, repository string
	// target, base and proposed are the tips of the branches; zero for those that don't exist.
	target, base, proposed plumbing.Hash
	// empty is set for a repository without branches.
	empty bool
}

// settle drops the base branch where it doesn't matter: a branch that only grows was made upon it, and has nothing to do with it after that.
func (w *world) settle(r *run) {
	if !r.rebuilds() && !w.target.IsZero() {
		w.base = plumbing.ZeroHash
	}
}

// finding is what was found out about a world.
type finding struct {
	// delivered is set if there is nothing to propose.
	delivered bool
	// pushed is set if the content was pushed for it.
	pushed bool
	// branch is the one that holds the content, commit its tip and folder the tree there.
	branch         string
	commit, folder plumbing.Hash
	// content is the tree of the content alone.
	content plumbing.Hash
	// data and report are what is said about it in pull requests; report is nil if that is not known any more.
	data   message.Data
	report *message.Report
}

// proposes tells whether there are pull requests.
func (r *run) proposes() bool { return r.obj.Spec.AutomaticPullRequestCreation }

// direct tells whether the branch that is pushed to is built upon.
func (r *run) direct() bool { return r.obj.TargetBranch() == r.obj.BaseBranch() }

// rebuilds tells whether the branch that is pushed to is for pull requests alone, so that a commit of ours may be replaced there.
func (r *run) rebuilds() bool { return r.proposes() && !r.direct() }

// key is the name of the object.
func (r *run) key() types.NamespacedName { return client.ObjectKeyFromObject(r.obj) }
