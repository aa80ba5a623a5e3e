package verify_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
)

// world has component versions in memory, and counts what is read of them.
type world struct {
	versions map[string]*descriptor.Descriptor
	// fail answers in place of a version, by name:version.
	fail map[string]error
	// check answers for contents, by the name of the resource.
	check map[string]func(context.Context) error

	mu    sync.Mutex
	reads map[string]int
	order []string
}

func newWorld(all ...*descriptor.Descriptor) *world {
	w := &world{versions: map[string]*descriptor.Descriptor{}, fail: map[string]error{}, check: map[string]func(context.Context) error{}, reads: map[string]int{}}
	for _, d := range all {
		w.versions[nameOf(d)] = d
	}
	return w
}

func (w *world) count(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reads[what]++
	w.order = append(w.order, what)
}

// counts returns how often everything was read.
func (w *world) counts() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.reads)
}

// Version implements verify.Source.
func (w *world) Version(_ context.Context, component, version string) (verify.Version, error) {
	name := component + ":" + version
	w.count(name)
	if err := w.fail[name]; err != nil {
		return nil, err
	}
	d, ok := w.versions[name]
	if !ok {
		return nil, fmt.Errorf("%s: %w", name, ocm.ErrNotFound)
	}
	return &stored{d: d, world: w}, nil
}

// stored is a component version of a world.
type stored struct {
	d     *descriptor.Descriptor
	world *world
}

// Descriptor implements verify.Version.
func (s *stored) Descriptor() *descriptor.Descriptor { return s.d }

// ManifestDigest implements verify.Version.
func (s *stored) ManifestDigest() digest.Digest { return digest.FromString(nameOf(s.d)) }

// Check implements verify.Version.
func (s *stored) Check(ctx context.Context, res *descriptor.Resource) error {
	s.world.count("content of " + res.Name)
	if check := s.world.check[res.Name]; check != nil {
		return check(ctx)
	}
	return nil
}

// verify proves a component version of the world, which is signed.
func (w *world) verify(t testing.TB, root *descriptor.Descriptor, o verify.Options) (*verify.Proof, error) {
	t.Helper()
	return verify.Verify(t.Context(), w, &stored{d: root, world: w}, requests(t), o)
}

const signer = "operations"

func requests(t testing.TB) []signing.Request {
	t.Helper()
	_, pem := ocmtest.SignerOf(t, signer)
	keys, err := signing.ParsePublicKeys(pem)
	if err != nil {
		t.Fatal(err)
	}
	return []signing.Request{{Name: signer, Keys: keys}}
}

// sign returns a signed copy of whatever it is given, also what signing.Sign would refuse.
func sign(t testing.TB, d *descriptor.Descriptor) *descriptor.Descriptor {
	t.Helper()
	by, _ := ocmtest.SignerOf(t, signer)
	computed := digestOf(d)
	raw, err := hex.DecodeString(computed.Value)
	if err != nil {
		t.Fatal(err)
	}
	value, err := by.Key.Sign(rand.Reader, raw, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	signed := *d
	signed.Signatures = append(signed.Signatures, descriptor.Signature{Name: signer, Digest: *computed, Signature: descriptor.SignatureValue{
		Algorithm: signing.PKCS1, MediaType: "application/vnd.ocm.signature.rsa", Value: hex.EncodeToString(value),
	}})
	return &signed
}

// digestOf returns the digest that a reference to a component version has.
func digestOf(d *descriptor.Descriptor) *descriptor.Digest {
	computed, err := normalize.Digest(d, descriptor.SHA256, normalize.V3)
	if err != nil {
		panic(err) // tests make only what has a digest
	}
	return &computed
}

// component makes a component version out of resources and references.
func component(name string, elements ...any) *descriptor.Descriptor {
	d := &descriptor.Descriptor{}
	d.Component.Name, d.Component.Version, d.Component.Provider.Name = "acme.org/"+name, "1.0.0", "acme.org"
	for _, e := range elements {
		switch e := e.(type) {
		case descriptor.Resource:
			d.Component.Resources = append(d.Component.Resources, e)
		case descriptor.Reference:
			d.Component.References = append(d.Component.References, e)
		}
	}
	return d
}

// resource makes a resource with its name as content.
func resource(name string) descriptor.Resource {
	d := digest.FromString(name)
	a, err := access.NewLocalBlob(d, "text/plain")
	if err != nil {
		panic(err) // it can always be encoded
	}
	return descriptor.Resource{Element: descriptor.Element{Name: name, Version: "1.0.0"}, Type: "blob", Access: a, Digest: descriptor.NewBlobDigest(d)}
}

// with returns a changed resource.
func with(res descriptor.Resource, change func(*descriptor.Resource)) descriptor.Resource {
	change(&res)
	return res
}

// reference makes a reference to a component version.
func reference(to *descriptor.Descriptor) descriptor.Reference {
	name := to.Component.Name[strings.LastIndex(to.Component.Name, "/")+1:]
	return descriptor.Reference{
		Element:       descriptor.Element{Name: "to-" + name, Version: to.Component.Version},
		ComponentName: to.Component.Name, Digest: digestOf(to),
	}
}

func nameOf(d *descriptor.Descriptor) string { return d.Component.Name + ":" + d.Component.Version }
