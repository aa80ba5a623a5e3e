package access

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/panics"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
)

// verified reads for a verification. It implements verify.Source. What it is asked for is asked on goroutines that nothing
// recovers.
type verified struct{ repository *Repository }

// Version implements verify.Source. What it returns is pinned by the digest of its manifest: what the tag leads to later
// doesn't matter.
func (s verified) Version(ctx context.Context, component, version string) (found verify.Version, err error) {
	defer panics.Recover(&err, "read component %s %s", component, version)
	current, _, err := s.repository.Current(ctx, component, version)
	if err != nil {
		return nil, err
	}
	return s.checked(current), nil
}

func (s verified) checked(version *ocm.ComponentVersion) verify.Version {
	return checked{ComponentVersion: version, repository: s.repository}
}

// checked is a component version whose contents are read once they have a slot, and not again once they were proven.
type checked struct {
	*ocm.ComponentVersion

	repository *Repository
}

// Check implements verify.Version.
func (c checked) Check(ctx context.Context, res *descriptor.Resource) (err error) {
	defer panics.Recover(&err, "check resource %s of component %s %s", &res.Element, c.Component(), c.Version())
	key, err := c.key(res)
	if err != nil {
		return err
	}
	proofs := c.repository.provider.proofs
	if _, known := proofs.contents.get(key); known {
		return nil
	}
	release, err := proofs.slots.Take(ctx, slotKey{c.repository.user.Namespace, c.repository.Host()})
	if err != nil {
		return err
	}
	defer release()
	if err := c.ComponentVersion.Check(ctx, res); err != nil {
		return err
	}
	proofs.contents.add(key, struct{}{})
	return nil
}

// key stands for all that the content of a resource depends on: the repository with the credentials for it, where it is
// there, and the digest that it must have.
func (c checked) key(res *descriptor.Resource) (string, error) {
	raw, err := json.Marshal(res)
	if err != nil {
		return "", fmt.Errorf("resource %s of %s:%s: %w", &res.Element, c.Component(), c.Version(), err)
	}
	return digestOf(c.repository.key, c.Component(), c.ManifestDigest().String(), string(raw)), nil
}
