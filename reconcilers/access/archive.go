package access

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

// archiveScheme begins the address of a transport archive.
const archiveScheme = "ctf::"

// isArchive tells whether an address is that of a transport archive.
func isArchive(url string) bool { return strings.HasPrefix(url, archiveScheme) }

// openArchive opens a transport archive.
func (p *Provider) openArchive(_ context.Context, _ User, repository v1alpha1.Repository, field string, _ gathered) (*Repository, error) {
	return nil, lifecycle.Stall(v1alpha1.InvalidSpecReason, fmt.Errorf("%s.url: open %s: %w", field, repository.URL, errNoArchives))
}

// errNoArchives says that transport archives are refused.
var errNoArchives = errors.New("the operator was started without --archives-dir, below which archives lie")
