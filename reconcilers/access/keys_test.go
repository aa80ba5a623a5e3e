package access_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// keyring returns a Secret with keys.
func keyring(name string, data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: reconcilertest.Named(name), Data: data}
}

// byKey asks for a signature whose key is in a Secret.
func byKey(name, secret string) v1alpha1.Signature {
	return v1alpha1.Signature{Name: name, PublicKey: &v1alpha1.PublicKey{SecretRef: &meta.LocalObjectReference{Name: secret}}}
}

// byValue asks for a signature whose key is the given text.
func byValue(name, value string) v1alpha1.Signature {
	return v1alpha1.Signature{Name: name, PublicKey: &v1alpha1.PublicKey{Value: value}}
}

// byRoots asks for a signature with a certificate.
func byRoots(name, secret, subject string) v1alpha1.Signature {
	return v1alpha1.Signature{Name: name, Certificate: &v1alpha1.Certificate{RootsSecretRef: meta.LocalObjectReference{Name: secret}, Subject: subject}}
}

// signed returns a ComponentVersion that wants signatures.
func signed(url string, signatures ...v1alpha1.Signature) *v1alpha1.ComponentVersion {
	cv := follow(url, "", "")
	cv.Spec.Verify = signatures
	return cv
}

func policyOf(t *testing.T, w *reconcilertest.World, signatures ...v1alpha1.Signature) *access.Policy {
	t.Helper()
	policy, err := w.Repositories.Policy(t.Context(), signed("registry.example.com", signatures...))
	if err != nil {
		t.Fatal(err)
	}
	return policy
}

func block(t *testing.T, kind string, der []byte, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func testChain(t *testing.T) *ocmtest.Chain {
	t.Helper()
	chain, err := ocmtest.NewChain(ocmtest.Leaf{Subject: pkix.Name{CommonName: "release", Organization: []string{"Example"}}})
	if err != nil {
		t.Fatal(err)
	}
	return chain
}

func TestFormsOfKeys(t *testing.T) {
	t.Parallel()
	signer, key := ocmtest.SignerOf(t, "operations")
	_, other := ocmtest.SignerOf(t, "security")
	chain := testChain(t)
	public, ok := signer.Key.Public().(*rsa.PublicKey)
	if !ok {
		t.Fatal("the key is no RSA key")
	}
	want := policyOf(t, reconcilertest.New(t, keyring("keys", map[string][]byte{"release": key})), byKey("release", "keys"))
	encoded := base64.StdEncoding.EncodeToString(key)
	for name, tc := range map[string]struct {
		data      []byte
		signature v1alpha1.Signature
		same      bool
		reason    string
	}{
		"trailing newlines":   {append(bytes.Clone(key), "\n\n"...), byKey("release", "keys"), true, "editors add them"},
		"no trailing newline": {bytes.TrimSpace(key), byKey("release", "keys"), true, "as --from-literal has it"},
		"leading blanks":      {append([]byte("\n  "), key...), byKey("release", "keys"), true, "white space is no key"},
		"carriage returns":    {bytes.ReplaceAll(key, []byte("\n"), []byte("\r\n")), byKey("release", "keys"), true, "written on Windows"},
		"PKCS1":               {block(t, "RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(public), nil), byKey("release", "keys"), true, "it is the same key"},
		"inline":              {nil, byValue("release", encoded), true, "it is the same key"},
		"inline in lines":     {nil, byValue("release", "\n"+encoded[:64]+"\r\n "+encoded[64:]+"\n"), true, "base64 without -w0 wraps lines"},
		"inline wins": {other, v1alpha1.Signature{Name: "release", PublicKey: &v1alpha1.PublicKey{
			Value: encoded, SecretRef: &meta.LocalObjectReference{Name: "keys"},
		}}, true, "the value is preferred, as the API says"},
		"inline with missing Secret": {nil, v1alpha1.Signature{Name: "release", PublicKey: &v1alpha1.PublicKey{
			Value: encoded, SecretRef: &meta.LocalObjectReference{Name: "nowhere"},
		}}, true, "the Secret is not looked at"},
		"other key":    {other, byKey("release", "keys"), false, "it is another key"},
		"two keys":     {append(bytes.Clone(key), other...), byKey("release", "keys"), false, "one more key is trusted"},
		"certificate":  {ocmtest.CertificatePEM(chain.Leaf), byKey("release", "keys"), false, "it is another key"},
		"other name":   {key, byValue("other", encoded), false, "it is another signature"},
		"roots":        {nil, byRoots("release", "roots", "CN=release"), false, "certificates are no key"},
		"name for URL": {nil, byValue("https://example.com/release", encoded), false, "any name will do for a value"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := reconcilertest.New(t, keyring("keys", map[string][]byte{"release": tc.data}), keyring("roots", map[string][]byte{"ca.crt": chain.Roots()}))
			got := policyOf(t, w, tc.signature)
			if len(got.Requests) != 1 || got.Requests[0].Name != tc.signature.Name {
				t.Errorf("requests are %v", got.Requests)
			}
			if (got.Fingerprint == want.Fingerprint) != tc.same {
				t.Errorf("policy is the same: %t, want %t: %s", !tc.same, tc.same, tc.reason)
			}
		})
	}
}

func TestPoliciesAreToldApart(t *testing.T) {
	t.Parallel()
	_, first := ocmtest.SignerOf(t, "operations")
	_, second := ocmtest.SignerOf(t, "security")
	chain, otherChain := testChain(t), testChain(t)
	w := reconcilertest.New(t,
		keyring("a", map[string][]byte{"x": first, "y": second, "ca.crt": chain.Roots()}),
		keyring("b", map[string][]byte{"x": second, "ca.crt": otherChain.Roots()}),
	)
	known := map[string]string{}
	for name, signatures := range map[string][]v1alpha1.Signature{
		"none":          nil,
		"one":           {byKey("x", "a")},
		"other key":     {byKey("x", "b")},
		"two":           {byKey("x", "a"), byKey("y", "a")},
		"order":         {byKey("y", "a"), byKey("x", "a")},
		"one name":      {byKey("x", "a"), byKey("x", "b")},
		"roots":         {byRoots("x", "a", "CN=release")},
		"other roots":   {byRoots("x", "b", "CN=release")},
		"other subject": {byRoots("x", "a", "CN=release,O=Example")},
	} {
		policy := policyOf(t, w, signatures...)
		if len(policy.Requests) != len(signatures) {
			t.Errorf("%s: %d requests, want %d: all must hold, equal names too", name, len(policy.Requests), len(signatures))
		}
		proof := policy.Proof(digest.FromString("manifest"))
		if err := digest.Digest(proof).Validate(); err != nil || proof == policy.Proof(digest.FromString("other")) {
			t.Errorf("%s: proof %q stands for several manifests, or is no digest: %v", name, proof, err)
		}
		for _, text := range []string{policy.Fingerprint, proof} {
			if other, ok := known[text]; ok {
				t.Errorf("%s and %s look the same", name, other)
			}
			known[text] = name
		}
	}
}

func TestMissingKeys(t *testing.T) {
	t.Parallel()
	_, key := ocmtest.SignerOf(t, "operations")
	theirs := keyring("theirs", map[string][]byte{"release": key})
	theirs.Namespace = "team"
	w := reconcilertest.New(t, theirs, keyring("keys", map[string][]byte{"other": key, "blank": []byte(" \n")}))
	missing := func(secret, key, why string) *access.KeyMissingError {
		return &access.KeyMissingError{Signature: "release", Namespace: "default", Secret: secret, Key: key, Why: why}
	}
	for name, tc := range map[string]struct {
		signature v1alpha1.Signature
		want      *access.KeyMissingError
	}{
		"no such Secret": {byKey("release", "nowhere"), missing("nowhere", "release",
			`does not exist: create it with the key "release", or change publicKey.secretRef of signature release, which names it`)},
		"Secret of another team": {byKey("release", "theirs"), missing("theirs", "release",
			`does not exist: create it with the key "release", or change publicKey.secretRef of signature release, which names it`)},
		"no such key": {byKey("release", "keys"), missing("keys", "release",
			`has nothing under the key "release", which signature release needs; it has: [blank other]`)},
		"no roots": {byRoots("release", "nowhere", "CN=release"), missing("nowhere", "ca.crt",
			`does not exist: create it with the key "ca.crt", or change certificate.rootsSecretRef of signature release, which names it`)},
		"roots under another key": {byRoots("release", "keys", "CN=release"), missing("keys", "ca.crt",
			`has nothing under the key "ca.crt", which signature release needs; it has: [blank other]`)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := w.Repositories.Policy(t.Context(), signed("registry.example.com", tc.signature))
			var got *access.KeyMissingError
			if !errors.As(err, &got) {
				t.Fatalf("error is %v, want a KeyMissingError", err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if !strings.HasPrefix(err.Error(), access.KeyNotFound+": Secret default/"+got.Secret+" ") {
				t.Errorf("message %q doesn't say which Secret", err)
			}
			if outcome, _ := reconcilertest.Judge(t, access.Verdict(v1alpha1.ComponentVerificationFailedReason, err)); outcome != reconcilertest.Fails {
				t.Errorf("the object %s, want that it fails: the key may be created yet", outcome)
			}
		})
	}
	if _, err := w.Repositories.Policy(t.Context(), signed("registry.example.com", byKey("blank", "keys"))); !errors.As(err, new(*access.KeyMissingError)) {
		t.Errorf("error is %v, want that a blank key is none", err)
	}
}

func TestUnusableKeys(t *testing.T) {
	t.Parallel()
	_, good := ocmtest.SignerOf(t, "operations")
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	weak, err := ocmtest.PublicKey(short)
	if err != nil {
		t.Fatal(err)
	}
	elliptical, err := ocmtest.PublicKey(curve)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(short)
	encoded := base64.StdEncoding.EncodeToString(good)
	w := reconcilertest.New(t, keyring("keys", map[string][]byte{
		"weak": weak, "elliptical": elliptical, "text": []byte("not-a-pem-but-private"), "twice": []byte(encoded), "cut": good[:len(good)/2],
		"private": block(t, "PRIVATE KEY", private, err), "ca.crt": good,
	}), keyring("roots", map[string][]byte{"ca.crt": testChain(t).Roots()}))
	for name, tc := range map[string]struct {
		signature v1alpha1.Signature
		want      []string
	}{
		"1024 bits":         {byKey("weak", "keys"), []string{"Secret default/keys", `"weak"`, "1024 bits", "2048"}},
		"elliptic curve":    {byKey("elliptical", "keys"), []string{"Secret default/keys", "ECDSA", "RSA"}},
		"no PEM":            {byKey("text", "keys"), []string{"Secret default/keys", "no PEM", "-----BEGIN PUBLIC KEY-----"}},
		"encoded twice":     {byKey("twice", "keys"), []string{"Secret default/keys", "once more than needed"}},
		"cut off":           {byKey("cut", "keys"), []string{"Secret default/keys", "cut off"}},
		"private key":       {byKey("private", "keys"), []string{"Secret default/keys", "private key"}},
		"impossible name":   {byKey("example.com/release", "keys"), []string{"ComponentVersion default/app", `"example.com/release"`, "publicKey.value"}},
		"inline PEM":        {byValue("release", string(good)), []string{"ComponentVersion default/app", `"release"`, "it is PEM"}},
		"inline nonsense":   {byValue("release", "not-a-pem-but-private"), []string{"ComponentVersion default/app", "base64"}},
		"inline text":       {byValue("release", base64.StdEncoding.EncodeToString([]byte("not-a-pem-but-private"))), []string{"ComponentVersion default/app", "no PEM"}},
		"inline huge":       {byValue("release", strings.Repeat("a", 1<<17)), []string{"ComponentVersion default/app", "65536"}},
		"roots are a key":   {byRoots("release", "keys", "CN=release"), []string{"Secret default/keys", `"ca.crt"`, "certificate"}},
		"subject":           {byRoots("release", "roots", "release"), []string{"ComponentVersion default/app", `"release"`, "certificate.subject", "CN=release"}},
		"nothing":           {v1alpha1.Signature{Name: "release"}, []string{"ComponentVersion default/app", "publicKey or certificate"}},
		"no name of Secret": {byKey("release", ""), []string{"ComponentVersion default/app", "publicKey.secretRef.name"}},
		"no name of roots":  {byRoots("release", "", "CN=release"), []string{"ComponentVersion default/app", "certificate.rootsSecretRef.name"}},
		"both": {v1alpha1.Signature{
			Name: "release", PublicKey: byValue("", encoded).PublicKey, Certificate: byRoots("", "roots", "CN=release").Certificate,
		}, []string{"ComponentVersion default/app", "one of the two"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := w.Repositories.Policy(t.Context(), signed("registry.example.com", tc.signature))
			if _, ok := errors.AsType[*access.UnusableError](err); !ok {
				t.Fatalf("error is %v, want an UnusableError", err)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("message %q lacks %q", err, want)
				}
			}
			for _, never := range []string{access.KeyNotFound, "not-a-pem-but-private", encoded[40:80]} {
				if strings.Contains(err.Error(), never) {
					t.Errorf("message %q has %q", err, never)
				}
			}
		})
	}
}

// countingReader counts how often objects are read.
type countingReader struct {
	client.Reader
	reads int
}

func TestSecretsAreReadOnceForEachPolicy(t *testing.T) {
	t.Parallel()
	_, key := ocmtest.SignerOf(t, "operations")
	w := reconcilertest.New(t, keyring("keys", map[string][]byte{"a": key, "b": key, "ca.crt": testChain(t).Roots()}))
	live := &countingReader{Reader: w.Client}
	p := provider(t, access.Options{Live: live})
	cv := signed("registry.example.com", byKey("a", "keys"), byKey("b", "keys"), byRoots("c", "keys", "CN=release"))
	for n := 1; n <= 2; n++ {
		if _, err := p.Policy(t.Context(), cv); err != nil || live.reads != n {
			t.Errorf("%d reads for %d policies, %v: want one for each, so that a new key counts at once", live.reads, n, err)
		}
	}
	broken := errors.New("API server is away")
	_, err := provider(t, access.Options{Live: brokenReader{err: broken}}).Policy(t.Context(), cv)
	var verdict *lifecycle.Verdict
	if !errors.Is(err, broken) || !errors.As(access.Verdict(v1alpha1.ComponentVerificationFailedReason, err), &verdict) || !verdict.Passing() {
		t.Errorf("error is %v, want the API server's, which passes", err)
	}
}

func (r *countingReader) Get(ctx context.Context, key client.ObjectKey, obj client.Object, o ...client.GetOption) error {
	r.reads++
	return r.Reader.Get(ctx, key, obj, o...)
}

// TestKeysOfARealServer creates, replaces and deletes a Secret of a real API server.
func TestKeysOfARealServer(t *testing.T) {
	t.Parallel()
	_, key := ocmtest.SignerOf(t, "operations")
	_, next := ocmtest.SignerOf(t, "security")
	config := clustertest.APIServer(t)
	live, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, cv := provider(t, access.Options{Live: live}), signed("registry.example.com", byKey("release", "keys"))
	cv.Namespace = clustertest.Namespace(t, config)
	stored := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: cv.Namespace, Name: "keys"}}
	write := func(key []byte) func() error {
		return func() error {
			stored.StringData = map[string]string{"release": strings.ReplaceAll(string(key), "\n", "\r\n")}
			if stored.ResourceVersion == "" {
				return live.Create(t.Context(), stored)
			}
			return live.Update(t.Context(), stored)
		}
	}
	seen := map[string]bool{}
	for _, step := range []struct {
		name   string
		change func() error
		there  bool
	}{
		{"none", func() error { return nil }, false},
		{"created", write(key), true},
		{"replaced", write(next), true},
		{"both", write(append(bytes.Clone(next), key...)), true},
		{"deleted", func() error { return live.Delete(t.Context(), stored) }, false},
	} {
		if err := step.change(); err != nil {
			t.Fatal(err)
		}
		policy, err := p.Policy(t.Context(), cv)
		if !step.there {
			if _, ok := errors.AsType[*access.KeyMissingError](err); !ok {
				t.Errorf("%s: error is %v, want that the key is missing", step.name, err)
			}
			continue
		}
		if err != nil || seen[policy.Fingerprint] {
			t.Fatalf("%s: policy is not new: %v", step.name, err)
		}
		seen[policy.Fingerprint] = true
	}
}
