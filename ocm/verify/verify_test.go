package verify_test

import (
	"context"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/panics"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
)

var excluded = &descriptor.Digest{
	HashAlgorithm: descriptor.NoDigest, NormalisationAlgorithm: descriptor.ExcludeFromSignature, Value: descriptor.NoDigest,
}

func accessOf(kind string) descriptor.Access {
	a, err := descriptor.NewAccess(map[string]string{"type": kind})
	if err != nil {
		panic(err) // it has a type
	}
	return a
}

// TestProof reads each component version and each content of a diamond once, and
// proves them with what is not protected.
func TestProof(t *testing.T) {
	t.Parallel()
	free := with(resource("free"), func(r *descriptor.Resource) { r.Digest = excluded })
	nothing := with(resource("nothing"), func(r *descriptor.Resource) { r.Access, r.Digest = accessOf("none"), nil })
	twice := with(resource("config"), func(r *descriptor.Resource) { r.Version = "2.0.0" })
	leaf := component("leaf", resource("config"), twice, free)
	left := component("left", resource("l"), reference(leaf))
	right := component("right", nothing, reference(leaf))
	root := sign(t, component("root", reference(left), reference(right), reference(leaf), resource("config")))
	w := newWorld(leaf, left, right)
	var last verify.Progress
	proof, err := w.verify(t, root, verify.Options{Progress: func(p verify.Progress) { last = p }})
	if err != nil {
		t.Fatal(err)
	}
	if want := (verify.Progress{Versions: 4, Resources: 6, Checked: 6}); last != want {
		t.Errorf("last progress is %+v, want %+v", last, want)
	}
	want := map[string]int{
		"acme.org/leaf:1.0.0": 1, "acme.org/left:1.0.0": 1, "acme.org/right:1.0.0": 1,
		"content of l": 1, "content of config": 2, // that of the root is at another place
	}
	if diff := cmp.Diff(want, w.counts()); diff != "" {
		t.Errorf("reads (-want +got):\n%s", diff)
	}
	pin := func(name string) verify.Proven {
		return verify.Proven{Component: "acme.org/" + name, Version: "1.0.0", Manifest: digest.FromString("acme.org/" + name + ":1.0.0")}
	}
	if diff := cmp.Diff([]verify.Proven{pin("root"), pin("left"), pin("right"), pin("leaf")}, proof.Versions); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
	unprotected := []verify.Unprotected{
		{Component: "acme.org/right", Version: "1.0.0", Resource: nothing.Element, Why: verify.NoContent},
		{Component: "acme.org/leaf", Version: "1.0.0", Resource: free.Element, Why: verify.Excluded},
	}
	if diff := cmp.Diff(unprotected, proof.Unprotected); diff != "" {
		t.Errorf("unprotected (-want +got):\n%s", diff)
	}
	if len(proof.Signatures) != 1 || proof.Signatures[0].Name != signer || !proof.Expires.IsZero() {
		t.Errorf("signatures are %+v, expiry is %s", proof.Signatures, proof.Expires)
	}
}

// TestStructure refuses descriptors that leave open what they lead to, wherever in
// the tree they are, and before any content is read.
func TestStructure(t *testing.T) {
	t.Parallel()
	res := func(change func(*descriptor.Resource)) any { return with(resource("config"), change) }
	leaf := component("leaf")
	ref := func(change func(*descriptor.Reference)) any {
		r := reference(leaf)
		change(&r)
		return r
	}
	part := func(hash, normalisation, value string) *descriptor.Digest {
		return &descriptor.Digest{HashAlgorithm: hash, NormalisationAlgorithm: normalisation, Value: value}
	}
	good := resource("config").Digest
	for name, tc := range map[string]struct {
		element any
		says    string
	}{
		"no digest": {res(func(r *descriptor.Resource) { r.Digest = nil }), "no digest"},
		"excluded by hash": {res(func(r *descriptor.Resource) {
			r.Digest = part(descriptor.NoDigest, good.NormalisationAlgorithm, good.Value)
		}), "in parts"},
		"excluded by kind": {res(func(r *descriptor.Resource) { r.Digest = part("SHA-256", descriptor.ExcludeFromSignature, good.Value) }), "in parts"},
		"excluded by value": {res(func(r *descriptor.Resource) {
			r.Digest = part("SHA-256", good.NormalisationAlgorithm, descriptor.NoDigest)
		}), "in parts"},
		"unknown hash":          {res(func(r *descriptor.Resource) { r.Digest = part("MD5", good.NormalisationAlgorithm, good.Value) }), "MD5"},
		"unknown kind":          {res(func(r *descriptor.Resource) { r.Digest = part("SHA-256", "fancyDigest/v9", good.Value) }), "fancyDigest/v9"},
		"no value":              {res(func(r *descriptor.Resource) { r.Digest = part("SHA-256", good.NormalisationAlgorithm, "") }), "no SHA-256 value"},
		"none with digest":      {res(func(r *descriptor.Resource) { r.Access = accessOf("none") }), "access is none"},
		"none of a version":     {res(func(r *descriptor.Resource) { r.Access = accessOf("None/v1") }), "access is none"},
		"reference without":     {ref(func(r *descriptor.Reference) { r.Digest = nil }), "no digest"},
		"reference excluded":    {ref(func(r *descriptor.Reference) { r.Digest = excluded }), "in parts"},
		"reference, hash":       {ref(func(r *descriptor.Reference) { r.Digest = part("SHA-1", normalize.V3, r.Digest.Value) }), "SHA-1"},
		"reference, form":       {ref(func(r *descriptor.Reference) { r.Digest = part("SHA-256", "jsonNormalisation/v9", r.Digest.Value) }), "jsonNormalisation/v9"},
		"reference, short":      {ref(func(r *descriptor.Reference) { r.Digest = part("SHA-256", normalize.V3, "00") }), "no SHA-256 value"},
		"reference to no name":  {ref(func(r *descriptor.Reference) { r.ComponentName = "../leaf" }), "../leaf"},
		"reference, no version": {ref(func(r *descriptor.Reference) { r.Version = "latest" }), "latest"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, nested := range []bool{false, true} {
				element := "resource config:1.0.0"
				if r, ok := tc.element.(descriptor.Reference); ok {
					element = "reference to-leaf:" + r.Version
				}
				bad := component("bad", resource("other"), tc.element)
				root, path := bad, []string{"acme.org/bad:1.0.0"}
				if nested {
					root, path = component("root", reference(bad)), []string{"acme.org/root:1.0.0", "acme.org/bad:1.0.0"}
				}
				w := newWorld(leaf, bad)
				_, err := w.verify(t, sign(t, root), verify.Options{})
				refused, ok := errors.AsType[*verify.Error](err)
				if !ok || !errors.Is(err, verify.ErrRefused) {
					t.Fatalf("nested %t: Verify = %v, want a refusal", nested, err)
				}
				if !slices.Equal(refused.Path, path) || refused.Element != element || refused.Lasting == nested {
					t.Errorf("nested %t: refused is %+v", nested, refused)
				}
				if !strings.Contains(err.Error(), tc.says) || !strings.HasPrefix(err.Error(), strings.Join(path, " -> ")+": "+element+": ") {
					t.Errorf("nested %t: error is %q, which doesn't say %q", nested, err, tc.says)
				}
				if n := w.counts()["content of other"]; n > 0 {
					t.Errorf("nested %t: content was read", nested)
				}
			}
		})
	}
}

// TestSignatures refuses what isn't signed before anything is read.
func TestSignatures(t *testing.T) {
	t.Parallel()
	leaf := component("leaf")
	root := sign(t, component("root", resource("config"), reference(leaf)))
	w := newWorld(leaf)
	unsigned, changed := *root, *root
	unsigned.Signatures = nil
	changed.Component.CreationTime = "2026-01-01T00:00:00Z"
	for name, d := range map[string]*descriptor.Descriptor{"unsigned": &unsigned, "changed": &changed} {
		_, err := w.verify(t, d, verify.Options{})
		refused, ok := errors.AsType[*verify.Error](err)
		if !ok || !errors.Is(err, signing.ErrInvalid) || !refused.Lasting || !slices.Equal(refused.Path, []string{nameOf(root)}) {
			t.Errorf("%s: Verify = %v, want a lasting refusal", name, err)
		}
	}
	both := append(requests(t), signing.Request{Name: "other", Keys: requests(t)[0].Keys})
	if _, err := verify.Verify(t.Context(), w, &stored{d: root, world: w}, both, verify.Options{}); !errors.Is(err, verify.ErrRefused) {
		t.Errorf("one signature of two: %v, want a refusal", err)
	}
	for name, none := range map[string][]signing.Request{"none": nil, "unusable": {{Name: signer}}} {
		if _, err := verify.Verify(t.Context(), w, &stored{d: root, world: w}, none, verify.Options{}); err == nil || errors.Is(err, verify.ErrRefused) {
			t.Errorf("%s: Verify = %v, want an error that is no refusal", name, err)
		}
	}
	if got := w.counts(); len(got) > 0 {
		t.Errorf("read %v", got)
	}
}

// TestReferences refuses references that lead to anything else than was signed.
func TestReferences(t *testing.T) {
	t.Parallel()
	leaf := component("leaf", resource("l"))
	mid := component("mid", reference(leaf))
	other := component("leaf", resource("evil"))
	named := component("name", resource("l"))
	forged := component("mid", reference(leaf))
	forged.NestedDigests = []descriptor.NestedDigest{{Name: "acme.org/leaf", Version: "1.0.0", Digest: digestOf(other)}}
	wrong := reference(leaf)
	wrong.Digest = digestOf(other)
	sha512, err := normalize.Digest(leaf, "sha512", normalize.V1)
	if err != nil {
		t.Fatal(err)
	}
	byOther := reference(leaf)
	byOther.Name, byOther.Digest = "by-other", &sha512
	rootName, midName, leafName := "acme.org/root:1.0.0", "acme.org/mid:1.0.0", "acme.org/leaf:1.0.0"
	broken := errors.New("connection reset")
	for name, tc := range map[string]struct {
		root    *descriptor.Descriptor
		stored  []*descriptor.Descriptor
		fail    error
		path    []string // nil is accepted
		passing bool
		says    string
	}{
		"good":              {root: component("root", reference(mid)), stored: []*descriptor.Descriptor{mid, leaf}},
		"other algorithms":  {root: component("root", reference(mid), byOther), stored: []*descriptor.Descriptor{mid, leaf}},
		"forged hints":      {root: component("root", reference(mid)), stored: []*descriptor.Descriptor{forged, leaf}},
		"replaced":          {root: component("root", reference(mid)), stored: []*descriptor.Descriptor{mid, other}, path: []string{rootName, midName, leafName}, says: "its component descriptor has digest SHA-256:"},
		"one of two wrong":  {root: component("root", reference(leaf), wrong), stored: []*descriptor.Descriptor{leaf}, path: []string{rootName, leafName}, says: digestOf(other).Value},
		"missing":           {root: component("root", reference(mid)), stored: []*descriptor.Descriptor{mid}, path: []string{rootName, midName, leafName}, says: "not found"},
		"unreadable":        {root: component("root", reference(mid)), stored: []*descriptor.Descriptor{mid, leaf}, fail: broken, passing: true, says: rootName + " -> " + midName + " -> " + leafName + ": connection reset"},
		"no component":      {root: component("root", reference(mid)), stored: []*descriptor.Descriptor{mid, leaf}, fail: ocm.ErrNotComponent, path: []string{rootName, midName, leafName}, says: "not a component"},
		"of another name":   {root: component("root", reference(mid)), stored: []*descriptor.Descriptor{mid, named}, path: []string{rootName, midName, leafName}, says: "acme.org/name:1.0.0"},
		"canceled":          {root: component("root", reference(mid)), stored: []*descriptor.Descriptor{mid, leaf}, fail: fmt.Errorf("%w: %w", ocm.ErrNotFound, context.Canceled), passing: true, says: "canceled"},
		"unauthorized":      {root: component("root", reference(mid)), stored: []*descriptor.Descriptor{mid, leaf}, fail: ocm.ErrUnauthorized, passing: true, says: "unauthorized"},
		"cannot be reached": {root: component("root", reference(mid)), stored: []*descriptor.Descriptor{mid, leaf}, fail: ocm.ErrUnreachable, passing: true, says: "unreachable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(tc.stored...)
			if name == "of another name" {
				w.versions[leafName] = named
			}
			w.fail[leafName] = tc.fail
			proof, err := w.verify(t, sign(t, tc.root), verify.Options{})
			if tc.path == nil && !tc.passing {
				if err != nil || len(proof.Versions) != 3 {
					t.Errorf("Verify = %+v, %v", proof, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.says) || errors.Is(err, verify.ErrRefused) == tc.passing {
				t.Fatalf("Verify = %v, want %q, passing %t", err, tc.says, tc.passing)
			}
			if refused, ok := errors.AsType[*verify.Error](err); ok && (!slices.Equal(refused.Path, tc.path) || refused.Lasting) {
				t.Errorf("refused is %+v, want path %q", refused, tc.path)
			}
			if tc.fail != nil && !errors.Is(err, tc.fail) {
				t.Errorf("the cause %v was lost", tc.fail)
			}
		})
	}
}

// TestBounds refuses trees that never end, and those that are too large.
func TestBounds(t *testing.T) {
	t.Parallel()
	chain := []*descriptor.Descriptor{component("v0")}
	for i := 1; i < 6; i++ {
		chain = append(chain, component(fmt.Sprintf("v%d", i), reference(chain[i-1])))
	}
	deep := chain[len(chain)-1]
	var wide []any
	all := chain
	for i := range 9 {
		d := component(fmt.Sprintf("w%d", i))
		all, wide = append(all, d), append(wide, reference(d))
	}
	self := component("self")
	self.Component.References = append(self.Component.References, reference(self))
	back := component("back", reference(component("root")))
	crossA, crossB := component("a"), component("b")
	crossA.Component.References = []descriptor.Reference{reference(crossB)}
	crossB.Component.References = []descriptor.Reference{reference(crossA)}
	crossed := component("root", reference(crossA), reference(crossB))
	for name, tc := range map[string]struct {
		root   *descriptor.Descriptor
		o      verify.Options
		says   string
		accept bool
	}{
		"deep":        {root: deep, o: verify.Options{MaxDepth: 5}, accept: true},
		"too deep":    {root: deep, o: verify.Options{MaxDepth: 4}, says: "more than 4 levels"},
		"wide":        {root: component("root", wide...), o: verify.Options{MaxVersions: 10}, accept: true},
		"too wide":    {root: component("root", wide...), o: verify.Options{MaxVersions: 9}, says: "more than 9 component versions"},
		"itself":      {root: self, says: "leads back to acme.org/self:1.0.0"},
		"its parents": {root: component("root", reference(back)), says: "leads back to acme.org/root:1.0.0"},
		"a loop":      {root: crossed, says: "signed is"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(append(slices.Clone(all), self, back, crossA, crossB)...)
			_, err := w.verify(t, sign(t, tc.root), tc.o)
			if tc.accept {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, verify.ErrRefused) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("Verify = %v, want %q", err, tc.says)
			}
			if refused, ok := errors.AsType[*verify.Error](err); ok && refused.Lasting != (name == "itself") {
				t.Errorf("lasting is %t: %v", refused.Lasting, err)
			}
		})
	}
}

// TestNoCanonicalForm refuses what is in the place of a reference and has no digest. That
// isn't about the reference, and may be put right.
func TestNoCanonicalForm(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*descriptor.Component){
		"creation time": func(c *descriptor.Component) { c.CreationTime = "yesterday" },
		"number": func(c *descriptor.Component) {
			c.Labels = []descriptor.Label{{Name: "x", Value: json.RawMessage("1e999"), Signing: true}}
		},
	} {
		leaf := component("leaf")
		root := sign(t, component("root", reference(leaf)))
		change(&leaf.Component)
		_, err := newWorld(leaf).verify(t, root, verify.Options{})
		refused, ok := errors.AsType[*verify.Error](err)
		if !ok || refused.Lasting || refused.Element != "" || !slices.Equal(refused.Path, []string{"acme.org/root:1.0.0", "acme.org/leaf:1.0.0"}) {
			t.Errorf("%s: Verify = %+v, want a refusal of the leaf for now", name, err)
		}
	}
}

// TestNothingUnprovenIsKept compares each descriptor before the next one is read.
func TestNothingUnprovenIsKept(t *testing.T) {
	t.Parallel()
	var stored []*descriptor.Descriptor
	var references []any
	for i := range 12 {
		d := component(fmt.Sprintf("c%d", i))
		references = append(references, reference(d))
		d.Component.Provider.Name = "else"
		stored = append(stored, d)
	}
	w := newWorld(stored...)
	_, err := w.verify(t, sign(t, component("root", references...)), verify.Options{Concurrency: 1})
	if refused, ok := errors.AsType[*verify.Error](err); !ok || refused.Path[1] != "acme.org/c0:1.0.0" {
		t.Errorf("Verify = %v, want the refusal of the first", err)
	}
	if got := w.counts(); len(got) != 1 {
		t.Errorf("%d descriptors were read after one was wrong: %v", len(got)-1, got)
	}
}

// late answers for one component version when another one was read.
type late struct {
	*world

	what string
	read chan struct{}
}

// Version implements verify.Source.
func (l *late) Version(ctx context.Context, component, version string) (verify.Version, error) {
	if component == l.what {
		<-l.read
	} else {
		defer close(l.read)
	}
	return l.world.Version(ctx, component, version)
}

// TestRefusalBeforePassing tells the refusal that is known, whichever descriptor
// cannot be read.
func TestRefusalBeforePassing(t *testing.T) {
	t.Parallel()
	for _, unreadable := range []string{"acme.org/a", "acme.org/b"} {
		a, b := component("a"), component("b")
		root := sign(t, component("root", reference(a), reference(b)))
		for _, d := range []*descriptor.Descriptor{a, b} {
			d.Component.Provider.Name = "else"
		}
		w := newWorld(a, b)
		w.fail[unreadable+":1.0.0"] = ocm.ErrUnreachable
		source := &late{world: w, what: unreadable, read: make(chan struct{})}
		_, err := verify.Verify(t.Context(), source, &stored{d: root, world: w}, requests(t), verify.Options{Concurrency: 2})
		if !errors.Is(err, verify.ErrRefused) {
			t.Errorf("%s cannot be read: Verify = %v, want the refusal of the other", unreadable, err)
		}
	}
}

// TestContents refuses contents that are not what was signed, and tells them from
// those that could not be read.
func TestContents(t *testing.T) {
	t.Parallel()
	want := digest.FromString("config")
	got := digest.FromString("other")
	wrapped := func(err error) error {
		return &ocm.ResourceError{Resource: &descriptor.Element{Name: "config"}, Component: "acme.org/root", Version: "1.0.0", Err: err}
	}
	for name, tc := range map[string]struct {
		err     error
		refused bool
		says    string
	}{
		"wrong":       {wrapped(&ocm.DigestMismatchError{Object: "a blob", Want: want.String(), Got: got.String()}), true, "content has digest " + got.String() + ", signed is " + want.String()},
		"wrong size":  {wrapped(&ocm.DigestMismatchError{Object: "a blob", Want: "6 bytes of " + want.String(), Got: "5 bytes"}), true, "a blob"},
		"missing":     {wrapped(ocm.ErrNotFound), true, "not found"},
		"unsupported": {wrapped(&ocm.UnsupportedError{What: "access of kind \"s3\"", Advice: "transfer it"}), true, "transfer it"},
		"refused":     {wrapped(&ocm.HostError{}), true, ""},
		"malformed":   {wrapped(ocm.ErrMalformed), true, "malformed"},
		"too large":   {wrapped(ocm.ErrTooLarge), true, "too large"},
		"unsure":      {wrapped(oci.Doubt(ocm.ErrNotFound)), false, "not found"},
		"resolved":    {wrapped(&ocm.HostError{Unsure: true}), false, ""},
		"no answer":   {wrapped(ocm.ErrUnreachable), false, "unreachable"},
		"no log-in":   {wrapped(ocm.ErrUnauthorized), false, "unauthorized"},
		"cut off":     {wrapped(errors.New("unexpected EOF")), false, "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			w.check["config"] = func(context.Context) error { return tc.err }
			_, err := w.verify(t, sign(t, component("root", resource("config"))), verify.Options{})
			if errors.Is(err, verify.ErrRefused) != tc.refused || !errors.Is(err, errors.Unwrap(tc.err)) {
				t.Fatalf("Verify = %v, want refused %t because of %v", err, tc.refused, tc.err)
			}
			if text := "acme.org/root:1.0.0: resource config:1.0.0: "; !strings.HasPrefix(err.Error(), text) || strings.Count(err.Error(), "resource ") != 1 || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error is %q, want %q and %q", err, text, tc.says)
			}
			if refused, ok := errors.AsType[*verify.Error](err); ok && refused.Lasting {
				t.Error("the refusal lasts, but contents may be put right")
			}
		})
	}
}

// TestWhichError returns the same refusal of several, whichever is known first.
func TestWhichError(t *testing.T) {
	t.Parallel()
	var all []any
	for i := range 20 {
		all = append(all, resource(fmt.Sprintf("r%d", i)))
	}
	root := sign(t, component("root", all...))
	for range 20 {
		w := newWorld()
		third := make(chan struct{})
		w.check["r3"] = func(context.Context) error { <-third; return ocm.ErrNotFound }
		w.check["r5"] = func(context.Context) error { defer close(third); return ocm.ErrNotFound }
		w.check["r4"] = func(context.Context) error { return nil }
		_, err := w.verify(t, root, verify.Options{Concurrency: 2})
		if refused, ok := errors.AsType[*verify.Error](err); !ok || refused.Element != "resource r3:1.0.0" {
			t.Fatalf("Verify = %v, want that of r3", err)
		}
		if got := w.counts()["content of r6"]; got > 0 {
			t.Error("contents were read after a refusal")
		}
	}
	w := newWorld()
	failed := make(chan struct{})
	w.check["r0"] = func(context.Context) error { <-failed; return ocm.ErrUnreachable }
	w.check["r1"] = func(context.Context) error { defer close(failed); return ocm.ErrNotFound }
	if _, err := w.verify(t, root, verify.Options{}); !errors.Is(err, verify.ErrRefused) {
		t.Errorf("Verify = %v, want the refusal that is known", err)
	}
}

// TestCancel ends a verification with everything it began.
func TestCancel(t *testing.T) {
	var all []any
	for i := range 20 {
		all = append(all, resource(fmt.Sprintf("r%d", i)))
	}
	root := sign(t, component("root", all...))
	w := newWorld()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	cause := errors.New("not needed any more")
	var running atomic.Int32
	for i := range 20 {
		w.check[fmt.Sprintf("r%d", i)] = func(ctx context.Context) error {
			if running.Add(1) == 3 {
				cancel(cause)
			}
			<-ctx.Done()
			running.Add(-1)
			return fmt.Errorf("%w: %w", ocm.ErrNotFound, ctx.Err())
		}
	}
	before := runtime.NumGoroutine()
	_, err := verify.Verify(ctx, w, &stored{d: root, world: w}, requests(t), verify.Options{Concurrency: 3})
	if !errors.Is(err, cause) || errors.Is(err, verify.ErrRefused) {
		t.Errorf("Verify = %v, want the cause of the end", err)
	}
	if n := running.Load(); n != 0 {
		t.Errorf("%d contents are still read", n)
	}
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, there were %d", runtime.NumGoroutine(), before)
		}
	}
	if got := w.counts(); len(got) != 3 {
		t.Errorf("contents %v were read", slices.Sorted(maps.Keys(got)))
	}
}

// TestPanic survives what reading foreign bytes may do.
func TestPanic(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.check["config"] = func(context.Context) error { panic("index out of range") }
	_, err := w.verify(t, sign(t, component("root", resource("config"))), verify.Options{})
	if err == nil || errors.Is(err, verify.ErrRefused) || !strings.Contains(err.Error(), "panic: index out of range") || !strings.Contains(panics.Stack(err), "TestPanic") {
		t.Errorf("Verify = %v, want the panic as an error that may pass", err)
	}
}

// TestPlaces reads what several component versions share once, if it is nothing
// of their own.
func TestPlaces(t *testing.T) {
	t.Parallel()
	image := func(name string, d digest.Digest) descriptor.Resource {
		return with(resource(name), func(r *descriptor.Resource) {
			a, err := descriptor.NewAccess(access.OCIArtifact{Type: access.KindOCIArtifact, ImageReference: "ghcr.io/acme/image:1"})
			if err != nil {
				t.Fatal(err)
			}
			r.Access, r.Digest = a, descriptor.NewArtifactDigest(d)
		})
	}
	same, other := digest.FromString("image"), digest.FromString("other")
	leaf := component("leaf", image("image", same), resource("local"))
	root := sign(t, component("root", image("image", same), image("different", other), resource("local"), reference(leaf)))
	w := newWorld(leaf)
	if _, err := w.verify(t, root, verify.Options{}); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"acme.org/leaf:1.0.0": 1, "content of image": 1, "content of different": 1, "content of local": 2}
	if diff := cmp.Diff(want, w.counts()); diff != "" {
		t.Errorf("reads (-want +got):\n%s", diff)
	}
}

func TestUnprotects(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*descriptor.Resource)
		want   verify.Why
	}{
		"with a digest":    {func(*descriptor.Resource) {}, ""},
		"without a digest": {func(r *descriptor.Resource) { r.Digest = nil }, ""},
		"excluded":         {func(r *descriptor.Resource) { r.Digest = excluded }, verify.Excluded},
		"in parts":         {func(r *descriptor.Resource) { r.Digest = &descriptor.Digest{Value: descriptor.NoDigest} }, ""},
		"none":             {func(r *descriptor.Resource) { r.Access, r.Digest = accessOf("none"), nil }, verify.NoContent},
		"None/v1":          {func(r *descriptor.Resource) { r.Access, r.Digest = accessOf("None/v1"), excluded }, verify.NoContent},
	} {
		res := with(resource("config"), tc.change)
		if got, is := verify.Unprotects(&res); got != tc.want || is != (tc.want != "") {
			t.Errorf("%s: Unprotects = %q, %t; want %q", name, got, is, tc.want)
		}
	}
}

// TestTime lets a proof last as long as the certificate it relies on, and refuses
// only for now what may be valid later.
func TestTime(t *testing.T) {
	t.Parallel()
	now := time.Now().Truncate(time.Second)
	by, _ := ocmtest.SignerOf(t, signer)
	expires := now.Add(12 * time.Hour)
	chain, err := ocmtest.NewChain(ocmtest.Leaf{Subject: pkix.Name{CommonName: "operations"}, Key: by.Key, NotAfter: expires})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := signing.ParsePublicKeys(ocmtest.CertificatePEM(chain.Leaf))
	if err != nil {
		t.Fatal(err)
	}
	root := sign(t, component("root"))
	w := newWorld()
	check := func(at time.Time) (*verify.Proof, error) {
		both := append(requests(t), signing.Request{Name: signer, Keys: keys})
		return verify.Verify(t.Context(), w, &stored{d: root, world: w}, both, verify.Options{Now: at})
	}
	proof, err := check(now)
	if err != nil || !proof.Expires.Equal(expires) || len(proof.Signatures) != 2 {
		t.Errorf("Verify = %+v, %v; want a proof until %s", proof, err, expires)
	}
	for name, at := range map[string]time.Time{"early": now.Add(-48 * time.Hour), "late": now.Add(48 * time.Hour)} {
		_, err := check(at)
		refused, ok := errors.AsType[*verify.Error](err)
		if !ok || refused.Lasting {
			t.Errorf("%s: Verify = %v, want a refusal for now", name, err)
		}
	}
}
