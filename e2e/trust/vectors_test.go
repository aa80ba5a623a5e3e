package trust_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest/vectors"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
)

// configuration is the content of the resource config of every root among the vectors.
const configuration = digest.Digest("sha256:2ed5867ac82a6250572485ba965e3ff3165838aed725d9c7e69121309aecdb4b")

// serveVectors serves everything that the registry of the reference tools had, and archives in folders of their names.
// The vectors refer to images at the host of that registry, so the one of this test is the proxy to it: it answers
// whatever host is asked for, and needs no port that something else may have.
func serveVectors(t *testing.T, archives ...string) *ocmtest.Server {
	t.Helper()
	server := ocmtest.Start(t)
	vectors.StoreRegistry(t, server.Registry)
	for _, archive := range archives {
		vectors.Store(t, server.Registry, strings.ToLower(archive), archive)
	}
	return server
}

// followVector is a ComponentVersion of a vector with the Secrets it needs, and a Resource of its configuration with a
// FluxDeployer, all called pear. The lines of verify are given.
func followVector(t *testing.T, server *ocmtest.Server, path, component, version string, verify ...string) string {
	t.Helper()
	url := "http://" + vectors.ImageHost + "/" + strings.ToLower(path)
	return secret("proxy", "address", server.URL) +
		secret("keys", vectors.Signature, string(vectors.Key(t, "good.pub.pem")), vectors.ChainSignature, string(vectors.Key(t, "leaf.pub.pem"))) +
		secret("roots", "ca.crt", string(vectors.Key(t, "ca.crt.pem"))) +
		object("ComponentVersion", "pear", append([]string{
			"component: " + component, "version: {semver: " + version + "}",
			"repository: {url: " + url + ", proxySecretRef: {name: proxy}}",
		}, verify...)...) +
		object("Resource", "pear", "sourceRef: {name: pear, resourceRef: {name: config}}") +
		object("FluxDeployer", "pear", "sourceRef: {kind: Resource, name: pear}")
}

// byKey are the lines of a ComponentVersion that wants a signature.
func byKey(signature string) string {
	return "verify: [{name: " + signature + ", publicKey: {secretRef: {name: keys}}}]"
}

// byCertificate are the lines of a ComponentVersion that wants the signature that carries certificates.
func byCertificate(subject string) string {
	return "verify: [{name: " + vectors.ChainSignature + ", certificate: {rootsSecretRef: {name: roots}, subject: \"" + subject + "\"}}]"
}

// TestSignedVectors hands what the reference tools signed, in all canonical forms and by several ways of transfer, to the
// operator, which verifies and delivers it, and shows by what it was verified.
func TestSignedVectors(t *testing.T) {
	chosen := map[string]bool{
		"classic/signed-RSASSA-PKCS1-V1_5-SHA-256-v1": true, "classic/signed-RSASSA-PKCS1-V1_5-SHA-512-v2": true, "classic/signed-RSASSA-PSS-SHA-256-v3": true,
		"classic/signed-v3alpha1-v1": true, "classic/signed-dup-v2": true, "classic/signed-build-metadata": true, "classic/signed-pem": true,
		"new/signed-pss-SHA-512-v4alpha1": true, "registry/new-index": true, "registry/chunked": true, "registry/byvalue": true, "registry/relative": true,
	}
	var archives []string
	for place := range chosen {
		if !strings.HasPrefix(place, vectors.RegistryPrefix) {
			archives = append(archives, place)
		}
	}
	server := serveVectors(t, archives...)
	for _, s := range vectors.AllSigned() {
		if !chosen[s.Place] {
			continue
		}
		delete(chosen, s.Place)
		t.Run(s.Place, func(t *testing.T) {
			e := e2etest.Shared(t)
			t.Parallel()
			how := byKey(s.Signature)
			if s.Signature == vectors.ChainSignature {
				how = byCertificate(vectors.ChainSubject)
			}
			e.Apply(followVector(t, server, strings.TrimPrefix(s.Place, vectors.RegistryPrefix), s.Component, s.Version, how))
			verified(t, e, &s)
			if !strings.HasSuffix(s.Component, "/many") { // it has nothing to deliver
				delivered(t, e)
			}
		})
	}
	if len(chosen) > 0 {
		t.Errorf("there are no vectors %v", chosen)
	}
}

// verified wants a ComponentVersion to show that it was verified as a vector says.
func verified(t *testing.T, e *e2etest.Env, want *vectors.Signed) {
	t.Helper()
	e.Wait("ComponentVersion", "pear", e2etest.Ready)
	status := componentVersion(t, e, "pear").Status
	if !status.Verified || len(status.Signatures) != 1 || status.Proof == "" {
		t.Fatalf("verified is %t with the signatures %+v and proof %q", status.Verified, status.Signatures, status.Proof)
	}
	key := "good.pub.pem"
	if want.Signature == vectors.ChainSignature {
		key = "leaf.pub.pem"
	}
	keys, err := signing.ParsePublicKeys(vectors.Key(t, key))
	if err != nil {
		t.Fatal(err)
	}
	got := status.Signatures[0]
	if got.Name != want.Signature || got.Algorithm != want.Algorithm || got.KeyFingerprint != keys.Fingerprints()[0] || got.Time.IsZero() ||
		!strings.HasPrefix(got.Digest, want.Hash+":") || !strings.HasSuffix(got.Digest, "["+want.Normalisation+"]") {
		t.Errorf("signature is %+v, want %+v by key %s", got, want, keys.Fingerprints())
	}
	if expires := want.Signature == vectors.ChainSignature; expires != (got.Expires != nil) {
		t.Errorf("signature expires %v", got.Expires)
	}
}

// delivered wants the configuration of a vector to arrive at Flux as it was signed, and everything on the way to tell
// that it was verified.
func delivered(t *testing.T, e *e2etest.Env) {
	t.Helper()
	e.Wait("FluxDeployer", "pear", e2etest.Ready)
	if _, content := e.Puller("pear").Snapshot(); !bytes.Contains(content, vectors.Blob(configuration)) {
		t.Errorf("deployed is %q, want the configuration that was signed", content)
	}
	var snapshots v1alpha1.SnapshotList
	if err := e.Client.List(t.Context(), &snapshots, client.InNamespace(e.Namespace)); err != nil {
		t.Fatal(err)
	}
	if len(snapshots.Items) != 1 || len(snapshots.Items[0].Spec.Origins) != 1 || !snapshots.Items[0].Spec.Origins[0].Verified {
		t.Errorf("snapshots %+v, want one of a verified origin", snapshots.Items)
	}
}
