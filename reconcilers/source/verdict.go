package source

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

// Verdict says what an error of resolving a reference means for the object that holds it. The reason is the one for a
// source that isn't ready.
func Verdict(reason string, err error) error {
	var (
		notReady *NotReadyError
		mixed    *MixedVersionsError
		unknown  *UnknownKindError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &notReady), errors.As(err, &mixed):
		return lifecycle.Wait(reason, 0, err)
	case errors.Is(err, ErrAccessDenied):
		return lifecycle.Stall(v1alpha1.AccessDeniedReason, err)
	case errors.As(err, &unknown):
		return lifecycle.Stall(v1alpha1.InvalidSpecReason, err)
	}
	return lifecycle.Retry(reason, err)
}

// Fingerprint is a digest over everything that decides what an object makes: equal fingerprints mean that there is nothing
// to do. The parts are compared by their JSON.
func Fingerprint(parts ...any) (string, error) {
	raw, err := json.Marshal(parts)
	if err != nil {
		return "", fmt.Errorf("fingerprint of the inputs: %w", err)
	}
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}
