package componentversion_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// inline asks for a signature that is checked with the key that is given.
func inline(name string, public []byte) v1alpha1.Signature {
	return v1alpha1.Signature{Name: name, PublicKey: &v1alpha1.PublicKey{Value: base64.StdEncoding.EncodeToString(public)}}
}

// shortKey is a public key of 1024 bits.
func shortKey(t *testing.T) []byte {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	public, err := ocmtest.PublicKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return public
}

// chain is a signer with certificates, whose own is valid until a time.
func chain(t *testing.T, notAfter time.Time) *ocmtest.Chain {
	t.Helper()
	leaf := ocmtest.Leaf{
		Subject:   pkix.Name{CommonName: "release", Organization: []string{"Acme"}},
		NotBefore: notAfter.Add(-48 * time.Hour), NotAfter: notAfter,
	}
	leaf.Key = func() *rsa.PrivateKey {
		signer, _ := ocmtest.SignerOf(t, "certified")
		private, ok := signer.Key.(*rsa.PrivateKey)
		if !ok {
			t.Fatalf("key is a %T", signer.Key)
		}
		return private
	}()
	made, err := ocmtest.NewChain(leaf)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// TestKeys has the ways to say what a signature is checked with, and what may be wrong with each.
func TestKeys(t *testing.T) {
	t.Parallel()
	both := stored("dev")[0]
	both.PublicKey.Value = inline("dev", key(t, "dev")).PublicKey.Value
	wrong := signed(t, "1.0.0", "dev")
	wrong.Tamper = func(d *descriptor.Descriptor, _ ocmtest.Blobs) error {
		d.Signatures[0].Signature.Algorithm = "RSASSA-MD5"
		return nil
	}
	for name, tc := range map[string]keyCase{
		"inline": {component: signed(t, "1.0.0", "dev"), verify: []v1alpha1.Signature{inline("dev", key(t, "dev"))}},
		"inline over Secret": {
			component: signed(t, "1.0.0", "dev"), prepare: func(s *stage) { s.store(t, "dev", "somebody") }, verify: []v1alpha1.Signature{both},
		},
		"one of two is missing": {
			component: signed(t, "1.0.0", "operations"), prepare: func(s *stage) { s.store(t, "operations", "operations", "security", "security") },
			verify: stored("operations", "security"), says: `1.0.0: signature "security" does not hold`,
		},
		"one of two is wrong": {
			component: signed(t, "1.0.0", "operations", "security"), prepare: func(s *stage) { s.store(t, "operations", "operations", "security", "operations") },
			verify: stored("operations", "security"), says: `1.0.0: signature "security" does not hold`,
		},
		"wrong algorithm": {component: wrong, verify: []v1alpha1.Signature{inline("dev", key(t, "dev"))}, says: `algorithm "RSASSA-MD5" is not allowed`},
		"short key":       {component: signed(t, "1.0.0", "dev"), verify: []v1alpha1.Signature{inline("dev", shortKey(t))}, says: "RSA key of 1024 bits is too short"},
		"no key": {
			component: signed(t, "1.0.0", "dev"), verify: []v1alpha1.Signature{inline("dev", []byte("secret"))}, says: "that can't be used",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.check(t)
		})
	}
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	valid, expired := chain(t, time.Now().Add(time.Hour)), chain(t, time.Now().Add(-time.Hour))
	roots := func(s *stage, c *ocmtest.Chain) {
		s.Create(&corev1.Secret{ObjectMeta: reconcilertest.Named("roots"), Data: map[string][]byte{"ca.crt": c.Roots()}})
	}
	certified := func(c *ocmtest.Chain) ocmtest.Component {
		component := signed(t, "1.0.0")
		component.Signatures = []ocmtest.Signature{{Name: "release", Signer: c.Signer}}
		return component
	}
	subject := func(subject string) v1alpha1.Signature {
		return v1alpha1.Signature{Name: "release", Certificate: &v1alpha1.Certificate{
			RootsSecretRef: meta.LocalObjectReference{Name: "roots"}, Subject: subject,
		}}
	}
	for name, tc := range map[string]keyCase{
		"certificate as key": {
			component: certified(valid), verify: []v1alpha1.Signature{inline("release", ocmtest.CertificatePEM(valid.Leaf))}, expires: true,
		},
		"expired certificate as key": {
			component: certified(expired), verify: []v1alpha1.Signature{inline("release", ocmtest.CertificatePEM(expired.Leaf))}, says: "expired",
		},
		"certificate":         {component: certified(valid), prepare: func(s *stage) { roots(s, valid) }, verify: []v1alpha1.Signature{subject("CN=release,O=Acme")}, expires: true},
		"part of the subject": {component: certified(valid), prepare: func(s *stage) { roots(s, valid) }, verify: []v1alpha1.Signature{subject("O=Acme")}, expires: true},
		"other subject": {
			component: certified(valid), prepare: func(s *stage) { roots(s, valid) }, verify: []v1alpha1.Signature{subject("CN=release,O=Evil")}, says: "lacks O=Evil",
		},
		"other roots": {
			component: certified(valid), prepare: func(s *stage) { roots(s, expired) }, verify: []v1alpha1.Signature{subject("CN=release")}, says: "root certificates",
		},
		"expired certificate": {
			component: certified(expired), prepare: func(s *stage) { roots(s, expired) }, verify: []v1alpha1.Signature{subject("CN=release")}, says: "expired",
		},
		"no roots": {component: certified(valid), verify: []v1alpha1.Signature{subject("CN=release")}, says: "Secret default/roots does not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.check(t)
		})
	}
}

// keyCase is a version with what it is verified with.
type keyCase struct {
	component ocmtest.Component
	prepare   func(*stage)
	verify    []v1alpha1.Signature
	says      string // is empty if the version is used
	expires   bool
}

// check follows the version, and checks whether it is used, or why not.
func (tc keyCase) check(t *testing.T) {
	t.Helper()
	s := newStage(t)
	s.publishAll(tc.component)
	if tc.prepare != nil {
		tc.prepare(s)
	}
	cv := s.verified("1.0.0", tc.verify...)
	if tc.says == "" {
		wantReady(t, cv, "1.0.0")
		if got := cv.Status.Signatures; len(got) != 1 || (got[0].Expires != nil) != tc.expires {
			t.Errorf("signatures are %+v", got)
		}
		return
	}
	wantNotReady(t, cv, v1alpha1.ComponentVerificationFailedReason, tc.says)
	if got := reconcilertest.Message(cv, "Ready"); !strings.HasPrefix(got, "failed to verify acme.org/app with constraint 1.0.0: ") {
		t.Errorf("message is %q", got)
	}
	want := map[string]string{"Ready": "False ComponentVerificationFailed", "Reconciling": "True ProgressingWithRetry"}
	if diff := cmp.Diff(want, reconcilertest.Conditions(cv)); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	if found := s.descriptors(t); len(found) > 0 || cv.Status.ReconciledVersion != "" || cv.Status.Verified {
		t.Errorf("version %q and descriptors %v were published", cv.Status.ReconciledVersion, found)
	}
}

// TestExpiryIsNoticed: the object is looked at again when the first certificate expires, and not when its interval is over.
func TestExpiryIsNoticed(t *testing.T) {
	t.Parallel()
	for name, left := range map[string]time.Duration{"soon": reconcilertest.Interval / 2, "late": 3 * reconcilertest.Interval} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			notAfter := time.Now().Add(left).Truncate(time.Second)
			made := chain(t, notAfter)
			component := signed(t, "1.0.0", "dev")
			component.Signatures = append(component.Signatures, ocmtest.Signature{Name: "release", Signer: made.Signer})
			s.publishAll(component)
			s.store(t, "dev", "dev")
			cv := s.verified("1.0.0", append(stored("dev"), inline("release", ocmtest.CertificatePEM(made.Leaf)))...)
			wantReady(t, cv, "1.0.0")
			after := s.Reconcile(cv).RequeueAfter
			if due := time.Now().Add(after); left < reconcilertest.Interval && (!due.After(notAfter) || after > left+time.Second) {
				t.Errorf("looked at again at %s, want right after %s", due, notAfter)
			}
			if left > reconcilertest.Interval && after != reconcilertest.Interval {
				t.Errorf("looked at again after %s, want the interval", after)
			}
		})
	}
}

// TestRefusalsAreToldOfOnce: what is wrong with many versions, most often the key, is said once, and which were not looked at.
func TestRefusalsAreToldOfOnce(t *testing.T) {
	t.Parallel()
	const begin = "failed to verify acme.org/app with constraint "
	for name, tc := range map[string]struct {
		constraint string
		want, ends string
		not        []string
	}{
		"range": {
			">=1.0.0", begin + `>=1.0.0: 1.2.0, 1.1.0: signature "dev" does not hold: it was made with another key than the one that is configured`,
			`; 1.0.0: signature "dev" does not hold: the component version has no signatures`,
			[]string{"compare", "not looked at"},
		},
		"exact": {"1.2.0", begin + `1.2.0: signature "dev" does not hold: it was made with`, ", or was changed", []string{"1.2.0: 1.2.0"}},
		"many": {
			">=0.0.0", begin + `>=0.0.0: 1.2.0, 1.1.0: signature "dev"`,
			"; 2 older versions were not looked at",
			[]string{"0.1.0"},
		},
		"few of many": {"<1.0.0", begin + `<1.0.0: 0.8.0, 0.7.0, 0.6.0, 0.5.0, 0.4.0 and 4 more: signature "dev" does not hold`, "", []string{"not looked at"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.publishAll(signed(t, "1.0.0"), signed(t, "1.1.0", "dev"), signed(t, "1.2.0", "dev"))
			for i := range 9 {
				s.publishAll(signed(t, fmt.Sprintf("0.%d.0", i)))
			}
			s.store(t, "dev", "somebody")
			cv := s.verified(tc.constraint, stored("dev")...)
			wantNotReady(t, cv, v1alpha1.ComponentVerificationFailedReason, "")
			got := reconcilertest.Message(cv, "Ready")
			if !strings.HasPrefix(got, tc.want) || !strings.HasSuffix(got, tc.ends) {
				t.Errorf("message is %q, want it to begin with %q and to end with %q", got, tc.want, tc.ends)
			}
			for _, never := range tc.not {
				if strings.Contains(got, never) {
					t.Errorf("message %q has %q", got, never)
				}
			}
		})
	}
}

// TestTamperedElements says which element is wrong, and how.
func TestTamperedElements(t *testing.T) {
	t.Parallel()
	child := func() *ocmtest.Component {
		return &ocmtest.Component{Name: "acme.org/lib", Version: "1.0.0", Resources: []ocmtest.Resource{{Name: "code", Content: []byte("code")}}}
	}
	other := child()
	other.Resources[0].Content = []byte("other")
	for name, tc := range map[string]struct {
		change func(*ocmtest.Component)
		child  *ocmtest.Component
		fault  func(http.ResponseWriter, *http.Request) bool
		says   string
	}{
		"descriptor": {
			change: func(c *ocmtest.Component) {
				c.Tamper = func(d *descriptor.Descriptor, _ ocmtest.Blobs) error {
					d.Component.Resources[0].Version = "6.6.6"
					return nil
				}
			}, says: `1.0.0: signature "dev" does not hold: the component descriptor was changed`,
		},
		"nested version": {child: other, says: "1.0.0: acme.org/app:1.0.0 -> acme.org/lib:1.0.0"},
		"content": {
			fault: func(w http.ResponseWriter, request *http.Request) bool {
				const data = "data of 1.0.0"
				if request.Method != http.MethodGet || !strings.HasSuffix(request.URL.Path, digestOf(data)) {
					return false
				}
				_, _ = w.Write([]byte(strings.ToUpper(data)))
				return true
			}, says: "1.0.0: resource data:1.0.0",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			root := signed(t, "1.0.0", "dev")
			root.References = []ocmtest.Reference{{Name: "lib", To: child()}}
			if tc.change != nil {
				tc.change(&root)
			}
			below := child()
			if tc.child != nil {
				below = tc.child
			}
			s.publishAll(*below, root)
			if tc.fault != nil {
				s.registry.Inject(tc.fault)
			}
			cv := s.verified("1.0.0", inline("dev", key(t, "dev")))
			wantNotReady(t, cv, v1alpha1.ComponentVerificationFailedReason, tc.says)
			if found := s.descriptors(t); len(found) > 0 {
				t.Errorf("descriptors %v were published", found)
			}
			s.forget()
			s.Reconcile(cv)
			s.wantQuiet(t)
		})
	}
}

// TestNestedVersionsAreThoseThatWereProven moves the tag of a nested version right after it was verified, and later.
func TestNestedVersionsAreThoseThatWereProven(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	child := ocmtest.Component{Name: "acme.org/lib", Version: "1.0.0", Resources: []ocmtest.Resource{{Name: "data", Content: []byte("lib")}}}
	root := signed(t, "1.0.0", "dev")
	root.References = []ocmtest.Reference{{Name: "lib", To: &child}}
	proven := s.publishAll(child)
	s.publishAll(root)
	moved := child
	moved.Resources = []ocmtest.Resource{{Name: "data", Content: []byte("evil")}}
	var asked atomic.Int64
	s.registry.Inject(func(_ http.ResponseWriter, request *http.Request) bool {
		if strings.HasSuffix(request.URL.Path, "/acme.org/lib/manifests/1.0.0") {
			asked.Add(1)
		}
		return false
	})
	cv := reconcilertest.ComponentVersion("app", s.url, app, "1.0.0")
	cv.Spec.Verify, cv.Spec.References.Expand = []v1alpha1.Signature{inline("dev", key(t, "dev"))}, true
	s.Create(cv)
	s.Reconcile(cv)
	wantReady(t, cv, "1.0.0")
	if got := asked.Load(); got != 1 {
		t.Errorf("the tag was asked for %d times, want once", got)
	}
	s.publishAll(moved)
	asked.Store(0)
	for range 2 {
		nested := &v1alpha1.ComponentDescriptor{ObjectMeta: reconcilertest.Named(cv.Status.ComponentDescriptor.References[0].ComponentDescriptorRef.Name)}
		s.Delete(nested)
		s.restart(t)
		s.Reconcile(cv)
		wantReady(t, cv, "1.0.0")
		s.Get(nested)
		if got := cv.Status.ComponentDescriptor.References[0].ManifestDigest; got != proven.String() || asked.Load() > 0 {
			t.Errorf("the nested version is %s, want what was proven, and its tag was asked for %d times", got, asked.Load())
		}
	}
}

// TestProvenManifestsAreGone: a nested version is published once more with a signature, and the registry collects what it was.
func TestProvenManifestsAreGone(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*ocmtest.Component)
		heals  bool
		says   string
	}{
		"another signature": {func(c *ocmtest.Component) { c.Signatures = append(c.Signatures, signature(t, "more", "security")) }, true, ""},
		"another content": {
			func(c *ocmtest.Component) { c.Resources[0].Content = []byte("other") }, false, "1.0.0: acme.org/app:1.0.0 -> acme.org/lib:1.0.0",
		},
		"excluded content": {func(c *ocmtest.Component) { c.Resources[1].Content = []byte("other") }, false, "acme.org/lib 1.0.0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.store(t, "dev", "dev")
			lib := ocmtest.Component{Name: "acme.org/lib", Version: "1.0.0", Resources: []ocmtest.Resource{{Name: "code", Content: []byte("code")}}}
			if strings.HasPrefix(name, "excluded") {
				lib.Resources = append(lib.Resources, ocmtest.Resource{Name: "notes", Content: []byte("notes"), Excluded: true})
			}
			for i := range 200 { // so that it is too large to be remembered
				lib.Resources = append(lib.Resources, ocmtest.Resource{Name: strings.Repeat("a", 700) + strconv.Itoa(i), Content: []byte("x")})
			}
			root := signed(t, "1.0.0", "dev")
			root.References = []ocmtest.Reference{{Name: "lib", To: &lib}}
			gone := s.publishAll(lib)
			s.publishAll(root)
			cv := s.verified(">=1.0.0", stored("dev")...)
			wantReady(t, cv, "1.0.0")
			again := lib
			again.Resources = slices.Clone(lib.Resources)
			tc.change(&again)
			is := s.publishAll(again)
			s.fault(http.StatusNotFound, gone.String())
			two := reconcilertest.ComponentVersion("two", s.url, app, ">=1.0.0")
			two.Spec.Verify = stored("dev")
			s.Create(two)
			s.Delete(&v1alpha1.ComponentDescriptor{ObjectMeta: reconcilertest.Named(cv.Status.ComponentDescriptor.ComponentDescriptorRef.Name)})
			for _, cv := range []*v1alpha1.ComponentVersion{two, cv} {
				s.Reconcile(cv)
				if !tc.heals {
					if got := reconcilertest.Conditions(cv)["Ready"]; !strings.HasPrefix(got, "False") || !strings.Contains(reconcilertest.Message(cv, "Ready"), tc.says) {
						t.Errorf("Ready is %s: %s, want that it says %q", got, reconcilertest.Message(cv, "Ready"), tc.says)
					}
					continue
				}
				wantReady(t, cv, "1.0.0")
				if got := cv.Status.ComponentDescriptor.References[0].ManifestDigest; got != is.String() || !cv.Status.Verified {
					t.Errorf("the nested version is %s, want %s", got, is)
				}
			}
		})
	}
}
