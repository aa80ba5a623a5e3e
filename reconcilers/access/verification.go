package access

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
	corev1 "k8s.io/api/core/v1"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

// rules names what a verification checks. It changes when that gets stricter, so that everything is verified again.
const rules = "ocm-operator/verification/v1"

// Policy is what the signatures of a component version are checked with. It is the same for all objects that ask for the same
// signatures with the same keys, of whatever kind.
type Policy struct {
	// Requests are the signatures that must hold.
	Requests []signing.Request
	// Fingerprint is a digest of the requests with all their keys.
	Fingerprint string
}

// Policy is PolicyOf for a ComponentVersion.
func (p *Provider) Policy(ctx context.Context, cv *v1alpha1.ComponentVersion) (*Policy, error) {
	return p.PolicyOf(ctx, ComponentVersionUser(cv))
}

// PolicyOf reads the keys and certificates that spec.verify of an object names. It returns a *KeyMissingError when a
// Secret does not hold one, and an *UnusableError when one can't be used. Secrets are read once for each call, and only in the
// namespace of the object.
func (p *Provider) PolicyOf(ctx context.Context, user User) (*Policy, error) {
	reader := &keyReader{live: p.opts.Live, user: user, secrets: map[string]*corev1.Secret{}}
	policy, parts := &Policy{}, []string{rules}
	for i, signature := range user.Verify {
		request, made, err := reader.request(ctx, signature, user.keyField(i))
		if err != nil {
			return nil, err
		}
		policy.Requests = append(policy.Requests, request)
		parts = append(append(parts, "signature", signature.Name), made...)
	}
	policy.Fingerprint = digestOf(parts...)
	return policy, nil
}

// Proof returns what stands for the proof of a component version by this policy: it changes with the digest of the manifest, the
// keys, and the rules of verification. It says nothing of the repository that the version was read from.
func (p *Policy) Proof(manifest digest.Digest) string {
	return digestOf(rules, manifest.String(), p.Fingerprint)
}

// Proven returns what a proof is about: the component version, and all that it refers to, by the digests of their manifests.
func Proven(proof *verify.Proof) []source.Node {
	nodes := make([]source.Node, 0, len(proof.Versions))
	for _, v := range proof.Versions {
		nodes = append(nodes, source.Node{Component: v.Component, Version: v.Version, ManifestDigest: v.Manifest.String()})
	}
	return nodes
}

// ComponentDigest returns the digest of what signatures of a component version cover, in one form for all of them, as in
// sha256:0123. It stays when a signature is added, or something changes that isn't signed.
func ComponentDigest(version *ocm.ComponentVersion) (string, error) {
	computed, err := normalize.Digest(version.Descriptor(), "SHA-256", normalize.V3)
	if err != nil {
		return "", fmt.Errorf("digest of component %s %s: %w", version.Component(), version.Version(), err)
	}
	return "sha256:" + computed.Value, nil
}

// Verify proves a pinned component version with all that it refers to, or returns the proof that is remembered. Equal requests
// share one verification, which goes on as long as one of the callers waits, and is not bounded otherwise. It matches
// verify.ErrRefused when the version is refused; anything else says that something could not be read. A refusal is remembered
// when nothing but another version or policy can change it; of others, what was proven is.
//
// The progress, which may be nil, is called on the goroutine of the caller, with the latest there is.
//
// A proof is remembered for the repository with the credentials it was opened with, so nobody gets one that its own
// credentials would not give.
func (r *Repository) Verify(ctx context.Context, node source.Node, policy *Policy, progress func(verify.Progress)) (*verify.Proof, error) {
	return r.provider.proofs.get(ctx, r.proofKey(node, policy), func(ctx context.Context, report func(verify.Progress)) (*verify.Proof, error) {
		return r.prove(ctx, node, policy, report)
	}, progress)
}

// Forget drops what is remembered of the verification of a component version, because the manifests that it found are gone. The
// next verification finds others, if there are any that are what was signed.
func (r *Repository) Forget(node source.Node, policy *Policy) {
	r.provider.proofs.verdicts.forget(r.proofKey(node, policy))
}

// proofKey is all that a proof depends on.
func (r *Repository) proofKey(node source.Node, policy *Policy) string {
	return digestOf(r.key, node.Component, node.Version, node.ManifestDigest, policy.Fingerprint)
}

// prove does a verification.
func (r *Repository) prove(ctx context.Context, node source.Node, policy *Policy, report func(verify.Progress)) (*verify.Proof, error) {
	root, err := r.Pinned(ctx, node)
	if err != nil {
		return nil, err
	}
	begun, from := time.Now(), verified{repository: r}
	proof, err := verify.Verify(ctx, from, from.checked(root), policy.Requests, verify.Options{
		Concurrency: r.provider.opts.ChecksPerVersion, Now: r.provider.opts.Now(), Progress: report,
	})
	log := logf.FromContext(ctx).V(1).WithValues("component", node.Component, "version", node.Version, "manifestDigest", node.ManifestDigest, "took", time.Since(begun))
	if err != nil {
		log.Info("Component version is not verified", "cause", err.Error())
		return nil, err
	}
	log.Info("Verified component version", "signatures", len(proof.Signatures), "versions", len(proof.Versions))
	return proof, nil
}

// digestOf tells sequences of texts apart.
func digestOf(parts ...string) string {
	sum := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil))
}
