package ocm_test

import (
	"path/filepath"
	"testing"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/repositorytest"
)

// TestConformance holds registries and transport archives to the same rules.
func TestConformance(t *testing.T) {
	t.Parallel()
	t.Run("registry", func(t *testing.T) {
		t.Parallel()
		repositorytest.Run(t, func(t *testing.T) repositorytest.Place {
			server := ocmtest.Start(t)
			return func() (repositorytest.Repository, error) { return ocm.Open(server.URL+"/some/path", ocm.Options{}) }
		})
	})
	for _, name := range []string{"directory", "archive.tar", "archive.tgz", "archive.tar.gz"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repositorytest.Run(t, func(t *testing.T) repositorytest.Place {
				dir, temp := t.TempDir(), t.TempDir()
				t.Cleanup(func() {
					for _, pattern := range []string{temp + "/*", dir + "/.*", dir + "/*/.*"} {
						if left, err := filepath.Glob(pattern); err != nil || len(left) > 0 {
							t.Errorf("temporary files are left: %v, %v", left, err)
						}
					}
				})
				return func() (repositorytest.Repository, error) {
					return ocm.CreateCTF(filepath.Join(dir, name), ocm.Options{TempDir: temp})
				}
			})
		})
	}
}
