package access_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

func secret(name string, data map[string]string) *corev1.Secret {
	out := &corev1.Secret{ObjectMeta: reconcilertest.Named(name), Data: map[string][]byte{}}
	for key, value := range data {
		out.Data[key] = []byte(value)
	}
	return out
}

// private is a registry with a certificate of an authority that nobody knows, which may want one of the client.
type private struct {
	*ocmtest.Server

	// TLS is its URL over TLS.
	TLS string
	ca  *authority
}

func newPrivate(t *testing.T, clients tls.ClientAuthType) *private {
	t.Helper()
	ca, err := newAuthority()
	if err != nil {
		t.Fatal(err)
	}
	certificate, key, err := ca.issue("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	inner := ocmtest.Start(t)
	roots := x509.NewCertPool()
	roots.AddCert(ca.certificate)
	server := httptest.NewUnstartedServer(inner)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: clients, ClientCAs: roots, MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	app := ocmtest.Component{Name: component, Version: "1.0.0", Resources: []ocmtest.Resource{{Name: "data", Content: []byte("data")}}}
	if _, err := app.Publish(t.Context(), inner.URL+"/ocm", ocm.Options{}); err != nil {
		t.Fatal(err)
	}
	return &private{Server: inner, TLS: server.URL, ca: ca}
}

// client returns the keys of a certSecretRef with a certificate that the registry knows.
func (p *private) client(t *testing.T) map[string]string {
	t.Helper()
	certificate, key, err := p.ca.issue("client")
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"ca.crt": string(p.ca.pem), "tls.crt": string(certificate), "tls.key": string(key)}
}

func provider(t *testing.T, o access.Options) *access.Provider {
	t.Helper()
	p, err := access.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func secured(url, certs string) *v1alpha1.ComponentVersion {
	cv := follow(url, "", "")
	if certs != "" {
		cv.Spec.Repository.CertSecretRef = &meta.LocalObjectReference{Name: certs}
	}
	return cv
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	public, closed := newPrivate(t, tls.NoClientCert), newPrivate(t, tls.RequireAndVerifyClientCert)
	w := reconcilertest.New(t,
		secret("open", map[string]string{"ca.crt": string(public.ca.pem)}), secret("closed", map[string]string{"ca.crt": string(closed.ca.pem)}),
		secret("client", closed.client(t)))
	p := provider(t, access.Options{Live: w.Client})
	for name, tc := range map[string]struct {
		url, secret string
		works       bool
	}{
		"unknown authority":         {public.TLS, "", false},
		"known authority":           {public.TLS, "open", true},
		"other authority":           {public.TLS, "closed", false},
		"no certificate of client":  {closed.TLS, "closed", false},
		"certificate of the client": {closed.TLS, "client", true},
	} {
		_, err := open(t, p, secured(tc.url+"/ocm", tc.secret)).Get(t.Context(), component, "1.0.0")
		if (err == nil) != tc.works {
			t.Errorf("%s: Get = %v, want that it works: %t", name, err, tc.works)
		}
	}
}

// TestCertificatesStayAtHome lets a component lead to another registry, which asks everybody for a certificate.
func TestCertificatesStayAtHome(t *testing.T) {
	t.Parallel()
	home, away := newPrivate(t, tls.RequestClientCert), ocmtest.Start(t)
	var seen []*x509.Certificate
	curious := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		seen = append(seen, req.TLS.PeerCertificates...)
		away.ServeHTTP(w, req)
	}))
	certificate, key, err := home.ca.issue("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	curious.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	curious.StartTLS()
	t.Cleanup(curious.Close)
	artifact := ocmtest.Artifact{Layers: []ocmtest.Layer{{MediaType: "text/plain", Content: []byte("x")}}}
	if _, err := artifact.Publish(t.Context(), away.URL+"/x/y:1", ocm.Options{}); err != nil {
		t.Fatal(err)
	}
	image := strings.TrimPrefix(curious.URL, "https://") + "/x/y:1"
	app := ocmtest.Component{Name: component, Version: "2.0.0", Resources: []ocmtest.Resource{{Name: "away", Image: image}}}
	if _, err := app.Publish(t.Context(), home.URL+"/ocm", ocm.Options{}); err != nil {
		t.Fatal(err)
	}
	w := reconcilertest.New(t, secret("client", home.client(t)))
	p := provider(t, access.Options{Live: w.Client, AllowedHosts: []string{"127.0.0.1"}})
	version, err := open(t, p, secured(home.TLS+"/ocm", "client")).Get(t.Context(), component, "2.0.0")
	if err != nil {
		t.Fatal(err)
	}
	blob, err := version.Open(t.Context(), &version.Descriptor().Component.Resources[0], ocm.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := blob.Close(); err != nil {
		t.Error(err)
	}
	if len(seen) > 0 {
		t.Errorf("the other registry got the certificate of %s", seen[0].Subject)
	}
}

// TestChangedConnectionTakesEffect changes the Secrets that say how to connect.
func TestChangedConnectionTakesEffect(t *testing.T) {
	t.Parallel()
	registry := newPrivate(t, tls.NoClientCert)
	other, err := newAuthority()
	if err != nil {
		t.Fatal(err)
	}
	certs, proxied := secret("certs", map[string]string{"ca.crt": string(other.pem)}), secret("proxy", map[string]string{"address": "http://127.0.0.1:1"})
	w := reconcilertest.New(t, certs, proxied)
	p := provider(t, access.Options{Live: w.Client})
	get := func() error {
		cv := secured(registry.TLS+"/ocm", "certs")
		cv.Spec.Repository.ProxySecretRef = &meta.LocalObjectReference{Name: "proxy"}
		_, err := open(t, p, cv).Get(t.Context(), component, "1.0.0")
		return err
	}
	if err := get(); !errors.Is(err, ocm.ErrUnreachable) {
		t.Fatalf("Get = %v, want that there is no such proxy", err)
	}
	tunnel := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { dial(t, w, req) }))
	t.Cleanup(tunnel.Close)
	w.Change(proxied, func() { proxied.Data["address"] = []byte(tunnel.URL) })
	if err := get(); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Fatalf("Get = %v, want that the certificate is not accepted", err)
	}
	w.Change(certs, func() { certs.Data["ca.crt"] = registry.ca.pem })
	if err := get(); err != nil {
		t.Errorf("after both Secrets were corrected: %v", err)
	}
}

// dial is a proxy that connects to anything.
func dial(t *testing.T, w http.ResponseWriter, req *http.Request) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(req.Context(), "tcp", req.Host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		return
	}
	client, _, err := hijacker.Hijack()
	if err != nil {
		return
	}
	fmt.Fprint(client, "HTTP/1.1 200 OK\r\n\r\n")
	go func() {
		_, _ = io.Copy(conn, client)
		_ = conn.Close()
	}()
	go func() {
		_, _ = io.Copy(client, conn)
		_ = client.Close()
	}()
}

func TestProxyWithLogin(t *testing.T) {
	t.Parallel()
	n := newInternet(t, map[string]http.Handler{"registry.example.com": registryOf(t, "user", func(password string) bool { return password == "word" })})
	n.Login = "Basic cHJveHk6c2VjcmV0LXdvcmQ="
	w := reconcilertest.New(t, basic("login", "user", "word"),
		secret("none", map[string]string{"address": n.Address}),
		secret("proxy", map[string]string{"address": n.Address, "username": "proxy", "password": "secret-word"}))
	for name, works := range map[string]bool{"none": false, "proxy": true} {
		cv := follow("registry.example.com/ocm", "login", "")
		cv.Spec.Repository.ProxySecretRef = &meta.LocalObjectReference{Name: name}
		_, err := open(t, w.Repositories, cv).Get(t.Context(), component, "1.0.0")
		if (err == nil) != works || err != nil && !strings.Contains(err.Error(), "Proxy Authentication Required") {
			t.Errorf("with Secret %s: Get = %v, want that it works: %t", name, err, works)
		}
	}
}

func TestUnusableConnections(t *testing.T) {
	t.Parallel()
	ca, err := newAuthority()
	if err != nil {
		t.Fatal(err)
	}
	certificate, key, err := ca.issue("client")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		certs, proxy map[string]string
		want         string
	}{
		"empty certs":     {map[string]string{"caFile": "x"}, nil, `has neither the key "ca.crt" nor the keys "tls.crt" and "tls.key"; it has: [caFile]`},
		"half":            {map[string]string{"ca.crt": string(ca.pem), "tls.crt": string(certificate)}, nil, "belong together"},
		"no authority":    {map[string]string{"ca.crt": "secret-word"}, nil, "can't be used for TLS"},
		"no certificate":  {map[string]string{"tls.crt": "secret-word", "tls.key": string(key)}, nil, "can't be used for TLS"},
		"swapped":         {map[string]string{"tls.crt": string(key), "tls.key": string(certificate)}, nil, "can't be used for TLS"},
		"no address":      {nil, map[string]string{"username": "user"}, `has no key "address"`},
		"no URL":          {nil, map[string]string{"address": "secret-word@proxy:3128"}, "is no URL"},
		"no host":         {nil, map[string]string{"address": "proxy"}, "is no URL"},
		"other scheme":    {nil, map[string]string{"address": "ftp://user:secret-word@proxy:3128"}, `has the scheme "ftp", want http, https or socks5`},
		"broken URL":      {nil, map[string]string{"address": "http://user:secret-word@[::1"}, "is no URL"},
		"missing certs":   {map[string]string{}, nil, "does not exist: create it, or change spec.repository.certSecretRef"},
		"missing address": {nil, map[string]string{}, "does not exist: create it, or change spec.repository.proxySecretRef"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, cv := reconcilertest.New(t), follow("registry.example.com", "", "")
			for data, ref := range map[*map[string]string]**meta.LocalObjectReference{&tc.certs: &cv.Spec.Repository.CertSecretRef, &tc.proxy: &cv.Spec.Repository.ProxySecretRef} {
				if *data != nil {
					*ref = &meta.LocalObjectReference{Name: "given"}
				}
				if len(*data) > 0 {
					w.Create(secret("given", *data))
				}
			}
			_, err := w.Repositories.Source(t.Context(), cv)
			var unusable *access.UnusableError
			if !errors.As(err, &unusable) || unusable.Name != "given" || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "secret-word") {
				t.Errorf("error is %v, want %q of Secret given, and no value", err, tc.want)
			}
		})
	}
}

// TestOCMConfigurations are Secrets with configurations of the Open Component Model.
func TestOCMConfigurations(t *testing.T) {
	t.Parallel()
	server := login(t)
	host, port, _ := strings.Cut(server.Host, ":")
	consumers := fmt.Sprintf("type: credentials.config.ocm.software/v1\nconsumers:\n- identity: {type: OCIRegistry, scheme: http, hostname: %s, port: %q}\n"+
		"  credentials: [{type: Credentials, properties: {username: user, password: word}}]\n", host, port)
	generic := "type: generic.config.ocm.software/v1\nconfigurations:\n- " + strings.ReplaceAll(strings.TrimSpace(consumers), "\n", "\n  ") + "\n"
	docker := dockerConfig("both", server.Host, "user", "word")
	docker.Data[".ocmcredentialconfig"] = []byte("broken: [")
	w := reconcilertest.New(t,
		secret("consumers", map[string]string{".ocmcredentialconfig": consumers, "username": "other", "password": "wrong"}),
		secret("generic", map[string]string{".ocmcredentialconfig": generic}),
		secret("broken", map[string]string{".ocmcredentialconfig": "type: generic.config.ocm.software/v1\nsecret-word: ["}),
		secret("unknown", map[string]string{".ocmcredentialconfig": "type: secret-word.example"}),
		docker, account("puller", "generic"), account("broken-puller", "broken"))
	for name, tc := range map[string]struct{ secret, account, want string }{
		"consumers":          {"consumers", "", ""},
		"generic":            {"generic", "", ""},
		"docker wins":        {"both", "", ""},
		"pull secret":        {"", "puller", ""},
		"broken":             {"broken", "", `Secret default/broken has a key ".ocmcredentialconfig" that can't be used: OCM config`},
		"other type":         {"unknown", "", "is neither generic.config.ocm.software nor"},
		"broken pull secret": {"", "broken-puller", "Secret default/broken"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repository, err := w.Repositories.Source(t.Context(), follow(server.URL+"/ocm", tc.secret, tc.account))
			if err == nil {
				_, err = repository.Resolve(t.Context(), component, "1.0.0")
			}
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("error is %v, want %q", err, tc.want)
			}
			if outcome, _ := reconcilertest.Judge(t, access.Verdict("Reason", err)); tc.want != "" && outcome != reconcilertest.Stalls {
				t.Errorf("it %s, want a stall: only the user can change the Secret", outcome)
			}
		})
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	for name, tc := range map[string]struct {
		o    access.Options
		want string
	}{
		"unknown method": {access.Options{AccessMethods: []string{"helm", "s3"}}, `--enable-access-methods: "s3" is not known, known are helm, wget`},
		"broken pattern": {access.Options{AllowedHosts: []string{"https://ghcr.io"}}, `--allowed-hosts: "https://ghcr.io"`},
	} {
		tc.o.Live = w.Client
		if _, err := access.New(tc.o); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: New = %v, want %q", name, err, tc.want)
		}
	}
}

// TestWhereComponentsMayLead reads resources that are at other hosts, with the flags that are about it.
func TestWhereComponentsMayLead(t *testing.T) {
	t.Parallel()
	server := ocmtest.Start(t)
	files := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "x") }))
	t.Cleanup(files.Close)
	wget, err := descriptor.NewAccess(map[string]string{"type": "wget", "url": files.URL})
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := descriptor.NewAccess(map[string]string{"type": "s3/v1", "bucket": "b", "key": "k"})
	if err != nil {
		t.Fatal(err)
	}
	app := ocmtest.Component{Name: component, Version: "1.0.0", Resources: []ocmtest.Resource{{Name: "file", Access: &wget}, {Name: "bucket", Access: &bucket}}}
	if _, err := app.Publish(t.Context(), server.URL+"/ocm", ocm.Options{}); err != nil {
		t.Fatal(err)
	}
	w := reconcilertest.New(t)
	for name, tc := range map[string]struct {
		o    access.Options
		want string
	}{
		"not enabled":      {access.Options{}, "--enable-access-methods=wget"},
		"this machine":     {access.Options{AccessMethods: []string{"wget"}}, "--allowed-hosts"},
		"host not allowed": {access.Options{AccessMethods: []string{"wget"}, AllowedHosts: []string{"ghcr.io"}}, "--allowed-hosts"},
		"host allowed":     {access.Options{AccessMethods: []string{"wget"}, AllowedHosts: []string{"127.0.0.1"}}, ""},
	} {
		tc.o.Live = w.Client
		version, err := open(t, provider(t, tc.o), follow(server.URL+"/ocm", "", "")).Get(t.Context(), component, "1.0.0")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		blob, err := version.Open(t.Context(), &version.Descriptor().Component.Resources[0], ocm.ReadOptions{})
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: Open = %v, want %q", name, err, tc.want)
		}
		if err == nil {
			if err := blob.Close(); err != nil {
				t.Error(err)
			}
		} else if outcome, _ := reconcilertest.Judge(t, access.Verdict("Reason", err)); outcome != reconcilertest.Fails {
			t.Errorf("%s: it %s, want a verdict: it stays so until a flag or the component changes", name, outcome)
		}
		if _, err := version.Open(t.Context(), &version.Descriptor().Component.Resources[1], ocm.ReadOptions{}); !errors.Is(err, ocm.ErrUnsupported) {
			t.Errorf("%s: Open of a bucket = %v, want ErrUnsupported", name, err)
		}
	}
}

func TestEffectiveUsesTheDestination(t *testing.T) {
	t.Parallel()
	server := login(t)
	w := reconcilertest.New(t, basic("wrong", "user", "guess"), basic("right", "user", "word"))
	cv := follow("registry.example.com/old", "wrong", "")
	cv.Spec.Destination = &v1alpha1.Repository{URL: server.URL + "/ocm", SecretRef: &meta.LocalObjectReference{Name: "right"}}
	cv.Status.ReplicatedRepositoryURL = cv.Spec.Destination.URL
	repository, err := w.Repositories.Effective(t.Context(), cv)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repository.Resolve(t.Context(), component, "1.0.0"); err != nil {
		t.Errorf("Resolve = %v, want that the destination is read with its own Secret", err)
	}
}

func TestNameMapping(t *testing.T) {
	t.Parallel()
	w, server := reconcilertest.New(t), ocmtest.Start(t)
	publish(t, w, server)
	for mapping, found := range map[string]bool{"": true, "urlPath": true, "sha256-digest": false} {
		cv := follow(server.URL+"/ocm", "", "")
		cv.Spec.Repository.ComponentNameMapping = mapping
		if _, err := open(t, w.Repositories, cv).Resolve(t.Context(), component, "1.0.0"); (err == nil) != found {
			t.Errorf("with mapping %q: %v, want found %t", mapping, err, found)
		}
	}
}
