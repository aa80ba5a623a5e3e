package options

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/pflag"
)

// Archives says where transport archives are.
type Archives struct {
	// Dir holds a folder for each namespace with its archives; empty refuses archives that are files.
	Dir string
	// TempDir is where archives are unpacked and downloaded to, and what copies take apart; empty is the default of the system.
	TempDir string
	// TempBytes bounds what all of that takes there together, and MaxBytes a single transport archive.
	TempBytes, MaxBytes int64
}

func (a *Archives) bind(f *pflag.FlagSet) {
	f.StringVar(&a.Dir, "archives-dir", "",
		"Folder of a volume with a folder for each namespace, in which ctf::podinfo.tgz of an object in that namespace is the file podinfo.tgz. "+
			"Empty refuses transport archives that are files; those behind a URL, as in ctf::https://example.com/podinfo.tgz, need no folder.")
	f.StringVar(&a.TempDir, "archives-temp-dir", "",
		"Folder for temporary files: transport archives that are unpacked or downloaded, and of components that are copied their packed artifacts, "+
			"and contents whose size nobody states. The default is that of the system.")
	f.Int64Var(&a.TempBytes, "archives-temp-size", 16<<30, "Bytes that all temporary files may take there together.")
	f.Int64Var(&a.MaxBytes, "archives-max-size", 16<<30, "Largest transport archive in bytes that is unpacked, downloaded or written.")
}

// leastArchive is room for an index and a component version.
const leastArchive = 1 << 20

func (a *Archives) check() error {
	switch {
	case a.Dir != "" && !filepath.IsAbs(a.Dir):
		return fmt.Errorf("--archives-dir %q is no absolute path: name the folder where the volume is mounted", a.Dir)
	case a.TempDir != "" && !filepath.IsAbs(a.TempDir):
		return fmt.Errorf("--archives-temp-dir %q is no absolute path", a.TempDir)
	case a.MaxBytes < leastArchive || a.TempBytes < a.MaxBytes:
		return fmt.Errorf("--archives-max-size is %d and --archives-temp-size %d: the first must be at least %d bytes, and not above the second",
			a.MaxBytes, a.TempBytes, leastArchive)
	}
	return nil
}
