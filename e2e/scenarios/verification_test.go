package scenarios_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
)

// TestVerification follows the guide: a key that is missing, one and two signatures, what shows them, and another key.
func TestVerification(t *testing.T) {
	e, s, registry := openGuide(t)
	image := signFirst(t, s, registry)

	s.do(t, "kubectl apply -f deliver.yaml") // before the Secret is there
	e.Wait("ComponentVersion", "podinfo", e2etest.NotReady(v1alpha1.ComponentVerificationFailedReason,
		"failed to verify acme.org/podinfo with constraint >=1.0.0: public key not found: Secret", `create it with the key "operations"`))
	events(e, "failed to get public key for verification: public key not found, retrying in 10m0s", "Reconciliation did not succeed, retrying in 10m0s")
	s.run(t, "kubectl apply -f deliver.yaml")
	allReady(e)
	proof(t, e, s, image)

	s.run(t, "kubectl apply -f two-signatures.yaml")
	e.Wait("ComponentVersion", "podinfo", e2etest.NotReady(v1alpha1.ComponentVerificationFailedReason, "security"))
	deployed(t, e, image) // still
	price(e)
	sign(t, registry, "1.0.0", nil, by(t, s, "operations"), by(t, s, "security"))
	s.run(t, "reconcile.fluxcd.io/requestedAt")
	e.Wait("ComponentVersion", "podinfo", e2etest.Ready, signed("operations", fingerprint(t, s, "operations.key")), signed("security", fingerprint(t, s, "security.key")))
	allReady(e)
}

// proof looks at what the guide says that shows it.
func proof(t *testing.T, e *e2etest.Env, s *shell, image string) {
	t.Helper()
	want := fingerprint(t, s, "operations.key")
	lines := strings.Fields(s.run(t, ".keyFingerprint}"))
	if len(lines) < 3 || lines[0] != "operations" || lines[1] != signing.PKCS1 || lines[2] != want {
		t.Errorf("the signature is shown as %q, want operations, %s and %s", lines, signing.PKCS1, want)
	}
	if s.without == "" && (len(lines) != 4 || lines[3] != want) {
		t.Errorf("the fingerprint of the file is shown as %q, want %s at the end", lines, want)
	}
	shown := s.run(t, "kubectl get cv -o wide")
	for _, part := range []string{"VERIFIED", "true", `"verified":true`, image} {
		if !strings.Contains(shown, part) {
			t.Errorf("%q is not in what is shown:\n%s", part, shown)
		}
	}
	deployed(t, e, image)
}

// price loses a Snapshot while nothing flows: it is not written again, and what waits for the ComponentVersion says so.
func price(e *e2etest.Env) {
	name, _, _ := unstructured.NestedString(e.Get("Resource", "manifests").Object, "status", "snapshotName")
	e.Delete("Snapshot", name)
	e.Wait("Resource", "manifests", e2etest.Ready, e2etest.Is("Reconciling", "True", v1alpha1.ComponentVersionNotReadyReason, "ComponentVersion"))
	e.Gone("Snapshot", name)
}

// TestKeyRotation follows the guide from one section to the next: two keys, a new one besides the old, and without the old.
// Versions that are signed with a key of somebody else, or were tampered with, are passed over.
func TestKeyRotation(t *testing.T) {
	e, s, registry := openGuide(t)
	signFirst(t, s, registry)
	s.run(t, "kubectl apply -f deliver.yaml")
	s.run(t, "kubectl apply -f two-signatures.yaml")
	use := func(want, version string, operations *signing.Signer, change func(*ocmtest.Component)) {
		t.Helper()
		sign(t, registry, version, change, ocmtest.Signature{Name: "operations", Signer: operations}, by(t, s, "security"))
		again(e)
		checks := []e2etest.Check{e2etest.Ready, e2etest.Field(want, "status", "reconciledVersion")}
		if want != version {
			checks = append(checks, passedOver(version))
		}
		e.Wait("ComponentVersion", "podinfo", checks...)
	}
	old := signer(t, s.read(t, "operations.key"), nil)
	use("1.0.0", "1.0.0", old, nil)
	stranger, _ := ocmtest.SignerOf(t, "stranger")
	use("1.0.0", "1.1.0", stranger, nil)
	if shown := s.run(t, ".status.passedOver"); !strings.HasPrefix(shown, "1.1.0: ") {
		t.Errorf("what was passed over is shown as %q", shown)
	}

	s.run(t, "operations-both.pub")
	next := signer(t, s.read(t, "operations-new.key"), nil)
	use("1.2.0", "1.2.0", next, nil)
	want := fingerprint(t, s, "operations-new.key") + "," + fingerprint(t, s, "security.key")
	if shown := s.run(t, "KEYS:"); !strings.Contains(shown, want) {
		t.Errorf("the keys in use are shown as\n%s\nwant %s", shown, want)
	}
	s.run(t, "operations=operations-new.pub")
	use("1.2.0", "1.3.0", old, nil)
	use("1.2.0", "1.4.0", next, redirect)
	use("1.5.0", "1.5.0", next, nil)
	e.Wait("Resource", "manifests", e2etest.Ready, e2etest.Field("1.5.0", "status", "lastAppliedComponentVersion"))
}

// TestCertificate trusts an authority.
func TestCertificate(t *testing.T) {
	e, s, registry := openGuide(t)
	s.run(t, "kubectl apply -f certificate.yaml")
	sign(t, registry, "1.0.0", nil, ocmtest.Signature{Name: "release", Signer: signer(t, s.read(t, "release.key"), s.read(t, "release.crt"))})
	again(e)
	obj := e.Wait("ComponentVersion", "podinfo", e2etest.Ready, signed("release", fingerprint(t, s, "release.key")))
	signatures, _, _ := unstructured.NestedSlice(obj.Object, "status", "signatures")
	if expires := signatures[0].(map[string]any)["expires"]; expires == nil {
		t.Error("when the certificate expires is not shown")
	} else if shown := s.run(t, "EXPIRES:"); !strings.Contains(shown, fmt.Sprint(expires)) {
		t.Errorf("when certificates expire is shown as\n%s\nwant %v", shown, expires)
	}
}

// TestMutatedVersion changes a version under its tag, and accepts that with the command that the message has.
func TestMutatedVersion(t *testing.T) {
	e, s, registry := openGuide(t)
	signFirst(t, s, registry)
	s.run(t, "kubectl apply -f deliver.yaml")
	sign(t, registry, "1.0.0", func(c *ocmtest.Component) { c.Provider = "somebody.else" }, by(t, s, "operations"))
	again(e)
	e.Wait("ComponentVersion", "podinfo", e2etest.NotReady(v1alpha1.MutatedVersionReason, "kubectl annotate --overwrite"))
	ready, err := e2etest.Condition(e.Get("ComponentVersion", "podinfo"), "Ready")
	if err != nil {
		t.Fatal(err)
	}
	_, command, _ := strings.Cut(ready.Message, "kubectl annotate")
	s.do(t, "kubectl annotate"+command)
	e.Wait("ComponentVersion", "podinfo", e2etest.Ready)
	allReady(e)
}

// again has the ComponentVersion look at its repository. The command of the guide does so once a second.
func again(e *e2etest.Env) {
	e.Kubectl("annotate", "--overwrite", "cv/podinfo", "reconcile.fluxcd.io/requestedAt="+time.Now().Format(time.RFC3339Nano))
}

// openGuide is a shell to follow the guide on signatures, beside other tests, with a registry of its own.
func openGuide(t *testing.T) (*e2etest.Env, *shell, *ocmtest.Server) {
	t.Helper()
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	s := openShell(t, e, registry, "verification")
	makeKeys(t, s)
	return e, s, registry
}

// signFirst makes the key of the operations team and publishes version 1.0.0, signed with it. It returns the image as a pod must
// get it.
func signFirst(t *testing.T, s *shell, registry *ocmtest.Server) string {
	t.Helper()
	s.run(t, "-out operations.key")
	return sign(t, registry, "1.0.0", nil, by(t, s, "operations"))
}

// makeKeys does what the guide does with openssl, where that is not installed.
func makeKeys(t *testing.T, s *shell) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err == nil {
		return
	}
	s.without = "openssl"
	private := func(name string) *rsa.PrivateKey {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		s.write(t, name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
		public, err := ocmtest.PublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		s.write(t, name+".pub", public)
		return key
	}
	for _, name := range []string{"operations", "security", "operations-new"} {
		private(name)
	}
	chain, err := ocmtest.NewChain(ocmtest.Leaf{
		Subject: pkix.Name{CommonName: "release", Organization: []string{"Acme"}}, Key: private("release"), Direct: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "ca.crt", chain.Roots())
	s.write(t, "release.crt", ocmtest.CertificatePEM(chain.Leaf))
}

// by is the signature of a name, made with the key of that name.
func by(t *testing.T, s *shell, name string) ocmtest.Signature {
	t.Helper()
	return ocmtest.Signature{Name: name, Signer: signer(t, s.read(t, name+".key"), nil)}
}

func signer(t *testing.T, key, chain []byte) *signing.Signer {
	t.Helper()
	signer, err := signing.ParseSigner(key, chain)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// fingerprint is the SHA-256 digest of the public key of a private one.
func fingerprint(t *testing.T, s *shell, name string) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(signer(t, s.read(t, name), nil).Key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return digest.FromBytes(der).String()
}

// sign publishes the component of the guide as a version, with signatures, and its image. It does what "ocm sign" does, and
// returns the image as a pod must get it.
func sign(t *testing.T, registry *ocmtest.Server, version string, change func(*ocmtest.Component), signatures ...ocmtest.Signature) string {
	t.Helper()
	component := components(t, "verification", theirRepo, repository(registry), "version: 1.0.0", "version: "+version)[0]
	component.Signatures = signatures
	if change != nil {
		change(&component)
	}
	var pinned string
	for i := range component.Resources {
		resource := &component.Resources[i]
		if resource.Image == "" {
			continue
		}
		d, err := ocmtest.Artifact{}.Publish(t.Context(), resource.Image, ocm.Options{})
		if err != nil {
			t.Fatal(err)
		}
		resource.Digest = descriptor.NewArtifactDigest(d)
		pinned = strings.TrimPrefix(resource.Image, "http://") + "@" + d.String()
	}
	if _, err := component.Publish(t.Context(), repository(registry), ocm.Options{}); err != nil {
		t.Fatal(err)
	}
	return pinned
}

// redirect leads to other manifests than those that were signed.
func redirect(c *ocmtest.Component) {
	c.Tamper = func(d *descriptor.Descriptor, blobs ocmtest.Blobs) error {
		good, err := d.Component.Resources[0].Digest.OCI()
		if err != nil {
			return err
		}
		evil := bytes.ReplaceAll(blobs[good], []byte("replicas: 1"), []byte("replicas: 9"))
		blobs[digest.FromBytes(evil)] = evil
		d.Component.Resources[0].Access, err = access.NewLocalBlob(digest.FromBytes(evil), "application/x-tar")
		return err
	}
}

// deployed compares the image that Flux has applied.
func deployed(t *testing.T, e *e2etest.Env, image string) {
	t.Helper()
	e.Wait("Deployment", "podinfo")
	deployment := &appsv1.Deployment{}
	if err := e.Client.Get(t.Context(), client.ObjectKey{Namespace: e.Namespace, Name: "podinfo"}, deployment); err != nil {
		t.Fatal(err)
	}
	if got := deployment.Spec.Template.Spec.Containers[0].Image; got != image {
		t.Errorf("the image is %s, want %s", got, image)
	}
}

// signed wants a signature to be shown that was made with a key.
func signed(name, fingerprint string) e2etest.Check {
	return entry("signatures", map[string]string{"name": name, "keyFingerprint": fingerprint})
}

// passedOver wants a version to be shown as one that was not used.
func passedOver(version string) e2etest.Check {
	return entry("passedOver", map[string]string{"version": version})
}

// entry wants a list of the status to have an entry.
func entry(list string, want map[string]string) e2etest.Check {
	return func(obj *unstructured.Unstructured) error {
		entries, _, err := unstructured.NestedSlice(obj.Object, "status", list)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			fields, _ := entry.(map[string]any)
			equal := 0
			for key, value := range want {
				if fields[key] == value {
					equal++
				}
			}
			if equal == len(want) {
				return nil
			}
		}
		return fmt.Errorf("status.%s is %v, want an entry with %v", list, entries, want)
	}
}

// events waits for events of the ComponentVersion with these messages.
func events(e *e2etest.Env, messages ...string) {
	for _, message := range messages {
		e.Eventually("event "+message, func() error {
			list := &corev1.EventList{}
			if err := e.Client.List(e.Context(), list, client.InNamespace(e.Namespace)); err != nil {
				return err
			}
			var seen []string
			for i := range list.Items {
				event := &list.Items[i]
				if event.InvolvedObject.Kind != v1alpha1.ComponentVersionKind {
					continue
				}
				if event.Message == message && event.Type == corev1.EventTypeWarning && event.Reason == v1alpha1.ComponentVerificationFailedReason {
					return nil
				}
				seen = append(seen, event.Message)
			}
			return fmt.Errorf("there is no such event, there are %q", seen)
		})
	}
}
