package access

import (
	"errors"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

// Verdict says what an error of component access means for the object that needs it. What the user has to provide stalls
// it. What the repository answered clearly, such as that there is no such version, is a verdict. Everything else, such as
// a registry that can't be reached, passes by itself.
func Verdict(reason string, err error) error {
	var (
		verdict   *lifecycle.Verdict
		unusable  *UnusableError
		mismatch  *ocm.DigestMismatchError
		missing   *descriptor.NotFoundError
		ambiguous *descriptor.AmbiguousError
	)
	switch {
	case err == nil || errors.As(err, &verdict):
		return err
	case errors.As(err, &unusable):
		return lifecycle.Stall(reason, err)
	case errors.Is(err, ocm.ErrNotFound), errors.Is(err, ocm.ErrUnauthorized),
		errors.Is(err, ocm.ErrNotComponent), errors.Is(err, ocm.ErrUnsupported), errors.Is(err, ocm.ErrTooLarge), errors.As(err, &mismatch), errors.As(err, &missing), errors.As(err, &ambiguous):
		return lifecycle.Fail(reason, err)
	}
	return lifecycle.Retry(reason, err)
}
