package access_test

import (
	"bytes"
	"context"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

// part is the component that the signed one refers to.
const part = "acme.org/part"

// Contents of the signed component and of the one below it.
const (
	rootContent = "content of the root"
	partContent = "content of the part"
)

// signedPart returns the component below the signed one.
func signedPart() ocmtest.Component {
	return ocmtest.Component{Name: part, Version: "2.0.0", Resources: []ocmtest.Resource{{Name: "config", Content: []byte(partContent)}}}
}

// signedRoot returns a component that is signed as release.
func signedRoot(signer *signing.Signer) ocmtest.Component {
	below := signedPart()
	return ocmtest.Component{
		Name: component, Version: "1.0.0", Resources: []ocmtest.Resource{{Name: "data", Content: []byte(rootContent)}},
		References: []ocmtest.Reference{{Name: "part", To: &below}}, Signatures: []ocmtest.Signature{{Name: "release", Signer: signer}},
	}
}

// trust is a registry with a signed component, and a cluster with its key.
type trust struct {
	*reconcilertest.World

	server     *ocmtest.Server
	root, part source.Node
}

func newTrust(t *testing.T, root ocmtest.Component) *trust {
	t.Helper()
	_, key := ocmtest.SignerOf(t, "operations")
	_, other := ocmtest.SignerOf(t, "security")
	w, server := reconcilertest.New(t,
		keyring("keys", map[string][]byte{"release": key}), keyring("others", map[string][]byte{"release": other}),
		keyring("both", map[string][]byte{"release": append(bytes.Clone(other), key...)}),
	), ocmtest.Start(t)
	url := server.URL + "/ocm"
	below := source.Node{Component: part, Version: "2.0.0", ManifestDigest: w.Publish(url, signedPart()).String()}
	above := source.Node{Component: root.Name, Version: root.Version, ManifestDigest: w.Publish(url, root).String()}
	server.ResetRequests()
	return &trust{World: w, server: server, root: above, part: below}
}

// good is a component whose signature holds.
func good(t *testing.T) ocmtest.Component {
	t.Helper()
	signer, _ := ocmtest.SignerOf(t, "operations")
	return signedRoot(signer)
}

// verify verifies the component as a reconciliation does: it opens the repository and reads the keys anew.
func (w *trust) verify(t *testing.T, p *access.Provider, secret string) (*verify.Proof, error) {
	t.Helper()
	return w.verifyAs(t, p, signed(w.server.URL+"/ocm", byKey("release", secret)))
}

func (w *trust) verifyAs(t *testing.T, p *access.Provider, cv *v1alpha1.ComponentVersion) (*verify.Proof, error) {
	t.Helper()
	policy, err := p.Policy(t.Context(), cv)
	if err != nil {
		t.Fatal(err)
	}
	return open(t, p, cv).Verify(t.Context(), w.root, policy, nil)
}

// isContent tells whether a request is for the content of a resource.
func isContent(req *http.Request) bool {
	if ocmtest.Class(req) != ocmtest.ClassBlobs {
		return false
	}
	for _, content := range []string{rootContent, partContent} {
		if strings.HasSuffix(req.URL.Path, digest.FromString(content).String()) {
			return true
		}
	}
	return false
}

// everything are the requests of a verification with nothing remembered: two manifests, two configs, two descriptors and
// two contents.
func everything() map[string]int { return map[string]int{"GET manifests": 2, "GET blobs": 6} }

func TestVerifiedOnce(t *testing.T) {
	t.Parallel()
	w := newTrust(t, good(t))
	p := w.Repositories
	first, err := w.verify(t, p, "keys")
	if err != nil {
		t.Fatal(err)
	}
	wantRequests(t, w.server, everything())
	want := []verify.Proven{
		{Component: component, Version: "1.0.0", Manifest: digest.Digest(w.root.ManifestDigest)},
		{Component: part, Version: "2.0.0", Manifest: digest.Digest(w.part.ManifestDigest)},
	}
	if diff := cmp.Diff(want, first.Versions); diff != "" || len(first.Signatures) != 1 || first.Signatures[0].Name != "release" {
		t.Errorf("signatures are %v, versions (-want +got):\n%s", first.Signatures, diff)
	}
	if again, err := w.verify(t, p, "keys"); again != first || err != nil {
		t.Errorf("proof is %p, %v, want the one that is remembered", again, err)
	}
	wantRequests(t, w.server, map[string]int{})
	// Another policy needs another proof, of contents that are proven.
	if other, err := w.verify(t, p, "both"); err != nil || other == first || !cmp.Equal(other.Versions, first.Versions) {
		t.Errorf("proof by other keys is %v, %v", other, err)
	}
	wantRequests(t, w.server, map[string]int{"GET manifests": 1})
}

func TestVerifiedOnceForAll(t *testing.T) {
	t.Parallel()
	w := newTrust(t, good(t))
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			policy, err := w.Repositories.Policy(t.Context(), signed(w.server.URL+"/ocm", byKey("release", "keys")))
			if err != nil {
				t.Error(err)
				return
			}
			repository, err := w.Repositories.Source(t.Context(), follow(w.server.URL+"/ocm", "", ""))
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := repository.Verify(t.Context(), w.root, policy, nil); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	wantRequests(t, w.server, everything())
}

// TestForget has a nested version that is published once more, with a signature: the proof is about the manifest of before.
func TestForget(t *testing.T) {
	t.Parallel()
	w := newTrust(t, good(t))
	first, err := w.verify(t, w.Repositories, "keys")
	if err != nil {
		t.Fatal(err)
	}
	again := signedPart()
	signer, _ := ocmtest.SignerOf(t, "security")
	again.Signatures = append(again.Signatures, ocmtest.Signature{Name: "more", Signer: signer})
	is := w.Publish(w.server.URL+"/ocm", again)
	if remembered, err := w.verify(t, w.Repositories, "keys"); err != nil || remembered.Versions[1].Manifest != first.Versions[1].Manifest {
		t.Errorf("proof is %v, %v, want that of before", remembered, err)
	}
	cv := signed(w.server.URL+"/ocm", byKey("release", "keys"))
	policy, err := w.Repositories.Policy(t.Context(), cv)
	if err != nil {
		t.Fatal(err)
	}
	open(t, w.Repositories, cv).Forget(w.root, policy)
	if found, err := w.verify(t, w.Repositories, "keys"); err != nil || found.Versions[1].Manifest != is {
		t.Errorf("proof is %v, %v, want %s of the nested version", found, err, is)
	}
}

func TestWrongKeyIsRemembered(t *testing.T) {
	t.Parallel()
	w := newTrust(t, good(t))
	for _, want := range []map[string]int{{"GET manifests": 1, "GET blobs": 2}, {}} {
		_, err := w.verify(t, w.Repositories, "others")
		if !errors.Is(err, verify.ErrRefused) || !errors.Is(err, signing.ErrInvalid) {
			t.Fatalf("error is %v, want that the signature doesn't hold", err)
		}
		if outcome, _ := reconcilertest.Judge(t, access.Verdict(v1alpha1.ComponentVerificationFailedReason, err)); outcome != reconcilertest.Fails {
			t.Errorf("the object %s, want that it fails", outcome)
		}
		wantRequests(t, w.server, want)
	}
}

// TestAllSignaturesMustHold, those of one name with several keys too.
func TestAllSignaturesMustHold(t *testing.T) {
	t.Parallel()
	w := newTrust(t, good(t))
	w.Create(keyring("roots", map[string][]byte{"ca.crt": testChain(t).Roots()}))
	for name, tc := range map[string]struct {
		signatures []v1alpha1.Signature
		holds      bool
	}{
		"twice":                  {[]v1alpha1.Signature{byKey("release", "keys"), byKey("release", "both")}, true},
		"one of two keys":        {[]v1alpha1.Signature{byKey("release", "keys"), byKey("release", "others")}, false},
		"one of two signatures":  {[]v1alpha1.Signature{byKey("release", "keys"), byValue("security", keyOf(t, "security"))}, false},
		"certificate, not a key": {[]v1alpha1.Signature{byRoots("release", "roots", "CN=release")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proof, err := w.verifyAs(t, w.Repositories, signed(w.server.URL+"/ocm", tc.signatures...))
			switch {
			case tc.holds && (err != nil || len(proof.Signatures) != len(tc.signatures)):
				t.Errorf("proof is %v, %v, want one of all signatures", proof, err)
			case !tc.holds && !errors.Is(err, verify.ErrRefused):
				t.Errorf("error is %v, want a refusal", err)
			}
		})
	}
}

// keyOf returns a public key as a spec has it.
func keyOf(t *testing.T, signer string) string {
	t.Helper()
	_, key := ocmtest.SignerOf(t, signer)
	return base64.StdEncoding.EncodeToString(key)
}

// TestKeyRotation replaces the key in the Secret: what was proven with the old one counts no more.
func TestKeyRotation(t *testing.T) {
	t.Parallel()
	w := newTrust(t, good(t))
	_, old := ocmtest.SignerOf(t, "operations")
	_, next := ocmtest.SignerOf(t, "security")
	keys := keyring("keys", nil)
	for _, step := range []struct {
		name  string
		keys  []byte
		holds bool
	}{
		{"old key", old, true},
		{"old and new key", append(bytes.Clone(old), next...), true},
		{"new key", next, false},
		{"back to the old key", old, true},
	} {
		w.Get(keys)
		w.Change(keys, func() { keys.Data = map[string][]byte{"release": step.keys} })
		_, err := w.verify(t, w.Repositories, "keys")
		if (err == nil) != step.holds || (err != nil && !errors.Is(err, verify.ErrRefused)) {
			t.Errorf("%s: error is %v, want that it holds: %t", step.name, err, step.holds)
		}
	}
}

// TestBadContentIsReadAgain: it may have been repaired. What is good already isn't read again.
func TestBadContentIsReadAgain(t *testing.T) {
	t.Parallel()
	w := newTrust(t, good(t))
	bad := digest.FromString(partContent).String()
	w.server.Inject(func(rw http.ResponseWriter, req *http.Request) bool {
		if !strings.HasSuffix(req.URL.Path, bad) {
			return false
		}
		_, _ = io.WriteString(rw, strings.ToUpper(partContent))
		return true
	})
	for _, want := range []map[string]int{everything(), {"GET manifests": 1, "GET blobs": 1}} {
		_, err := w.verify(t, w.Repositories, "keys")
		refused, ok := errors.AsType[*verify.Error](err)
		if !ok || !strings.Contains(refused.Element, "config") || refused.Lasting {
			t.Fatalf("error is %v, want that config is refused", err)
		}
		wantRequests(t, w.server, want)
	}
	w.server.Heal()
	if _, err := w.verify(t, w.Repositories, "keys"); err != nil {
		t.Errorf("after it was repaired: %v", err)
	}
	wantRequests(t, w.server, map[string]int{"GET manifests": 1, "GET blobs": 1})
}

func TestFaultOfRegistryIsNoRefusal(t *testing.T) {
	t.Parallel()
	w := newTrust(t, good(t))
	w.server.Inject(func(rw http.ResponseWriter, req *http.Request) bool {
		if isContent(req) {
			rw.WriteHeader(http.StatusForbidden)
			return true
		}
		return false
	})
	if _, err := w.verify(t, w.Repositories, "keys"); err == nil || errors.Is(err, verify.ErrRefused) {
		t.Errorf("error is %v, want one that may pass", err)
	}
	w.server.Heal()
	if _, err := w.verify(t, w.Repositories, "keys"); err != nil {
		t.Error(err)
	}
}

// TestProofIsNotShared is about tenants: each proves with its own credentials.
func TestProofIsNotShared(t *testing.T) {
	t.Parallel()
	w := newTrust(t, good(t))
	w.server.RequireLogin("user", "word")
	w.Create(basic("right", "user", "word"), dockerConfig("also-right", w.server.Host, "user", "word"), basic("wrong", "user", "guess"))
	as := func(name string) *v1alpha1.ComponentVersion {
		cv := signed(w.server.URL+"/ocm", byKey("release", "keys"))
		cv.Spec.Repository.SecretRef = follow("", name, "").Spec.Repository.SecretRef
		return cv
	}
	for _, name := range []string{"right", "also-right"} {
		if _, err := w.verifyAs(t, w.Repositories, as(name)); err != nil {
			t.Fatal(err)
		}
		if got := w.server.Requests(); got["GET blobs"] < everything()["GET blobs"] {
			t.Errorf("%s: requests are %v, want all of a verification", name, got)
		}
		w.server.ResetRequests()
	}
	if proof, err := w.verifyAs(t, w.Repositories, as("wrong")); !errors.Is(err, ocm.ErrUnauthorized) {
		t.Errorf("who has no access got %v, %v", proof, err)
	}
}

// TestTagMovesMeanwhile has a registry that serves the right part once, to whoever verifies, and another one from then on.
func TestTagMovesMeanwhile(t *testing.T) {
	t.Parallel()
	w := newTrust(t, good(t))
	url := w.server.URL + "/ocm"
	var moved atomic.Bool
	w.server.Inject(func(_ http.ResponseWriter, req *http.Request) bool {
		// The tag was read when content is.
		if isContent(req) && moved.CompareAndSwap(false, true) {
			evil := signedPart()
			evil.Resources[0].Content = []byte("evil")
			if _, err := evil.Publish(t.Context(), url, ocm.Options{}); err != nil {
				t.Error(err)
			}
		}
		return false
	})
	proof, err := w.verify(t, w.Repositories, "keys")
	if err != nil || !moved.Load() {
		t.Fatalf("moved is %t, error is %v", moved.Load(), err)
	}
	below := proof.Versions[1]
	if below.Manifest.String() != w.part.ManifestDigest {
		t.Fatalf("part is pinned to %s, want what was proven, %s", below.Manifest, w.part.ManifestDigest)
	}
	repository := open(t, w.Repositories, follow(url, "", ""))
	pinned, err := repository.Pinned(t.Context(), source.Node{Component: part, Version: "2.0.0", ManifestDigest: below.Manifest.String()})
	if err != nil {
		t.Fatal(err)
	}
	blob, err := pinned.Open(t.Context(), &pinned.Descriptor().Component.Resources[0], ocm.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = blob.Close() }()
	if content, err := io.ReadAll(blob); string(content) != partContent || err != nil {
		t.Errorf("content is %q, %v, want what was proven", content, err)
	}
	// What the tag leads to now is no part of what was signed.
	if _, err := w.verify(t, w.Repositories, "both"); !errors.Is(err, verify.ErrRefused) {
		t.Errorf("error is %v, want that the part is refused", err)
	}
}

// TestTimeHeals: what only time forbids isn't remembered, and no proof lives longer than its certificates.
func TestTimeHeals(t *testing.T) {
	t.Parallel()
	begin := time.Now().Truncate(time.Second).Add(time.Hour)
	chain, err := ocmtest.NewChain(ocmtest.Leaf{Subject: pkix.Name{CommonName: "release"}, NotBefore: begin, NotAfter: begin.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	w := newTrust(t, signedRoot(chain.Signer))
	w.Create(keyring("roots", map[string][]byte{"ca.crt": chain.Roots()}))
	var now atomic.Pointer[time.Time]
	p := provider(t, access.Options{Live: w.Client, AllowedHosts: []string{"127.0.0.1"}, Now: func() time.Time { return *now.Load() }})
	for _, step := range []struct {
		name  string
		at    time.Time
		holds bool
		want  map[string]int
	}{
		{"too early", begin.Add(-time.Second), false, map[string]int{"GET manifests": 1, "GET blobs": 2}},
		{"in time", begin, true, map[string]int{"GET manifests": 1, "GET blobs": 4}},
		{"remembered", begin.Add(time.Hour - time.Second), true, map[string]int{}},
		{"too late", begin.Add(time.Hour + time.Second), false, map[string]int{}},
	} {
		now.Store(&step.at)
		_, err := w.verifyAs(t, p, signed(w.server.URL+"/ocm", byRoots("release", "roots", "CN=release")))
		if (err == nil) != step.holds || (err != nil && !errors.Is(err, signing.ErrNotValidNow)) {
			t.Errorf("%s: error is %v, want that it holds: %t", step.name, err, step.holds)
		}
		wantRequests(t, w.server, step.want)
	}
}

// TestContentsAreReadByTurns has many objects whose contents are read at once.
func TestContentsAreReadByTurns(t *testing.T) {
	t.Parallel()
	const objects, resources, slots = 6, 8, 3
	signer, _ := ocmtest.SignerOf(t, "operations")
	w := newTrust(t, good(t))
	url := w.server.URL + "/ocm"
	nodes, contents := make([]source.Node, objects), map[string]bool{}
	for i := range nodes {
		c := ocmtest.Component{Name: component, Version: "2.0." + strconv.Itoa(i), Signatures: []ocmtest.Signature{{Name: "release", Signer: signer}}}
		for j := range resources {
			content := []byte(strings.Repeat("x", 1+i*resources+j))
			contents[digest.FromBytes(content).String()] = true
			c.Resources = append(c.Resources, ocmtest.Resource{Name: "data-" + strconv.Itoa(j), Content: content})
		}
		nodes[i] = source.Node{Component: c.Name, Version: c.Version, ManifestDigest: w.Publish(url, c).String()}
	}
	var reading, most atomic.Int64
	full := make(chan struct{})
	fill := sync.OnceFunc(func() { close(full) })
	w.server.Inject(func(_ http.ResponseWriter, req *http.Request) bool {
		if !contents[req.URL.Path[strings.LastIndex(req.URL.Path, "/")+1:]] {
			return false
		}
		n := reading.Add(1)
		defer reading.Add(-1)
		for {
			before := most.Load()
			if n <= before || most.CompareAndSwap(before, n) {
				break
			}
		}
		if n == slots {
			fill()
		}
		<-full // all slots are in use once
		return false
	})
	p := provider(t, access.Options{Live: w.Client, AllowedHosts: []string{"127.0.0.1"}, Checks: slots, ChecksPerVersion: 2})
	cv := signed(url, byKey("release", "keys"))
	policy, err := p.Policy(t.Context(), cv)
	if err != nil {
		t.Fatal(err)
	}
	repository := open(t, p, cv)
	var group sync.WaitGroup
	for _, node := range nodes {
		group.Go(func() {
			if _, err := repository.Verify(t.Context(), node, policy, nil); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got := most.Load(); got != slots {
		t.Errorf("%d contents were read at once, want %d", got, slots)
	}
}

// TestVerificationIsGivenUp: the request for content ends with the last who waits, and nothing keeps a slot.
func TestVerificationIsGivenUp(t *testing.T) {
	t.Parallel()
	w := newTrust(t, good(t))
	reading, ended := make(chan struct{}, 2), make(chan struct{}, 2)
	w.server.Inject(func(_ http.ResponseWriter, req *http.Request) bool {
		if !isContent(req) {
			return false
		}
		reading <- struct{}{}
		<-req.Context().Done()
		ended <- struct{}{}
		return true
	})
	p := provider(t, access.Options{Live: w.Client, AllowedHosts: []string{"127.0.0.1"}, Checks: 1})
	cv := signed(w.server.URL+"/ocm", byKey("release", "keys"))
	policy, err := p.Policy(t.Context(), cv)
	if err != nil {
		t.Fatal(err)
	}
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-reading
		cancel(cause)
	}()
	if _, err := open(t, p, cv).Verify(ctx, w.root, policy, nil); !errors.Is(err, cause) {
		t.Errorf("error is %v, want that of the caller", err)
	}
	<-ended
	w.server.Heal()
	var told []verify.Progress
	if _, err := open(t, p, cv).Verify(t.Context(), w.root, policy, func(at verify.Progress) { told = append(told, at) }); err != nil {
		t.Errorf("who came later: %v", err)
	}
	for _, at := range told {
		if at.Versions != 2 || at.Resources != 2 || at.Checked > 2 {
			t.Errorf("progress is %+v", at)
		}
	}
}

// panicking is a transport that panics, as a parser of foreign bytes might, when it is asked for content.
type panicking struct{}

func (panicking) RoundTrip(req *http.Request) (*http.Response, error) {
	if isContent(req) {
		panic("foreign bytes")
	}
	return http.DefaultTransport.RoundTrip(req)
}

func TestPanicWhileContentIsRead(t *testing.T) {
	t.Parallel()
	w := newTrust(t, good(t))
	p := provider(t, access.Options{Live: w.Client, AllowedHosts: []string{"127.0.0.1"}, Transport: panicking{}, Checks: 1})
	for range 3 {
		// A slot that is not given back would let the next one wait for ever.
		_, err := w.verify(t, p, "keys")
		if err == nil || !strings.Contains(err.Error(), "panic: foreign bytes") || errors.Is(err, verify.ErrRefused) {
			t.Errorf("error is %v, want the panic", err)
		}
	}
}

func TestComponentDigest(t *testing.T) {
	t.Parallel()
	digestOf := func(c ocmtest.Component) string {
		w := newTrust(t, c)
		version, err := open(t, w.Repositories, follow(w.server.URL+"/ocm", "", "")).Pinned(t.Context(), w.root)
		if err != nil {
			t.Fatal(err)
		}
		got, err := access.ComponentDigest(version)
		if parsed := digest.Digest(got); err != nil || parsed.Validate() != nil {
			t.Fatalf("digest is %q, %v", got, err)
		}
		return got
	}
	signer, _ := ocmtest.SignerOf(t, "security")
	first, countersigned, unsigned, changed := good(t), good(t), good(t), good(t)
	countersigned.Signatures = append(countersigned.Signatures, ocmtest.Signature{Name: "second", Signer: signer})
	unsigned.Signatures = nil
	changed.Resources[0].Content = []byte("other")
	want := digestOf(first)
	if digestOf(countersigned) != want || digestOf(unsigned) != want {
		t.Error("the digest depends on signatures")
	}
	if digestOf(changed) == want {
		t.Error("the digest does not depend on content")
	}
}

func BenchmarkVerifyRemembered(b *testing.B) {
	signer, key := ocmtest.SignerOf(b, "operations")
	w, server := reconcilertest.New(b, keyring("keys", map[string][]byte{"release": key})), ocmtest.Start(b)
	url := server.URL + "/ocm"
	w.Publish(url, signedPart())
	node := source.Node{Component: component, Version: "1.0.0", ManifestDigest: w.Publish(url, signedRoot(signer)).String()}
	cv := signed(url, byKey("release", "keys"))
	b.ReportAllocs()
	for b.Loop() {
		policy, err := w.Repositories.Policy(b.Context(), cv)
		if err != nil {
			b.Fatal(err)
		}
		repository, err := w.Repositories.Source(b.Context(), cv)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := repository.Verify(b.Context(), node, policy, nil); err != nil {
			b.Fatal(err)
		}
	}
}
