package naming_test

import (
	"maps"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1/naming"
)

func TestComponentDescriptorName(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		reason, component, version string
		identity                   map[string]string
		want                       string
	}{
		"plain":          {"names in existing clusters look like this", "phoban.io/podinfo", "6.3.6", nil, "phoban.io-podinfo-6.3.6-10372358058082697739"},
		"empty identity": {"no identity and an empty one are the same", "phoban.io/podinfo", "6.3.6", map[string]string{}, "phoban.io-podinfo-6.3.6-10372358058082697739"},
		"leading v":      {"the version is taken as it is written", "ocm.software/demos/podinfo", "v1.0.0", nil, "ocm.software-demos-podinfo-v1.0.0-15225012871519309609"},
		"deep":           {"every slash is replaced", "github.com/open-component-model/embedded", "v0.0.1", nil, "github.com-open-component-model-embedded-v0.0.1-221745009053680017"},
		"identity":       {"the identity of a reference is a part of the hash", "phoban.io/podinfo", "6.3.6", map[string]string{"a": "b"}, "phoban.io-podinfo-6.3.6-4762220535095972831"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := naming.ComponentDescriptorName(tt.component, tt.version, tt.identity); got != tt.want {
				t.Errorf("%s: got %s, want %s", tt.reason, got, tt.want)
			}
		})
	}
}

func TestComponentDescriptorNameIsAlwaysValid(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ reason, component, version, prefix string }{
		"build metadata":  {"a plus sign is not allowed in names", "acme.org/app", "1.0.0+build.1", "acme.org-app-1.0.0-build.1-"},
		"upper case":      {"capitals are not allowed in names", "github.com/Acme/App", "1.0.0-RC.1", "github.com-acme-app-1.0.0-rc.1-"},
		"underscore":      {"underscores are not allowed in names", "acme.org/my_app", "1.0.0", "acme.org-my-app-1.0.0-"},
		"too long":        {"names end after 253 characters", "acme.org/" + strings.Repeat("a", 300), "1.0.0", "acme.org-aaa"},
		"dots in a row":   {"a label must not be empty", "acme..org/app", "1.0.0", "acme.org-app-1.0.0-"},
		"nothing usable":  {"the hash alone is a name", "///", "+", ""},
		"other alphabets": {"only ASCII letters are allowed", "acme.org/größe", "1.0.0", "acme.org-gr--e-1.0.0-"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := naming.ComponentDescriptorName(tt.component, tt.version, nil)
			if problems := validation.IsDNS1123Subdomain(got); len(problems) > 0 {
				t.Errorf("%s: %s: %v", tt.reason, got, problems)
			}
			if !strings.HasPrefix(got, tt.prefix) {
				t.Errorf("%s: got %s, want the prefix %s", tt.reason, got, tt.prefix)
			}
		})
	}
}

func TestComponentDescriptorNameTellsSanitisedNamesApart(t *testing.T) {
	t.Parallel()
	versions := []string{"1.0.0+build.1", "1.0.0-build.1", "1.0.0_build.1", "1.0.0-BUILD.1"}
	seen := map[string]string{}
	for _, version := range versions {
		name := naming.ComponentDescriptorName("acme.org/app", version, nil)
		if other, ok := seen[name]; ok {
			t.Errorf("%s and %s share the name %s", version, other, name)
		}
		seen[name] = version
	}
}

func TestIdentityHash(t *testing.T) {
	t.Parallel()
	podinfo := map[string]string{
		"component-name":    "phoban.io-podinfo-6.3.6-10372358058082697739",
		"component-version": "6.3.6", "resource-name": "deployment", "resource-version": "6.3.6",
	}
	nested := map[string]string{"resource-reference-path": naming.ReferencePathKey([]map[string]string{{"name": "backend"}})}
	maps.Copy(nested, podinfo)
	tests := map[string]struct {
		reason   string
		identity map[string]string
		want     uint64
	}{
		"none":      {"no identity has a hash too", nil, 12161962213042174405},
		"empty":     {"an empty identity is no identity", map[string]string{}, 12161962213042174405},
		"one entry": {"a single entry", map[string]string{"a": "b"}, 3629586248519120669},
		"one name":  {"a single entry as it occurs", map[string]string{"component-name": "x"}, 17415014462736732787},
		"four entries": {"the order of the entries does not matter", map[string]string{
			"component-name": "component-name", "component-version": "v0.0.1", "resource-name": "resource-name", "resource-version": "v0.0.5",
		}, 16038726184537443379},
		"a resource":        {"the identity of a resource's snapshot", podinfo, 8208177463366180400},
		"a nested resource": {"the reference path is a part of the identity", nested, 7382052889778550263},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := naming.IdentityHash(tt.identity); got != tt.want {
				t.Errorf("%s: got %d, want %d", tt.reason, got, tt.want)
			}
		})
	}
}

func TestReferencePathKey(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		reason string
		path   []map[string]string
		want   string
	}{
		"none":    {"the component itself has no path", nil, ""},
		"one hop": {"a reference is named by its identity", []map[string]string{{"name": "backend"}}, `"name"="backend":`},
		"sorted":  {"keys are sorted", []map[string]string{{"name": "b", "arch": "arm"}}, `"arch"="arm","name"="b":`},
		"quoted":  {"quotes in values are escaped", []map[string]string{{"name": `a"b`}}, `"name"="a\"b":`},
		"two":     {"each hop ends with a colon", []map[string]string{{"name": "a"}, {"name": "b"}}, `"name"="a":"name"="b":`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := naming.ReferencePathKey(tt.path); got != tt.want {
				t.Errorf("%s: got %s, want %s", tt.reason, got, tt.want)
			}
		})
	}
}

func FuzzComponentDescriptorName(f *testing.F) {
	f.Add("phoban.io/podinfo", "6.3.6")
	f.Add("Acme..org/_", "1.0.0+build")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, component, version string) {
		name := naming.ComponentDescriptorName(component, version, nil)
		if problems := validation.IsDNS1123Subdomain(name); len(problems) > 0 {
			t.Errorf("%q of %q in version %q is no object name: %v", name, component, version, problems)
		}
	})
}
