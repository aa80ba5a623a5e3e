package gitsync

import (
	"context"
	"path"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"

	"github.com/ocm-operator/ocm-operator/git/message"
	"github.com/ocm-operator/ocm-operator/git/remote"
	"github.com/ocm-operator/ocm-operator/git/tree"
)

const (
	// maxListed bounds how many changed files a pull request lists.
	maxListed = 300
	// maxManifests and maxManifest bound how many changed manifests are looked into for images, and how large each may be.
	maxManifests = 64
	maxManifest  = 1 << 20
)

// manifests are the extensions of files that name images.
var manifests = []string{".yaml", ".yml", ".json"}

// reportOn finds out what a pull request says of a change: what the content changes in the branch that it is for. What else differs between
// the two is either what others have committed there since, or what they have added to the proposal, which the forge lists.
func (c *controller) reportOn(ctx context.Context, r *run, b *bench, base *branch) error {
	changes, err := tree.Diff(ctx, b, base.root, base.wantedRoot, maxListed)
	if err != nil {
		return err
	}
	r.found.report = &message.Report{
		Changes: message.Changes{Added: paths(changes.Added), Modified: paths(changes.Modified), Removed: paths(changes.Removed), Total: changes.Total},
		Images:  images(ctx, b, changes),
	}
	return nil
}

func paths(all []tree.File) []string {
	names := make([]string, 0, len(all))
	for _, f := range all {
		names = append(names, f.Path)
	}
	return names
}

// images lists the images that change. A file that can't be read is left out: the pull request lists it as changed all the same.
func images(ctx context.Context, b *bench, changes tree.Changes) []message.ImageChange {
	files := slices.DeleteFunc(slices.Concat(changes.Modified, changes.Added, changes.Removed), func(f tree.File) bool {
		return !slices.Contains(manifests, path.Ext(f.Path)) || f.Mode == filemode.Symlink || f.Mode == filemode.Submodule
	})
	files = files[:min(len(files), maxManifests)]
	b.load(ctx, files)
	var found []message.ImageChange
	for _, f := range files {
		if ctx.Err() != nil {
			break
		}
		before, errBefore := blob(ctx, b, f.Old)
		after, errAfter := blob(ctx, b, f.New)
		if errBefore == nil && errAfter == nil {
			found = append(found, message.Images(f.Path, before, after)...)
		}
	}
	return found
}

// load gets what files were before, with one request for each commit that has some of them. Where that fails, each is asked for.
func (b *bench) load(ctx context.Context, files []tree.File) {
	wanted := make([][]plumbing.Hash, len(b.order))
	for _, f := range files {
		if i := slices.IndexFunc(b.order, func(s *remote.Store) bool { return s.Has(f.Old) }); i >= 0 {
			wanted[i] = append(wanted[i], f.Old)
		}
	}
	for i, store := range b.order {
		if len(wanted[i]) > 0 {
			_ = store.Load(ctx, wanted[i], maxManifest)
		}
	}
}

// blob returns the content of a file, which is nil if there is none.
func blob(ctx context.Context, b *bench, h plumbing.Hash) ([]byte, error) {
	if h.IsZero() {
		return nil, nil
	}
	return b.Blob(ctx, h, maxManifest)
}
