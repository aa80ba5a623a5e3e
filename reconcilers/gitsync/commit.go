package gitsync

import (
	"errors"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/git/message"
	"github.com/ocm-operator/ocm-operator/git/pack"
	"github.com/ocm-operator/ocm-operator/git/sign"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

// Trailers of the commits that are pushed.
const (
	// componentTrailer, versionTrailer, resourceTrailer and digestTrailer say what the content is.
	componentTrailer = "Ocm-Component"
	versionTrailer   = "Ocm-Version"
	resourceTrailer  = "Ocm-Resource"
	digestTrailer    = "Ocm-Digest"
	// syncTrailer names the object, and treeTrailer the tree of the commit: one that others have amended has another.
	syncTrailer = "Ocm-Sync"
	treeTrailer = "Ocm-Tree"
	// baseTrailer names the commit that nothing but this commit lies upon, baseTreeTrailer the folder there, and baseBranchTrailer the branch
	// that was at it.
	baseTrailer       = "Ocm-Base"
	baseTreeTrailer   = "Ocm-Base-Tree"
	baseBranchTrailer = "Ocm-Base-Branch"
)

// writeCommit writes the commit of a plan into the pack.
func (c *controller) writeCommit(r *run, w *pack.Writer, p plan, data message.Data) (plumbing.Hash, error) {
	text, err := message.Commit(r.obj.Spec.CommitTemplate.Message, data, r.trailers(p, data))
	if err != nil {
		return plumbing.ZeroHash, templateVerdict(err)
	}
	now := object.Signature{Name: r.obj.Spec.CommitTemplate.Name, Email: r.obj.Spec.CommitTemplate.Email, When: c.now().UTC()}
	made := &object.Commit{Author: now, Committer: now, Message: text, TreeHash: p.root}
	if !p.parent.IsZero() {
		made.ParentHashes = []plumbing.Hash{p.parent}
	}
	raw, err := sign.Commit(made, r.credentials.signer)
	if _, unusable := errors.AsType[*sign.KeyError](err); unusable {
		return plumbing.ZeroHash, lifecycle.Stall(v1alpha1.CredentialsNotFoundReason, err)
	}
	if err != nil {
		return plumbing.ZeroHash, invalidSpec(err)
	}
	return w.Object(plumbing.CommitObject, raw)
}

func (r *run) trailers(p plan, data message.Data) []message.Trailer {
	trailers := []message.Trailer{
		{Key: componentTrailer, Value: data.Component},
		{Key: versionTrailer, Value: data.Version},
		{Key: resourceTrailer, Value: data.Resource},
		{Key: digestTrailer, Value: data.Digest},
		{Key: syncTrailer, Value: r.key().String()},
		{Key: treeTrailer, Value: p.root.String()},
	}
	if p.base.IsZero() {
		return trailers
	}
	return append(trailers,
		message.Trailer{Key: baseTrailer, Value: p.base.String()},
		message.Trailer{Key: baseTreeTrailer, Value: p.baseFolder.String()},
		message.Trailer{Key: baseBranchTrailer, Value: p.baseBranch},
	)
}

// markOf reads what a commit says of itself. It is nil if this object has not made the commit, or not as it is.
func (r *run) markOf(tip *object.Commit) *mark {
	said := message.ParseTrailers(tip.Message)
	if said[syncTrailer] != r.key().String() || said[treeTrailer] != tip.TreeHash.String() {
		return nil
	}
	return &mark{base: plumbing.NewHash(said[baseTrailer]), baseFolder: plumbing.NewHash(said[baseTreeTrailer]), baseBranch: said[baseBranchTrailer]}
}
