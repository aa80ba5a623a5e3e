package oci_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

func TestParseURL(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"ghcr.io/acme":                   "https://ghcr.io/acme",
		"ghcr.io":                        "https://ghcr.io",
		"ghcr.io/":                       "https://ghcr.io",
		"https://ghcr.io/acme/":          "https://ghcr.io/acme",
		"https://ghcr.io/acme//":         "https://ghcr.io/acme",
		"oci://ghcr.io/acme/ocm":         "https://ghcr.io/acme/ocm",
		"OCI://ghcr.io/acme":             "https://ghcr.io/acme",
		"http://registry:5000/a":         "http://registry:5000/a",
		"registry:5000/a":                "https://registry:5000/a",
		"localhost:5000":                 "https://localhost:5000",
		"[::1]:5000/a":                   "https://[::1]:5000/a",
		"127.0.0.1:5000/a":               "https://127.0.0.1:5000/a",
		" ghcr.io/acme ":                 "https://ghcr.io/acme",
		"docker.io/acme":                 "https://docker.io/acme",
		"":                               "",
		"/acme":                          "",
		"https://":                       "",
		"ftp://ghcr.io/acme":             "",
		"file:///etc/passwd":             "",
		"https://bob:secret@ghcr.io/a":   "",
		"bob:secret@ghcr.io/a":           "",
		"ghcr.io/Acme":                   "",
		"ghcr.io/a/../b":                 "",
		"ghcr.io/a//b":                   "",
		"ghcr.io/a?x=1":                  "",
		"ghcr.io/a#x":                    "",
		"gh cr.io/a":                     "",
		"ghcr.io:port/a":                 "",
		"ghcr.io/acme:1.0":               "",
		"ghcr.io\r\nX-Injected: 1/acme":  "",
		"https://ghcr.io\\@evil.example": "",
	}
	for in, want := range cases {
		got, err := oci.ParseURL(in)
		if (err == nil) != (want != "") || (err == nil && got.String() != want) {
			t.Errorf("ParseURL(%q) = %q, %v, want %q", in, got, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("ParseURL(%q): %q contains the password", in, err)
		}
	}
}

func TestParseReference(t *testing.T) {
	t.Parallel()
	d := digest.FromString("x")
	cases := map[string]struct {
		want    string
		version string
	}{
		"ghcr.io/acme/web":                 {"ghcr.io/acme/web", "latest"},
		"ghcr.io/acme/web:1.0":             {"ghcr.io/acme/web:1.0", "1.0"},
		"reg:5000/web:1.0@" + d.String():   {"reg:5000/web:1.0@" + d.String(), d.String()},
		"https://reg:5000/web":             {"reg:5000/web", "latest"},
		"localhost/web:1":                  {"localhost/web:1", "1"},
		"web":                              {"docker.io/library/web", "latest"},
		"acme/web:1":                       {"docker.io/acme/web:1", "1"},
		"docker.io/web":                    {"docker.io/library/web", "latest"},
		"":                                 {},
		"ghcr.io/":                         {},
		"ghcr.io/web:":                     {},
		"ghcr.io/web@sha256:1":             {},
		"ghcr.io/web@" + d.String() + "@x": {},
		"ghcr.io/../web":                   {},
		"ghcr.io/Web":                      {},
		"ftp://ghcr.io/web":                {},
		"user@ghcr.io/web":                 {},
		"ghcr.io/web:1.0/x":                {},
		"ghcr.io/a b":                      {},
	}
	for in, tc := range cases {
		got, err := oci.ParseReference(in)
		if err != nil {
			if tc.want != "" {
				t.Errorf("ParseReference(%q) = %v", in, err)
			}
			continue
		}
		if got.String() != tc.want || got.Version() != tc.version {
			t.Errorf("ParseReference(%q) = %q with version %q, want %q with %q", in, got, got.Version(), tc.want, tc.version)
		}
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	for version, tag := range map[string]string{
		"1.0.0":                "1.0.0",
		"v1.0.0":               "v1.0.0",
		"1.0.0+build.7":        "1.0.0.build-build.7",
		"1.0.0-rc.1+x":         "1.0.0-rc.1.build-x",
		"1.0.0-a.build-b+c":    "1.0.0-a.build-b.build-c",
		"2.0.0-alpha.1+exp.5":  "2.0.0-alpha.1.build-exp.5",
		"1.0.0+20240131-sha.1": "1.0.0.build-20240131-sha.1",
	} {
		got, err := oci.TagOf(version)
		if err != nil || got != tag {
			t.Errorf("TagOf(%q) = %q, %v, want %q", version, got, err, tag)
		}
		if back := oci.VersionOf(tag); back != version {
			t.Errorf("VersionOf(%q) = %q, want %q", tag, back, version)
		}
	}
	for _, bad := range []string{"", "1.0.0/../x", "1.0.0+a+b", strings.Repeat("1", 129), "sha256:x"} {
		if tag, err := oci.TagOf(bad); err == nil {
			t.Errorf("TagOf(%q) = %q, want an error", bad, tag)
		}
	}
}

func TestLocationJoin(t *testing.T) {
	t.Parallel()
	got := []string{
		oci.Location{Host: "h"}.Join("a/b").String(),
		oci.Location{Host: "h", Path: "p", PlainHTTP: true}.Join("a").String(),
	}
	if diff := cmp.Diff([]string{"https://h/a/b", "http://h/p/a"}, got); diff != "" {
		t.Errorf("Join (-want +got):\n%s", diff)
	}
}

func FuzzParseReference(f *testing.F) {
	f.Add("ghcr.io/acme/web:1.0")
	f.Add("http://reg:5000/web@sha256:" + strings.Repeat("0", 64))
	f.Fuzz(func(t *testing.T, in string) {
		ref, err := oci.ParseReference(in)
		if err != nil {
			return
		}
		again, err := oci.ParseReference(ref.String())
		if err != nil || again.String() != ref.String() {
			t.Errorf("%q became %q, which is read as %q, %v", in, ref, again, err)
		}
	})
}
