package e2etest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// pullTimeout bounds one request to the registry of the operator.
const pullTimeout = 30 * time.Second

// Puller reads the registry of the operator as Flux does: by the Secrets of a FluxDeployer, over TLS unless the
// OCIRepository says otherwise.
type Puller struct {
	// Host is the address of the registry, Repository and Manifest what the FluxDeployer deploys.
	Host, Repository, Manifest string
	// Username and Password are sent unless Username is empty.
	Username, Password string

	tb        testing.TB
	scheme    string
	http      *http.Client
	transport *http.Transport
}

// Puller returns a Puller of what a FluxDeployer deploys.
func (e *Env) Puller(deployer string) *Puller {
	e.tb.Helper()
	source := e.Get("OCIRepository", deployer)
	field := func(path ...string) string {
		value, _, err := unstructured.NestedString(source.Object, append([]string{"spec"}, path...)...)
		if err != nil {
			e.tb.Fatalf("spec of OCIRepository %s: %v", deployer, err)
		}
		return value
	}
	p := &Puller{tb: e.tb, Manifest: field("ref", "digest"), scheme: "https"}
	p.Host, p.Repository, _ = strings.Cut(strings.TrimPrefix(field("url"), "oci://"), "/")
	transport := &http.Transport{}
	if plain, _, err := unstructured.NestedBool(source.Object, "spec", "insecure"); err == nil && plain {
		p.scheme = "http"
	} else {
		transport.TLSClientConfig = &tls.Config{RootCAs: e.roots(field("certSecretRef", "name")), MinVersion: tls.VersionTLS12}
	}
	e.tb.Cleanup(transport.CloseIdleConnections)
	p.http, p.transport = &http.Client{Transport: transport, Timeout: pullTimeout}, transport
	p.login(e.secret(field("secretRef", "name")))
	return p
}

// Through lets the Puller connect to another address, where Host is a name that only pods know. The name is still what the
// certificate has to be for.
func (p *Puller) Through(address string) {
	p.transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
}

func (e *Env) secret(name string) *corev1.Secret {
	e.tb.Helper()
	secret := &corev1.Secret{}
	if err := e.Client.Get(e.tb.Context(), client.ObjectKey{Namespace: e.Namespace, Name: name}, secret); err != nil {
		e.tb.Fatalf("get Secret %q: %v", name, err)
	}
	return secret
}

func (e *Env) roots(secret string) *x509.CertPool {
	e.tb.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(e.secret(secret).Data["ca.crt"]) {
		e.tb.Fatalf("Secret %s has no certificates in ca.crt", secret)
	}
	return roots
}

func (p *Puller) login(secret *corev1.Secret) {
	p.tb.Helper()
	var config struct {
		Auths map[string]struct {
			Username string `json:"username"`
			Password string `json:"password"`
		} `json:"auths"`
	}
	if err := json.Unmarshal(secret.Data[corev1.DockerConfigJsonKey], &config); err != nil {
		p.tb.Fatalf("credentials in Secret %s: %v", secret.Name, err)
	}
	p.Username, p.Password = config.Auths[p.Host].Username, config.Auths[p.Host].Password
}

// Request asks the registry and returns status and body.
func (p *Puller) Request(ctx context.Context, method, path string) (int, []byte) {
	p.tb.Helper()
	request, err := http.NewRequestWithContext(ctx, method, p.scheme+"://"+p.Host+path, http.NoBody)
	if err != nil {
		p.tb.Fatal(err)
	}
	if p.Username != "" {
		request.SetBasicAuth(p.Username, p.Password)
	}
	request.Header.Set("Accept", ocispec.MediaTypeImageManifest)
	response, err := p.http.Do(request)
	if err != nil {
		p.tb.Fatalf("%s %s: %v", method, path, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.tb.Fatalf("%s %s: %v", method, path, err)
	}
	return response.StatusCode, body
}

// Pull reads something by its digest; what is "manifests" or "blobs".
func (p *Puller) Pull(what string, want digest.Digest) []byte {
	p.tb.Helper()
	status, body := p.Request(p.tb.Context(), http.MethodGet, fmt.Sprintf("/v2/%s/%s/%s", p.Repository, what, want))
	if status != http.StatusOK {
		p.tb.Fatalf("pull %s %s: status %d: %s", what, want, status, body)
	}
	if got := digest.FromBytes(body); got != want {
		p.tb.Fatalf("pull %s %s: got %s", what, want, got)
	}
	return body
}

// Snapshot returns the manifest and the content of its only layer.
func (p *Puller) Snapshot() (*ocispec.Manifest, []byte) {
	p.tb.Helper()
	manifest := &ocispec.Manifest{}
	if err := json.Unmarshal(p.Pull("manifests", digest.Digest(p.Manifest)), manifest); err != nil {
		p.tb.Fatal(err)
	}
	if len(manifest.Layers) != 1 {
		p.tb.Fatalf("the snapshot has %d layers, want one", len(manifest.Layers))
	}
	return manifest, p.Pull("blobs", manifest.Layers[0].Digest)
}

// Files returns the regular files of the snapshot.
func (p *Puller) Files() map[string]string {
	p.tb.Helper()
	_, layer := p.Snapshot()
	return Files(p.tb, layer)
}
