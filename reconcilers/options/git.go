package options

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/pflag"
)

// Git bounds what GitSyncs do.
type Git struct {
	// TempDir is where repositories are fetched to, and what is pushed is put together; empty is the default of the system.
	TempDir string
	// MaxRepositoryBytes bounds what is fetched of a repository, which is one commit of a branch, and what is pushed to it.
	MaxRepositoryBytes int64
	// MaxFiles bounds the files and folders of a snapshot.
	MaxFiles int
	// CrossNamespaceRefs lets GitSyncs refer to objects in other namespaces.
	CrossNamespaceRefs bool
}

func (g *Git) bind(f *pflag.FlagSet) {
	f.StringVar(&g.TempDir, "git-temp-dir", "", "Folder for what GitSyncs fetch and push, while they do. The default is that of the system.")
	f.Int64Var(&g.MaxRepositoryBytes, "git-max-repository-size", 1<<30, "Largest commit of a git repository in bytes, as it is fetched, and most that is pushed to one at once.")
	f.IntVar(&g.MaxFiles, "git-max-files", 100_000, "Most files and folders of a snapshot that is pushed to a git repository.")
	f.BoolVar(&g.CrossNamespaceRefs, "git-cross-namespace-refs", false,
		"Let GitSyncs push the content of objects in other namespaces; --no-cross-namespace-refs refuses it nevertheless.")
}

// leastRepository is room for a commit with a few files.
const leastRepository = 1 << 20

func (g *Git) check() error {
	switch {
	case g.TempDir != "" && !filepath.IsAbs(g.TempDir):
		return fmt.Errorf("--git-temp-dir %q is no absolute path", g.TempDir)
	case g.MaxRepositoryBytes < leastRepository:
		return fmt.Errorf("--git-max-repository-size is %d: it must be at least %d bytes", g.MaxRepositoryBytes, leastRepository)
	case g.MaxFiles < 1:
		return fmt.Errorf("--git-max-files is %d: it must be at least 1", g.MaxFiles)
	}
	return nil
}
