package verify

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
)

// Unprotects tells whether and why the content of a resource is not protected by
// the signatures of its component version.
func Unprotects(res *descriptor.Resource) (Why, bool) {
	switch {
	case hasNoContent(res):
		return NoContent, true
	case res.Digest != nil && res.Digest.Excluded():
		return Excluded, true
	}
	return "", false
}

// hasNoContent tells resources with access none. The canonical forms leave out
// their digest, but not for every spelling that readers take for none.
func hasNoContent(res *descriptor.Resource) bool { return strings.EqualFold(res.Access.Kind(), "none") }

// CheckResource checks that the digest of a resource says what its content must
// be, or that there is nothing to compare, as Unprotects tells.
func CheckResource(res *descriptor.Resource) error {
	d := res.Digest
	why, unprotected := Unprotects(res)
	switch {
	case why == NoContent && d != nil:
		return errors.New("its access is none, but it states a digest of content; publish the component version again without the digest, or with the access of the content")
	case unprotected:
		return nil
	case d == nil:
		return errors.New("it states no digest, so no signature covers its content; publish the component version again with digests")
	}
	if err := checkMarks(d); err != nil {
		return err
	}
	if !d.ForArtifact() {
		return fmt.Errorf("its digest is of kind %q, which is neither %s nor %s", d.NormalisationAlgorithm, descriptor.GenericBlobDigest, descriptor.OCIArtifactDigest)
	}
	_, err := d.OCI()
	return err
}

// checkReference checks that a reference pins what it leads to.
func checkReference(ref *descriptor.Reference) error {
	if err := errors.Join(descriptor.CheckName(ref.ComponentName), descriptor.CheckVersion(ref.Version)); err != nil {
		return err
	}
	if ref.Digest == nil {
		return errors.New("it states no digest, so no signature covers what it leads to; publish the component version again with digests")
	}
	if err := checkMarks(ref.Digest); err != nil {
		return err
	}
	if err := normalize.Allowed(ref.Digest.HashAlgorithm, ref.Digest.NormalisationAlgorithm); err != nil {
		return err
	}
	_, err := ref.Digest.OCI()
	return err
}

// checkMarks refuses digests some parts of which say that there is none. Readers
// that look at one part only would not compare the content.
func checkMarks(d *descriptor.Digest) error {
	if d.HashAlgorithm == descriptor.NoDigest || d.NormalisationAlgorithm == descriptor.ExcludeFromSignature || d.Value == descriptor.NoDigest {
		return fmt.Errorf("its digest is %s in parts (%q, %q, %q)", descriptor.NoDigest, d.HashAlgorithm, d.NormalisationAlgorithm, d.Value)
	}
	return nil
}
