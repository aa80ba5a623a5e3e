package scenarios_test

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
)

// TestRequireSignatures has the API server refuse what asks for no signature, in the namespace that has the label. What was there
// before goes on, and is listed.
func TestRequireSignatures(t *testing.T) {
	e, s, registry := openGuide(t)
	signFirst(t, s, registry)
	without := unsigned(t, s)
	e.Apply(without)
	e.Wait("ComponentVersion", "podinfo", e2etest.Ready)

	s.run(t, "kubectl apply -f require-signatures.yaml")
	const says = "spec.verify is empty: name the signature that a version must carry"
	refused(e, replaced(t, without, "name: podinfo", "name: another"), says)
	refused(e, replaced(t, without, "name: podinfo", "name: podinfo\n  annotations: {changed: \"true\"}"), says)
	e.Wait("ComponentVersion", "podinfo", e2etest.Ready)
	listed := regexp.MustCompile(e.Namespace + ` +podinfo +<none>`)
	if shown := s.run(t, "VERIFY:"); !listed.MatchString(shown) {
		t.Errorf("the ComponentVersion without signatures is not in what is listed:\n%s", shown)
	}
	s.do(t, "kubectl apply -f two-signatures.yaml")
	if shown := s.run(t, "VERIFY:"); listed.MatchString(shown) {
		t.Errorf("a ComponentVersion with signatures is in what is listed:\n%s", shown)
	}
}

// TestRequireKey has the API server refuse what does not name the very key, in the namespace that has the label.
func TestRequireKey(t *testing.T) {
	e, s, registry := openGuide(t)
	signFirst(t, s, registry)
	s.run(t, "kubectl label namespace "+e.Namespace+" ocm.software/require-key")
	if policy, shown := flat(string(s.read(t, "require-key.yaml"))), flat(textBlock(t, s.page, "object.spec.verify")); !strings.Contains(policy, shown) {
		t.Errorf("the policy does not have the rule of the guide:\n%s\n%s", policy, shown)
	}

	const says = "spec.verify must have the signature operations, with the public key of the operations team"
	encode := base64.StdEncoding.EncodeToString
	mine, other := encode(s.read(t, "operations.pub")), encode([]byte("another key"))
	with := func(verify string) string {
		return replaced(t, unsigned(t, s), "  verify: []", "  verify: ["+verify+"]")
	}
	for _, verify := range []string{
		"",
		"{name: operations, publicKey: {value: " + other + "}}",
		"{name: other, publicKey: {value: " + mine + "}}",
		"{name: operations, publicKey: {secretRef: {name: signing-keys}}}",
		"{name: operations, publicKey: {value: " + mine + ", secretRef: {name: signing-keys}}}",
		`{name: operations, certificate: {rootsSecretRef: {name: signing-roots}, subject: "CN=release"}}`,
	} {
		refused(e, with(verify), says)
	}
	e.Apply(with("{name: operations, publicKey: {value: " + mine + "}}"))
	e.Wait("ComponentVersion", "podinfo", e2etest.Ready, signed("operations", fingerprint(t, s, "operations.key")))
	e.Apply(with("{name: operations, publicKey: {value: " + mine + "}}, {name: security, publicKey: {secretRef: {name: signing-keys}}}"))
}

// unsigned is the ComponentVersion of the guide without signatures.
func unsigned(t *testing.T, s *shell) string {
	t.Helper()
	above, _, found := strings.Cut(string(s.read(t, "two-signatures.yaml")), "  verify:\n")
	if !found {
		t.Fatal("two-signatures.yaml asks for no signature")
	}
	return above + "  verify: []\n"
}

// refused waits for a policy to hold that refuses a manifest with a message.
func refused(e *e2etest.Env, manifest, message string) {
	e.Eventually("a policy holds", func() error {
		err := e.ApplyError(manifest)
		switch {
		case err == nil:
			return fmt.Errorf("this was accepted:\n%s", manifest)
		case !strings.Contains(err.Error(), message):
			return err
		}
		return nil
	})
}

// textBlock is the block of the language "text" that begins with a text.
func textBlock(t *testing.T, page, beginning string) string {
	t.Helper()
	_, block, found := strings.Cut(page, "```text\n"+beginning)
	block, _, closed := strings.Cut(block, "```")
	if !found || !closed {
		t.Fatalf("no block begins with %q", beginning)
	}
	return beginning + block
}

// flat is a text on one line.
func flat(text string) string { return strings.Join(strings.Fields(text), " ") }
