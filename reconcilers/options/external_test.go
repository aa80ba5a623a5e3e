package options_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/reconcilers/options"
)

func TestExternalRegistry(t *testing.T) {
	for name, tc := range map[string]struct {
		args       []string
		host, path string
	}{
		"none":           {nil, "", ""},
		"host":           {[]string{"--snapshot-registry=oci://registry.example.com"}, "registry.example.com", ""},
		"host with path": {[]string{"--snapshot-registry=oci://registry.example.com:5000/snapshots/cluster-a/"}, "registry.example.com:5000", "snapshots/cluster-a"},
		"IPv6":           {[]string{"--snapshot-registry=oci://[::1]:5000/a"}, "[::1]:5000", "a"},
		"cloud":          {[]string{"--snapshot-registry=oci://123456789012.dkr.ecr.eu-west-1.amazonaws.com/a", "--snapshot-registry-provider=aws"}, "123456789012.dkr.ecr.eu-west-1.amazonaws.com", "a"},
	} {
		t.Run(name, func(t *testing.T) {
			o, _, err := parse(t, tc.args...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{tc.host, tc.path}, []string{o.External.Host, o.External.Path}); diff != "" || o.External.Used() != (tc.host != "") {
				t.Errorf("host and path (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExternalRegistryIsRefused(t *testing.T) {
	const registry = "--snapshot-registry=oci://registry.example.com/a"
	for name, tc := range map[string]struct {
		args   []string
		want   string
		reason string
	}{
		"no scheme":      {[]string{"--snapshot-registry=registry.example.com/a"}, "must begin with oci://", "the scheme says what it is"},
		"other scheme":   {[]string{"--snapshot-registry=https://registry.example.com/a"}, "must begin with oci://", "TLS has a flag of its own"},
		"password":       {[]string{"--snapshot-registry=oci://user:word@registry.example.com/a"}, "--snapshot-registry-secret", "everybody reads a command line"},
		"no host":        {[]string{"--snapshot-registry=oci:///a"}, "no host", "there is none to ask"},
		"upper case":     {[]string{"--snapshot-registry=oci://registry.example.com/Team"}, "lower-case", "no registry takes it"},
		"tag":            {[]string{"--snapshot-registry=oci://registry.example.com/a:v1"}, "lower-case", "a path is no reference"},
		"too long":       {[]string{"--snapshot-registry=oci://registry.example.com/" + strings.Repeat("a", 60)}, "too long", "Flux refuses the whole name"},
		"writer":         {[]string{registry, "--registry-writer-secret=a"}, "--registry-writer-secret: for the embedded registry only", "nobody would make it"},
		"embedded":       {[]string{registry, "--registry-max-size=9", "--registry-dir=/a", "--registry-grace=1s"}, "--registry-max-size, --registry-grace: for the embedded", "there is none"},
		"artifacts":      {[]string{registry, "--external-artifacts"}, "--external-artifacts needs the embedded registry", "nobody would serve them"},
		"provider":       {[]string{registry, "--snapshot-registry-provider=ibm"}, "want generic, aws, azure or gcp", "the message lists them"},
		"plain cloud":    {[]string{registry, "--snapshot-registry-provider=aws", "--snapshot-registry-plain-http"}, "token of provider aws", "tokens need TLS"},
		"plain with CA":  {[]string{registry, "--snapshot-registry-cert-secret=a", "--snapshot-registry-plain-http"}, "of no use", "one of them is a mistake"},
		"secret alone":   {[]string{"--snapshot-registry-secret=a"}, "--snapshot-registry is not set", "it would be ignored"},
		"provider alone": {[]string{"--snapshot-registry-provider=aws"}, "--snapshot-registry is not set", "it would be ignored"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := parse(t, tc.args...)
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "word") {
				t.Errorf("got %v, want %q: %s", err, tc.want, tc.reason)
			}
		})
	}
}

// TestExternalIsBounded: the disk of the operator is its own, wherever snapshots are kept.
func TestExternalIsBounded(t *testing.T) {
	o, _, err := parse(t, "--snapshot-registry=oci://registry.example.com", "--registry-dir=/a", "--registry-max-blob-size=1", "--registry-max-staged-size=2")
	if err != nil {
		t.Fatal(err)
	}
	if r := o.Registry; r.Dir != "/a" || r.MaxBlobBytes != 1 || r.MaxStagedBytes != 2 {
		t.Errorf("got folder %s with blobs of %d and %d bytes on their way", r.Dir, r.MaxBlobBytes, r.MaxStagedBytes)
	}
}

func TestExternalIsNotUsedByDefault(t *testing.T) {
	o, _, err := parse(t)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(options.External{Provider: "generic"}, o.External); diff != "" {
		t.Errorf("external (-want +got):\n%s", diff)
	}
}
