package access

import (
	"errors"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

// Verdict says what an error of component access means for the object that needs it. What the user has to provide stalls
// it, except for a public key that may be created yet. What the repository answered clearly, such as that there is no such
// version, is a verdict, and so is that a version doesn't verify. Everything else, such as a registry that can't be reached
// or a page of a proxy in its place, passes by itself.
func Verdict(reason string, err error) error {
	var (
		verdict  *lifecycle.Verdict
		unusable *UnusableError
		missing  *KeyMissingError
	)
	switch {
	case err == nil || errors.As(err, &verdict):
		return err
	case errors.As(err, &unusable):
		return lifecycle.Stall(reason, err)
	case errors.As(err, &missing) || isAnswer(err):
		return lifecycle.Fail(reason, err)
	}
	return lifecycle.Retry(reason, err)
}

// isAnswer tells what a repository answered, and would answer again, from what may pass.
func isAnswer(err error) bool {
	var (
		missing   *ocm.ElementNotFoundError
		ambiguous *ocm.AmbiguousError
	)
	switch {
	case verify.IsAnswer(err), errors.Is(err, verify.ErrRefused), errors.As(err, &missing), errors.As(err, &ambiguous):
		return true
	}
	return errors.Is(err, ocm.ErrUnauthorized) && !errors.Is(err, ocm.ErrUnsure)
}
