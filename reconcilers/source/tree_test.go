package source_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

// tree is a component with two references of one name that differ in their extra identity, one of them with another below.
func tree() *v1alpha1.Reference {
	return &v1alpha1.Reference{
		Name: "acme.org/app", Version: "1.0.0", ManifestDigest: "sha256:root",
		References: []v1alpha1.Reference{
			{
				Name: "backend", ComponentName: "acme.org/backend", Version: "2.0.0", ManifestDigest: "sha256:linux", ExtraIdentity: map[string]string{"os": "linux"},
				References: []v1alpha1.Reference{{Name: "database", ComponentName: "acme.org/database", Version: "3.0.0", ManifestDigest: "sha256:database"}},
			},
			{Name: "backend", ComponentName: "acme.org/backend", Version: "2.1.0", ManifestDigest: "sha256:windows", ExtraIdentity: map[string]string{"os": "windows"}},
			{Name: "frontend", ComponentName: "acme.org/frontend", Version: "4.0.0", ManifestDigest: "sha256:frontend"},
		},
	}
}

func TestWalk(t *testing.T) {
	t.Parallel()
	type path = []map[string]string
	for name, tc := range map[string]struct {
		path   path
		want   source.Node
		says   []string
		reason string
	}{
		"no path":           {nil, source.Node{Component: "acme.org/app", Version: "1.0.0", ManifestDigest: "sha256:root"}, nil, "the component itself"},
		"one hop":           {path{{"name": "frontend"}}, source.Node{Component: "acme.org/frontend", Version: "4.0.0", ManifestDigest: "sha256:frontend"}, nil, "a name that is there once is enough"},
		"by extra identity": {path{{"name": "backend", "os": "windows"}}, source.Node{Component: "acme.org/backend", Version: "2.1.0", ManifestDigest: "sha256:windows", ExtraIdentity: map[string]string{"os": "windows"}}, nil, "the extra identity tells them apart"},
		"by version":        {path{{"name": "backend", "version": "2.1.0"}}, source.Node{Component: "acme.org/backend", Version: "2.1.0", ManifestDigest: "sha256:windows", ExtraIdentity: map[string]string{"os": "windows"}}, nil, "the version tells them apart too"},
		"two hops":          {path{{"name": "backend", "os": "linux"}, {"name": "database"}}, source.Node{Component: "acme.org/database", Version: "3.0.0", ManifestDigest: "sha256:database"}, nil, "each hop goes on from the one before"},
		"not found":         {path{{"name": "fronted"}}, source.Node{}, []string{"element 1", "acme.org/app 1.0.0", "name=fronted", "backend, frontend"}, "the message lists what there is"},
		"ambiguous":         {path{{"name": "backend"}}, source.Node{}, []string{"more than one", "extra identity"}, "the first one would be a guess"},
		"second hop fails":  {path{{"name": "frontend"}, {"name": "database"}}, source.Node{}, []string{"element 2", "acme.org/frontend 4.0.0", "none"}, "the message tells how far it got"},
		"no name":           {path{{"os": "windows"}}, source.Node{}, []string{"it has no name"}, "an identity has a name"},
		"unknown attribute": {path{{"name": "frontend", "os": "linux"}}, source.Node{}, []string{"no reference matches"}, "an attribute that is not there does not match"},
		"wrong version":     {path{{"name": "frontend", "version": "5.0.0"}}, source.Node{}, []string{"no reference matches name=frontend,version=5.0.0"}, "another version is another component"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := source.Walk(tree(), tc.path)
			if (err != nil) != (tc.says != nil) {
				t.Fatalf("error is %v: %s", err, tc.reason)
			}
			for _, part := range tc.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q lacks %q: %s", err, part, tc.reason)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestCombine(t *testing.T) {
	t.Parallel()
	origin := func(name, version string) v1alpha1.Origin {
		return v1alpha1.Origin{Namespace: "default", Name: name, Version: version, ManifestDigest: "sha256:" + name + version}
	}
	other := func(o v1alpha1.Origin) v1alpha1.Origin {
		o.ManifestDigest += "x"
		return o
	}
	verified := func(o v1alpha1.Origin) v1alpha1.Origin {
		o.Verified = true
		return o
	}
	foreign := v1alpha1.Origin{Namespace: "aside", Name: "app", Version: "9.0.0"}
	input := func(name string, origins ...v1alpha1.Origin) source.Input {
		return source.Input{Ref: source.Ref{Kind: "Resource", Namespace: "default", Name: name}, Origins: origins}
	}
	for name, tc := range map[string]struct {
		inputs []source.Input
		want   []v1alpha1.Origin
		mixed  bool
		reason string
	}{
		"none":              {nil, []v1alpha1.Origin{}, false, "values of a ConfigMap have no origin"},
		"same version":      {[]source.Input{input("a", origin("app", "1")), input("b", origin("app", "1"))}, []v1alpha1.Origin{origin("app", "1")}, false, "each origin once"},
		"other components":  {[]source.Input{input("a", origin("web", "1")), input("b", origin("app", "2"), foreign)}, []v1alpha1.Origin{foreign, origin("app", "2"), origin("web", "1")}, false, "sorted, so that a status is stable"},
		"mixed versions":    {[]source.Input{input("a", origin("app", "1")), input("b", origin("app", "2"))}, nil, true, "content of two versions must not be combined"},
		"mixed content":     {[]source.Input{input("a", origin("app", "1")), input("b", other(origin("app", "1")))}, nil, true, "a version that was published again is another one"},
		"verified":          {[]source.Input{input("a", verified(origin("app", "1"))), input("b", verified(origin("app", "1")))}, []v1alpha1.Origin{verified(origin("app", "1"))}, false, "the proof travels with the content"},
		"mixed trust":       {[]source.Input{input("a", verified(origin("app", "1"))), input("b", origin("app", "1"))}, nil, true, "a copy that nobody has verified must not pass as verified"},
		"trust elsewhere":   {[]source.Input{input("a", verified(origin("app", "1"))), input("b", origin("web", "1"))}, []v1alpha1.Origin{verified(origin("app", "1")), origin("web", "1")}, false, "each component version has its own"},
		"mixed in one list": {[]source.Input{input("a", origin("web", "1"), origin("app", "1")), input("b", origin("web", "1"), origin("app", "2"))}, nil, true, "every shared component counts"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := source.Combine(tc.inputs...)
			var mixed *source.MixedVersionsError
			if errors.As(err, &mixed) != tc.mixed {
				t.Fatalf("error is %v: %s", err, tc.reason)
			}
			if tc.mixed && (!strings.Contains(err.Error(), mixed.LeftOrigin.Version) || mixed.Left.Name != "a" || mixed.Right.Name != "b") {
				t.Errorf("error %q does not tell who holds what", err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestMixedVersionsSaysWhatDiffers: two inputs of one version differ in what the version alone doesn't tell.
func TestMixedVersionsSaysWhatDiffers(t *testing.T) {
	t.Parallel()
	left := v1alpha1.Origin{Namespace: "default", Name: "app", Version: "1.0.0", ManifestDigest: "sha256:aa"}
	right := left
	right.Verified = true
	err := &source.MixedVersionsError{Left: source.Ref{Kind: "Resource", Namespace: "default", Name: "a"}, LeftOrigin: left, Right: source.Ref{Kind: "Resource", Namespace: "default", Name: "b"}, RightOrigin: right}
	if got, want := err.Error(), "Resource default/a holds version 1.0.0 (not verified) of ComponentVersion default/app and Resource default/b holds version 1.0.0 (verified); waiting until both hold the same"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	err.RightOrigin.Verified, err.RightOrigin.ManifestDigest = false, "sha256:bb"
	if got := err.Error(); !strings.Contains(got, "1.0.0@sha256:aa") || !strings.Contains(got, "1.0.0@sha256:bb") {
		t.Errorf("got %q, want both digests", got)
	}
}

// TestMixedVersionsSaysWhoIsSuspended: nobody would find out otherwise why it takes so long.
func TestMixedVersionsSaysWhoIsSuspended(t *testing.T) {
	t.Parallel()
	left, right := source.Input{Ref: source.Ref{Kind: "Resource", Namespace: "default", Name: "a"}}, source.Input{Ref: source.Ref{Kind: "ComponentVersion", Namespace: "default", Name: "app"}}
	left.Origins = []v1alpha1.Origin{{Namespace: "default", Name: "app", Version: "1.0.0"}}
	right.Origins = []v1alpha1.Origin{{Namespace: "default", Name: "app", Version: "2.0.0"}}
	const says = " is suspended: resume it"
	if _, err := source.Combine(left, right); err == nil || strings.Contains(err.Error(), says) {
		t.Errorf("got %v, though nothing is suspended", err)
	}
	left.Suspended = true
	if _, err := source.Combine(left, right); err == nil || !strings.Contains(err.Error(), "Resource default/a"+says) || strings.Count(err.Error(), says) != 1 {
		t.Errorf("got %v, want that the Resource is suspended", err)
	}
	right.Suspended = true
	if _, err := source.Combine(left, right); err == nil || !strings.Contains(err.Error(), "ComponentVersion default/app"+says) {
		t.Errorf("got %v, want that both are suspended", err)
	}
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	fingerprint := func(parts ...any) string {
		t.Helper()
		got, err := source.Fingerprint(parts...)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	base := fingerprint("a", map[string]string{"x": "1", "y": "2"})
	if again := fingerprint("a", map[string]string{"y": "2", "x": "1"}); again != base {
		t.Error("equal inputs have different fingerprints")
	}
	if want := "sha256:"; !strings.HasPrefix(base, want) || len(base) != len(want)+64 {
		t.Errorf("fingerprint %q is no digest", base)
	}
	seen := map[string]string{base: "base"}
	for name, parts := range map[string][]any{
		"other value":      {"a", map[string]string{"x": "1", "y": "3"}},
		"parts moved":      {"a", "x"},
		"parts run on":     {"ax"},
		"fewer parts":      {"a"},
		"nil":              {"a", nil},
		"number as string": {"a", "1"},
		"number":           {"a", 1},
	} {
		got := fingerprint(parts...)
		if twin, ok := seen[got]; ok {
			t.Errorf("%s and %s have the same fingerprint", name, twin)
		}
		seen[got] = name
	}
	if _, err := source.Fingerprint(make(chan int)); err == nil {
		t.Error("what can't be compared was accepted")
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	ref := source.Ref{Kind: "Resource", Namespace: "default", Name: "app"}
	for name, tc := range map[string]struct {
		err           error
		want, because string
		reason        string
	}{
		"not ready":    {&source.NotReadyError{Ref: ref, Why: "does not exist"}, reconcilertest.Waits, "SourceRefNotReady", "its watch wakes the object"},
		"mixed":        {&source.MixedVersionsError{Left: ref, Right: ref}, reconcilertest.Waits, "SourceRefNotReady", "the one that is behind catches up"},
		"denied":       {fmt.Errorf("source: %w", source.ErrAccessDenied), reconcilertest.Stalls, v1alpha1.AccessDeniedReason, "only the user can change the reference"},
		"unknown kind": {&source.UnknownKindError{Kind: "Pod"}, reconcilertest.Stalls, v1alpha1.InvalidSpecReason, "only the user can change the reference"},
		"other":        {errors.New("API server is away"), reconcilertest.Retries, "SourceRefNotReady", "it passes"},
		"verdict":      {lifecycle.Stall("Own", errors.New("own")), reconcilertest.Stalls, "Own", "it was judged already"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := source.Verdict("SourceRefNotReady", tc.err)
			if got, because := reconcilertest.Judge(t, err); got != tc.want || because != tc.because || !errors.Is(err, tc.err) {
				t.Errorf("it %s because of %s (%v), want that it %s because of %s: %s", got, because, err, tc.want, tc.because, tc.reason)
			}
		})
	}
	if err := source.Verdict("Reason", nil); err != nil {
		t.Errorf("no error became %v", err)
	}
}
