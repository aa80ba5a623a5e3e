package manager_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/binaries"
)

// wire is what stands between the operator and the API server. It counts the requests of the operator: all but the lists
// and watches of its informers, leases, discovery, and looks at Secrets, which have a schedule.
type wire struct {
	kubeconfig string
	proxy      *httputil.ReverseProxy

	mu     sync.Mutex
	counts map[string]int
	// listed counts lists and watches of Secrets.
	listed int
}

func newWire(t *testing.T, access *rest.Config) *wire {
	t.Helper()
	target, err := url.Parse(access.Host)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(access)
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{counts: map[string]int{}}
	w.proxy = &httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1,
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	server := httptest.NewServer(w)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	config := clientcmdapi.NewConfig()
	config.Clusters["test"] = &clientcmdapi.Cluster{Server: server.URL}
	config.Contexts["test"] = &clientcmdapi.Context{Cluster: "test"}
	config.CurrentContext = "test"
	w.kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, w.kubeconfig); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *wire) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	w.mu.Lock()
	if what, counts := classify(request); counts {
		w.counts[what]++
	}
	if request.Method == http.MethodGet && strings.HasSuffix(request.URL.Path, "/secrets") {
		w.listed++
	}
	w.mu.Unlock()
	w.proxy.ServeHTTP(response, request)
}

// classify returns method and resource of a request, as in "PATCH resources/status".
func classify(request *http.Request) (string, bool) {
	_, path, namespaced := strings.Cut(request.URL.Path, "/namespaces/")
	parts := strings.Split(path, "/") // namespace, resource, name, subresource
	if !namespaced || len(parts) < 2 || parts[1] == "leases" || (request.Method == http.MethodGet && len(parts) == 2) {
		return "", false
	}
	if parts[1] == "secrets" && request.URL.Query().Get("resourceVersion") == "0" {
		return "", false
	}
	what := request.Method + " " + parts[1]
	if len(parts) > 3 {
		what += "/" + parts[3]
	}
	return what, true
}

// take returns the counts since it was called last.
func (w *wire) take() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	counts := w.counts
	w.counts = map[string]int{}
	return counts
}

// lists returns how often Secrets were listed or watched.
func (w *wire) lists() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.listed
}

// seen returns the counts so far.
func (w *wire) seen() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.counts)
}

func sum(counts map[string]int) int {
	total := 0
	for _, n := range counts {
		total += n
	}
	return total
}

// fluxKinds are the kinds of Flux, without its controllers.
func fluxKinds(t *testing.T) []*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	cache, err := binaries.Open(binaries.Options{Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	flux, err := cache.Flux(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var definitions []*apiextensionsv1.CustomResourceDefinition
	for _, file := range flux.CRDs {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.Unmarshal(content, crd); err != nil {
			t.Fatal(err)
		}
		definitions = append(definitions, crd)
	}
	return definitions
}
