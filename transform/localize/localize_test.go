package localize_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	configv1 "github.com/ocm-operator/ocm-operator/apis/config/v1alpha1"
	"github.com/ocm-operator/ocm-operator/transform"
	"github.com/ocm-operator/ocm-operator/transform/localize"
	"github.com/ocm-operator/ocm-operator/transform/yamledit"
)

const sha = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestParseImage(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][5]string{ // registry, repository, fully qualified, image, tag
		"redis:7.0.8":               {"index.docker.io", "library/redis", "index.docker.io/library/redis", "index.docker.io/library/redis:7.0.8", "7.0.8"},
		"redis":                     {"index.docker.io", "library/redis", "index.docker.io/library/redis", "index.docker.io/library/redis:latest", "latest"},
		"a/b:1":                     {"index.docker.io", "a/b", "index.docker.io/a/b", "index.docker.io/a/b:1", "1"},
		"docker.io/redis:1":         {"index.docker.io", "library/redis", "index.docker.io/library/redis", "index.docker.io/library/redis:1", "1"},
		"ghcr.io/a/b:1":             {"ghcr.io", "a/b", "ghcr.io/a/b", "ghcr.io/a/b:1", "1"},
		"ghcr.io/a/b:1@" + sha:      {"ghcr.io", "a/b", "ghcr.io/a/b", "ghcr.io/a/b@" + sha, sha},
		"ghcr.io/a/b@" + sha:        {"ghcr.io", "a/b", "ghcr.io/a/b", "ghcr.io/a/b@" + sha, sha},
		"localhost:5000/a/b/c":      {"localhost:5000", "a/b/c", "localhost:5000/a/b/c", "localhost:5000/a/b/c:latest", "latest"},
		"[::1]:5000/app:x":          {"[::1]:5000", "app", "[::1]:5000/app", "[::1]:5000/app:x", "x"},
		"r.example.com:5000/bb:v_1": {"r.example.com:5000", "bb", "r.example.com:5000/bb", "r.example.com:5000/bb:v_1", "v_1"},
	} {
		i, err := localize.ParseImage(in)
		got := [5]string{i.Registry, i.Repository, i.Registry + "/" + i.Repository, i.String(), i.Tag}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: error %v, -want +got:\n%s", in, err, diff)
		}
	}
	for _, in := range []string{"", "a b", "http://ghcr.io/a/b:1", "ghcr.io/a/b@sha256:00", "ghcr.io/A/b", "a:b:c", "ghcr.io/a/b:"} {
		if i, err := localize.ParseImage(in); err == nil || !strings.Contains(err.Error(), in) {
			t.Errorf("%q: want an error that names it, got %v, %v", in, i, err)
		}
	}
}

func TestParsePinned(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][5]string{ // registry, repository, fully qualified, image, tag
		"ghcr.io/a/b:1@" + sha:            {"ghcr.io", "a/b", "ghcr.io/a/b", "ghcr.io/a/b:1@" + sha, "1@" + sha},
		"ghcr.io/a/b@" + sha:              {"ghcr.io", "a/b", "ghcr.io/a/b", "ghcr.io/a/b@" + sha, sha},
		"redis:7.0.8@" + sha:              {"index.docker.io", "library/redis", "index.docker.io/library/redis", "index.docker.io/library/redis:7.0.8@" + sha, "7.0.8@" + sha},
		"localhost:5000/ab@" + sha:        {"localhost:5000", "ab", "localhost:5000/ab", "localhost:5000/ab@" + sha, sha},
		"localhost:5000/ab:v_1@" + sha:    {"localhost:5000", "ab", "localhost:5000/ab", "localhost:5000/ab:v_1@" + sha, "v_1@" + sha},
		"[::1]:5000/app:x@" + sha:         {"[::1]:5000", "app", "[::1]:5000/app", "[::1]:5000/app:x@" + sha, "x@" + sha},
		"r.example.com:5000/a/b:1@" + sha: {"r.example.com:5000", "a/b", "r.example.com:5000/a/b", "r.example.com:5000/a/b:1@" + sha, "1@" + sha},
	} {
		i, err := localize.ParsePinned(in)
		got := [5]string{i.Registry, i.Repository, i.Registry + "/" + i.Repository, i.String(), i.Tag}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: error %v, -want +got:\n%s", in, err, diff)
		}
		if again, err := localize.ParsePinned(i.String()); err != nil || again != i {
			t.Errorf("%s: read again it is %v, %v", i, again, err)
		}
	}
	for _, in := range []string{"ghcr.io/a/b:1", "ghcr.io/a/b", "a/b@1", "ghcr.io/a/b:1@sha256:00", "ghcr.io/a/b:@" + sha, "http://ghcr.io/a/b@" + sha} {
		if i, err := localize.ParsePinned(in); err == nil || !strings.Contains(err.Error(), in) {
			t.Errorf("%q: want an error that names it, got %v, %v", in, i, err)
		}
	}
}

func TestSubstitutions(t *testing.T) {
	t.Parallel()
	one := 1
	rules := []configv1.LocalizationRule{
		{Resource: configv1.ResourceSelector{Name: "image"}, File: "deploy.yaml", Image: "spec.image", Document: &one},
		{
			Resource: configv1.ResourceSelector{Name: "image", ExtraIdentity: map[string]string{"arch": "arm64"}}, File: "values.yaml",
			Tag: "t", Image: "i", FullyQualifiedRepository: "f", Repository: "r", Registry: "g", Selector: &configv1.DocumentSelector{Kind: "K", Name: "n"},
		},
		{File: "deploy.yaml", Image: "ignored", Mapping: &configv1.Mapping{Path: "spec.containers", Transform: "program"}, Document: &one},
	}
	compute := func(_ context.Context, program string) (any, error) { return []any{program}, nil }
	resolve := func(_ context.Context, name string, extra map[string]string) (localize.Image, error) {
		return localize.ParseImage("ghcr.io/" + name + extra["arch"] + ":1")
	}
	second := func(path, value string) transform.Substitution {
		return transform.Substitution{Rule: "localization rule 2", File: "values.yaml", Path: path, Value: value, Selector: &yamledit.Selector{Kind: "K", Name: "n"}}
	}
	want := []transform.Substitution{
		{Rule: "localization rule 1", File: "deploy.yaml", Path: "spec.image", Value: "ghcr.io/image:1", Document: &one},
		second("g", "ghcr.io"), second("r", "imagearm64"), second("f", "ghcr.io/imagearm64"), second("i", "ghcr.io/imagearm64:1"), second("t", "1"),
		{Rule: "localization rule 3", File: "deploy.yaml", Path: "spec.containers", Value: []any{"program"}, Document: &one},
	}
	got, err := localize.Substitutions(t.Context(), rules, resolve, compute)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v, -want +got:\n%s", err, diff)
	}
}

func TestSubstitutionsFails(t *testing.T) {
	t.Parallel()
	lost := errors.New("lost")
	for name, tc := range map[string]struct {
		rule      configv1.LocalizationRule
		reference string
		err       error
		compute   localize.Mapper
		want      error
		text      string
	}{
		"mapping":   {rule: configv1.LocalizationRule{File: "f", Mapping: &configv1.Mapping{Path: "p"}}, want: localize.ErrMapping, text: `localization rule 1: file "f", path "p": mappings are switched off`},
		"program":   {rule: configv1.LocalizationRule{File: "f", Mapping: &configv1.Mapping{Path: "p"}}, compute: func(context.Context, string) (any, error) { return nil, lost }, want: lost, text: `localization rule 1: file "f", path "p": lost`},
		"resolver":  {rule: configv1.LocalizationRule{Resource: configv1.ResourceSelector{Name: "x"}}, err: lost, want: lost, text: `localization rule 1: resource "x": lost`},
		"reference": {rule: configv1.LocalizationRule{Resource: configv1.ResourceSelector{Name: "x"}}, reference: "a b", text: `localization rule 1: resource "x": image reference "a b"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resolve := func(context.Context, string, map[string]string) (localize.Image, error) {
				if tc.err != nil {
					return localize.Image{}, tc.err
				}
				return localize.ParseImage(tc.reference)
			}
			_, err := localize.Substitutions(t.Context(), []configv1.LocalizationRule{tc.rule}, resolve, tc.compute)
			if err == nil || !strings.Contains(err.Error(), tc.text) || tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("want an error with %q, got %v", tc.text, err)
			}
		})
	}
}
