package componentversion_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	corev1 "k8s.io/api/core/v1"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// signingKeys is the Secret with the public keys.
const signingKeys = "signing-keys"

// signed is a version of the component with signatures, each by the signer of its name.
func signed(t *testing.T, version string, names ...string) ocmtest.Component {
	t.Helper()
	component := ocmtest.Component{
		Name: app, Version: version, Resources: []ocmtest.Resource{{Name: "data", Content: []byte("data of " + version)}},
	}
	for _, name := range names {
		component.Signatures = append(component.Signatures, signature(t, name, name))
	}
	return component
}

// signature is made by a signer who may have another name.
func signature(t *testing.T, name, signer string) ocmtest.Signature {
	t.Helper()
	s, _ := ocmtest.SignerOf(t, signer)
	return ocmtest.Signature{Name: name, Signer: s}
}

// key is the public key of a signer.
func key(t *testing.T, signer string) []byte {
	t.Helper()
	_, public := ocmtest.SignerOf(t, signer)
	return public
}

// store writes the Secret with the public keys, each given as name and signer.
func (s *stage) store(t *testing.T, namesAndSigners ...string) *corev1.Secret {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: reconcilertest.Named(signingKeys), Data: map[string][]byte{}}
	found := s.Has(secret)
	secret.Data = map[string][]byte{}
	for i := 0; i < len(namesAndSigners); i += 2 {
		secret.Data[namesAndSigners[i]] = key(t, namesAndSigners[i+1])
	}
	if !found {
		s.Create(secret)
		return secret
	}
	data := secret.Data
	s.Change(secret, func() { secret.Data = data })
	return secret
}

// stored asks for signatures that are checked with the keys of the Secret.
func stored(names ...string) []v1alpha1.Signature {
	var all []v1alpha1.Signature
	for _, name := range names {
		all = append(all, v1alpha1.Signature{
			Name: name, PublicKey: &v1alpha1.PublicKey{SecretRef: &meta.LocalObjectReference{Name: signingKeys}},
		})
	}
	return all
}

// verified creates a ComponentVersion with signatures to check and reconciles it.
func (s *stage) verified(constraint string, verify ...v1alpha1.Signature) *v1alpha1.ComponentVersion {
	cv := reconcilertest.ComponentVersion("app", s.url, app, constraint)
	cv.Spec.Verify = verify
	s.Create(cv)
	s.Reconcile(cv)
	return cv
}

// publishAll publishes component versions and returns the digest of the last one's manifest.
func (s *stage) publishAll(all ...ocmtest.Component) (last digest.Digest) {
	for _, component := range all {
		last = s.Publish(s.url, component)
	}
	return last
}

// restart forgets everything but what is in the cluster.
func (s *stage) restart(t *testing.T) {
	t.Helper()
	repositories, err := access.New(access.Options{Live: s.Client, Transport: http.DefaultTransport, AllowedHosts: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	s.Repositories = repositories
	s.install()
}

// wantEvents checks what was reported since it was asked last.
func (s *stage) wantEvents(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, s.Events()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// wantQuiet checks that nothing was written and nothing reported since it was asked last.
func (s *stage) wantQuiet(t *testing.T) {
	t.Helper()
	if writes, events := s.Writes(), s.Events(); len(writes) > 0 || len(events) > 0 {
		t.Errorf("writes %v and events %q, want none", writes, events)
	}
}
