package mutation

import (
	"errors"
	"fmt"

	configv1 "github.com/ocm-operator/ocm-operator/apis/config/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/publish"
	"github.com/ocm-operator/ocm-operator/snapshot/archive"
	"github.com/ocm-operator/ocm-operator/transform/cuemap"
)

// Flags of the operator that set limits.
const (
	configSizeFlag    = "--max-config-size"
	valuesSizeFlag    = "--max-values-size"
	mappingTimeFlag   = "--max-mapping-time"
	mappingMemoryFlag = "--max-mapping-memory"
	mappingOutputFlag = "--max-mapping-output"
)

// Limits bounds what a mutation reads. Fields that are zero have their defaults.
type Limits struct {
	// Archives bounds what sources may unpack to, and the files in them that are changed or merged over.
	Archives archive.Limits
	// ConfigBytes bounds a ConfigData, and ValuesBytes the values of one place. The default of both is 1 MiB; beyond
	// configv1.MaxBytes they have no effect.
	ConfigBytes, ValuesBytes int64
}

func (l Limits) withDefaults() Limits {
	if l.Archives.EditBytes <= 0 {
		l.Archives.EditBytes = archive.DefaultLimits().EditBytes
	}
	if l.ConfigBytes <= 0 {
		l.ConfigBytes = configv1.DefaultBytes
	}
	if l.ValuesBytes <= 0 {
		l.ValuesBytes = configv1.DefaultBytes
	}
	return l
}

// valuesFile says how large a file of values may be.
func (e *engine) valuesFile() fileLimit {
	return fileLimit{bytes: e.limits.ValuesBytes, flag: valuesSizeFlag}
}

// flagged adds to the error of a limit the flag that sets it.
func flagged(err error) error {
	var flag string
	switch {
	case errors.Is(err, cuemap.ErrTime):
		flag = mappingTimeFlag
	case errors.Is(err, cuemap.ErrMemory):
		flag = mappingMemoryFlag
	case errors.Is(err, cuemap.ErrOutput):
		flag = mappingOutputFlag
	default:
		return publish.Flagged(err)
	}
	return fmt.Errorf("%w, the limit that %s sets", err, flag)
}
