package external_test

import (
	"crypto/subtle"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/e2e/operator"
	"github.com/ocm-operator/ocm-operator/e2e/podinfo"
	"github.com/ocm-operator/ocm-operator/e2e/server"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

func TestMain(m *testing.M) { clustertest.Main(m, cluster.Options{}) }

const pipeline = `
apiVersion: delivery.ocm.software/v1alpha1
kind: ComponentVersion
metadata:
  name: podinfo
spec:
  interval: 10m0s
  component: phoban.io/podinfo
  version: {semver: ">=0.0.0"}
  repository: {url: "${REPOSITORY}"}
---
apiVersion: delivery.ocm.software/v1alpha1
kind: Resource
metadata:
  name: podinfo
spec:
  interval: 10m0s
  sourceRef: {name: podinfo, resourceRef: {name: manifests}}
---
apiVersion: delivery.ocm.software/v1alpha1
kind: Localization
metadata:
  name: podinfo
spec:
  interval: 10m0s
  sourceRef: {kind: Resource, name: podinfo}
  configRef: {kind: ComponentVersion, name: podinfo, resourceRef: {name: config}}
---
apiVersion: delivery.ocm.software/v1alpha1
kind: FluxDeployer
metadata:
  name: podinfo
spec:
  interval: 10m0s
  sourceRef: {kind: Localization, name: podinfo}
  kustomizationTemplate: {path: ./, prune: true, targetNamespace: "${NAMESPACE}"}
`

// front is what stands before a registry: TLS with an authority of its own, and a log-in that tells writers from readers.
type front struct {
	*httptest.Server

	target atomic.Pointer[url.URL]
	reader atomic.Pointer[string]
	// gone lets it answer with a page in place of the registry.
	gone atomic.Bool
}

func newFront(t *testing.T, address string) *front {
	t.Helper()
	f := &front{}
	f.point(address)
	f.setReader("read-1")
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(f.target.Load())
			r.Out.Host = r.In.Host
			r.SetXForwarded()
			r.Out.Header.Del("Authorization")
		},
		ErrorLog: log.New(io.Discard, "", 0),
	}
	f.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch {
		case f.gone.Load():
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, "<html>no such site</html>")
		case !f.allows(req):
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
		default:
			proxy.ServeHTTP(w, req)
		}
	}))
	f.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(f.Close)
	return f
}

func (f *front) point(address string) { f.target.Store(&url.URL{Scheme: "http", Host: address}) }

func (f *front) setReader(password string) { f.reader.Store(&password) }

func (f *front) host() string { return strings.TrimPrefix(f.URL, "https://") }

func (f *front) allows(req *http.Request) bool {
	user, password, _ := req.BasicAuth()
	want := map[string]string{"writer": "write", "reader": *f.reader.Load()}[user]
	if want == "" || subtle.ConstantTimeCompare([]byte(password), []byte(want)) == 0 {
		return false
	}
	return user == "writer" || req.Method == http.MethodGet || req.Method == http.MethodHead
}

func (f *front) authority() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw}))
}

// ask asks the registry as a writer, and returns the status of the answer.
func (f *front) ask(t *testing.T, method, path string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, f.URL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("writer", "write")
	req.Header.Set("Accept", "application/vnd.oci.image.manifest.v1+json")
	resp, err := f.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// login is the content of a Secret for a registry.
func login(t *testing.T, host, user, password string) map[string][]byte {
	t.Helper()
	config, err := json.Marshal(map[string]any{"auths": map[string]any{host: map[string]string{"username": user, "password": password}}})
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{corev1.DockerConfigJsonKey: config}
}

// write creates or changes a Secret of the operator.
func write(t *testing.T, e *e2etest.Env, name string, kind corev1.SecretType, data map[string][]byte) {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operator.Namespace, Name: name}, Type: kind, Data: data}
	err := e.Client.Create(t.Context(), secret)
	if client.IgnoreAlreadyExists(err) == nil && err != nil {
		err = e.Client.Update(t.Context(), secret)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// run starts a registry of another project.
func run(t *testing.T, r server.Registry) *server.Process {
	t.Helper()
	r.Progress = os.Stderr
	process, err := server.StartRegistry(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return process
}

func publish(t *testing.T, registry *ocmtest.Server, version string) {
	t.Helper()
	if err := podinfo.Publish(t.Context(), registry.URL, podinfo.Options{Version: version, ImageRegistry: "ghcr.io/phoban01"}, ocm.Options{}); err != nil {
		t.Fatal(err)
	}
}

func arrived(e *e2etest.Env, version string) {
	e.Wait("ConfigMap", "podinfo", e2etest.Field(version, "data", "version"))
	for _, kind := range []string{"ComponentVersion", "Resource", "Localization", "FluxDeployer", "OCIRepository", "Kustomization"} {
		e.Wait(kind, "podinfo", e2etest.Ready)
	}
}
