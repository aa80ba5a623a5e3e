package credentials_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/ocm/credentials"
)

const ocmConfig = `
type: credentials.config.ocm.software/v1
consumers:
- identity: {type: OCIRegistry, hostname: ghcr.io}
  credentials: [{type: Credentials, properties: {username: any, password: p}}]
- identity: {type: OCIRegistry/v1, hostname: ghcr.io, pathprefix: /acme/}
  credentials: [{type: Credentials/v1, properties: {username: acme, password: p}}]
- identity: {type: OCIRegistry, hostname: ghcr.io, pathprefix: acme/component-descriptors}
  credentials: [{type: Credentials, properties: {username: components, password: p}}]
- identity: {type: ociRegistry, hostname: reg.example, port: "5000"}
  credentials: [{type: Credentials, properties: {username: exact, password: p}}]
- identity: {type: OCIRegistry, hostname: REG.example}
  credentials: [{type: Credentials, properties: {username: any-port, password: p}}]
- identity: {type: OCIRegistry, hostname: tls.example, scheme: https}
  credentials: [{type: Credentials, properties: {identityToken: t, username: u, password: p}}]
- identity: {type: OCIRegistry, hostname: tls.example, scheme: http}
  credentials: [{type: Credentials, properties: {token: t}}]
- identities:
  - {type: OCIRegistry, hostname: one.example, port: "443"}
  - {type: OCIRegistry, hostname: "two.example:8443"}
  - {type: Github, hostname: github.com}
  credentials: [{type: Credentials, properties: {certificateAuthority: CA, certificate: C, privateKey: K}}]
- identity: {type: HelmChartRepository, hostname: charts.example, pathprefix: stable}
  credentials: [{type: Credentials, properties: {username: helm, password: p}}]
- identity: {type: RSA/v1alpha1, algorithm: RSASSA-PSS}
  credentials: [{type: Credentials, properties: {publicKeyPEM: x}}]
- identity: {type: OCIRegistry, hostname: ca.example}
  credentials: [{type: Credentials, properties: {certificateAuthority: CA}}]
repositories:
- repository:
    type: DockerConfig/v1
    dockerConfig: {auths: {docker.example: {auth: ZG9ja2VyOnA=}}}
- repository:
    type: DockerConfig
    dockerConfig: '{"auths":{"text.example":{"username":"text","password":"p"}}}'
- repository:
    type: DockerConfig
    propagateConsumerIdentity: false
    dockerConfig: {auths: {hidden.example: {auth: ZG9ja2VyOnA=}}}
`

func indent(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n  ") }

// TestFromOCMConfig reads both types, the one within the other, too.
func TestFromOCMConfig(t *testing.T) {
	t.Parallel()
	generic := "type: generic.config.ocm.software/v1\nconfigurations:\n- type: other.config.ocm.software\n  secret: x\n- " + indent(ocmConfig) + "\n"
	nested := "type: generic.config.ocm.software\nconfigurations:\n- " + indent(generic) + "\n"
	oci := func(host, path string) credentials.Consumer { return credentials.Consumer{Host: host, Path: path} }
	user := func(name string) credentials.Credential {
		return credentials.Credential{Username: name, Password: "p"}
	}
	certificate := credentials.Credential{CertificateAuthority: "CA", Certificate: "C", PrivateKey: "K"}
	for form, config := range map[string]string{"credentials": ocmConfig, "generic": generic, "nested": nested} {
		s, err := credentials.FromOCMConfig([]byte(config))
		if err != nil {
			t.Errorf("%s: %v", form, err)
			continue
		}
		for name, tc := range map[string]struct {
			consumer credentials.Consumer
			want     credentials.Credential
			none     bool
		}{
			"no path prefix matches": {consumer: oci("ghcr.io", "other/x"), want: user("any")},
			"path prefix":            {consumer: oci("ghcr.io", "acme/images/x"), want: user("acme")},
			"the path itself":        {consumer: oci("ghcr.io", "acme"), want: user("acme")},
			"longest path prefix":    {consumer: oci("ghcr.io", "acme/component-descriptors/acme.org/shop"), want: user("components")},
			"segments, not letters":  {consumer: oci("ghcr.io", "acmes/x"), want: user("any")},
			"exact port":             {consumer: oci("reg.example:5000", "x"), want: user("exact")},
			"any port":               {consumer: oci("reg.example:6000", "x"), want: user("any-port")},
			"upper case":             {consumer: oci("Reg.Example", "x"), want: user("any-port")},
			"scheme": {
				consumer: credentials.Consumer{Scheme: "https", Host: "tls.example"},
				want:     credentials.Credential{Username: "u", RefreshToken: "t"},
			},
			"other scheme": {
				consumer: credentials.Consumer{Scheme: "http", Host: "tls.example"},
				want:     credentials.Credential{AccessToken: "t"},
			},
			"given for http": {
				consumer: credentials.Consumer{Scheme: "http", Host: "tls.example", GivenPlain: true},
				want:     credentials.Credential{AccessToken: "t"},
			},
			"not given for http":    {consumer: credentials.Consumer{Scheme: "http", Host: "ghcr.io", GivenPlain: true}, none: true},
			"port of the scheme":    {consumer: oci("one.example", ""), want: certificate},
			"another port":          {consumer: oci("one.example:5000", ""), none: true},
			"port in the host name": {consumer: oci("two.example:8443", ""), want: certificate},
			"without that port":     {consumer: oci("two.example", ""), none: true},
			"another consumer type": {consumer: oci("github.com", ""), none: true},
			"charts, as a registry": {consumer: oci("charts.example", "stable"), none: true},
			"charts": {
				consumer: credentials.Consumer{Kind: credentials.HelmChartRepository, Host: "charts.example", Path: "/stable/index.yaml"},
				want:     user("helm"),
			},
			"charts elsewhere":       {consumer: credentials.Consumer{Kind: credentials.HelmChartRepository, Host: "charts.example", Path: "other"}, none: true},
			"registry, as charts":    {consumer: credentials.Consumer{Kind: credentials.HelmChartRepository, Host: "ghcr.io"}, none: true},
			"certificates only":      {consumer: oci("ca.example", ""), want: credentials.Credential{CertificateAuthority: "CA"}},
			"docker config":          {consumer: oci("docker.example", "x"), want: user("docker")},
			"docker config as text":  {consumer: oci("text.example", "x"), want: user("text")},
			"docker config, private": {consumer: oci("hidden.example", "x"), none: true},
		} {
			got, ok := s.Find(tc.consumer)
			if diff := cmp.Diff(tc.want, got); diff != "" || ok == tc.none {
				t.Errorf("%s, %s: found %v (-want +got):\n%s", form, name, ok, diff)
			}
		}
	}
}

func TestFromOCMConfigErrors(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"type":"generic.config.ocm.software","configurations":[`, 10) + strings.Repeat("]}", 10)
	consumer := func(identity, credentials string) string {
		return `{"type":"credentials.config.ocm.software","consumers":[{"identity":` + identity + `,"credentials":` + credentials + `}]}`
	}
	const host = `{"type":"OCIRegistry","hostname":"h.example"}`
	for name, tc := range map[string]struct{ config, want string }{
		"no type":             {`consumers: []`, "neither generic"},
		"other type":          {`type: other.config.ocm.software`, "neither generic"},
		"no YAML":             {"a: b\n\tsecret-word: [", "line 2"},
		"wrong shape":         {`{"type":"credentials.config.ocm.software","consumers":"secret-word"}`, "consumers"},
		"too deep":            {deep, "more than 8"},
		"too large":           {"secret-word" + strings.Repeat(" ", credentials.MaxConfigBytes), "too large"},
		"aliases":             {"x: &x " + strings.Repeat("secret-word", 10_000) + "\ny: [" + strings.Repeat("*x,", 10_000) + "]\n", "aliases make more than 1048576 bytes"},
		"no hostname":         {consumer(`{"type":"OCIRegistry"}`, `[{"type":"Credentials","properties":{"password":"secret-word"}}]`), "consumer 1: it has no hostname"},
		"URL as hostname":     {consumer(`{"type":"OCIRegistry","hostname":"https://h.example"}`, `[]`), "more than a host name"},
		"bad port":            {consumer(`{"type":"OCIRegistry","hostname":"h.example","port":"secret-word"}`, `[]`), "no port number"},
		"no credentials":      {consumer(host, `[]`), "there are none"},
		"several":             {consumer(host, `[{"type":"Credentials"},{"type":"Credentials"}]`), "several"},
		"other credentials":   {consumer(host, `[{"type":"HashiCorpVault"}]`), "use Credentials"},
		"number":              {consumer(host, `[{"type":"Credentials","properties":{"password":12345}}]`), "put it in quotes"},
		"certificate, no key": {consumer(host, `[{"type":"Credentials","properties":{"certificate":"secret-word"}}]`), "belong together"},
		"repository type":     {`{"type":"credentials.config.ocm.software","repositories":[{"repository":{"type":"NPMConfig"}}]}`, "use DockerConfig"},
		"file":                {`{"type":"credentials.config.ocm.software","repositories":[{"repository":{"type":"DockerConfig","dockerConfigFile":"/etc/x"}}]}`, "not here"},
		"docker config":       {`{"type":"credentials.config.ocm.software","repositories":[{"repository":{"type":"DockerConfig","dockerConfig":"secret-word"}}]}`, "docker config"},
		"no repository":       {`{"type":"credentials.config.ocm.software","repositories":[{}]}`, "repository 1"},
	} {
		_, err := credentials.FromOCMConfig([]byte(tc.config))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error = %v, want %q", name, err, tc.want)
		} else if strings.Contains(err.Error(), "secret-word") {
			t.Errorf("%s: %q contains the secret", name, err)
		}
	}
}

func FuzzFromOCMConfig(f *testing.F) {
	f.Add([]byte(ocmConfig))
	f.Add([]byte(`{"type":"generic.config.ocm.software","configurations":[{"type":"credentials.config.ocm.software"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := credentials.FromOCMConfig(data)
		if err != nil {
			return
		}
		if c, ok := s.Find(credentials.Consumer{Path: "x"}); ok {
			t.Errorf("a credential for no host: %s", c)
		}
	})
}
