package mutation_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/opencontainers/go-digest"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/crds"
	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/binaries"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/componentversion"
	"github.com/ocm-operator/ocm-operator/reconcilers/configuration"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/localization"
	"github.com/ocm-operator/ocm-operator/reconcilers/mutation"
	"github.com/ocm-operator/ocm-operator/reconcilers/plugin"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/reconcilers/resource"
	"github.com/ocm-operator/ocm-operator/reconcilers/secrets"
	snapshotkind "github.com/ocm-operator/ocm-operator/reconcilers/snapshot"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/registry/store"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

func TestMain(m *testing.M) { clustertest.Main(m, cluster.Options{}) }

// patience is how long the API server and the controllers may take for anything. It is far below the interval of the
// objects, so that what happens was woken.
const patience = time.Minute

// server is a real API server with the features running against it.
type server struct {
	client.Client
	t         *testing.T
	namespace string
	registry  *ocmtest.Server
	store     snapshot.Store
	// asked holds the paths that the manager has got from the server.
	asked *sync.Map
}

func newServer(t *testing.T) *server {
	t.Helper()
	to := clustertest.APIServer(t)
	scheme := reconcilertest.Scheme(t)
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	kubernetes, err := client.New(to, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	contents, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = contents.Close() })
	s := &server{Client: kubernetes, t: t, registry: ocmtest.Start(t), store: snapshot.Embedded(contents), asked: &sync.Map{}}
	s.define()
	s.start(to)
	return s
}

// define installs our kinds and those of Flux.
func (s *server) define() {
	s.t.Helper()
	definitions, err := crds.All()
	if err != nil {
		s.t.Fatal(err)
	}
	programs, err := binaries.Open(binaries.Options{Progress: s.t.Output()})
	if err != nil {
		s.t.Fatal(err)
	}
	flux, err := programs.Flux(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	for _, file := range flux.CRDs {
		content, err := os.ReadFile(file)
		if err != nil {
			s.t.Fatal(err)
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.Unmarshal(content, crd); err != nil {
			s.t.Fatal(err)
		}
		definitions = append(definitions, crd)
	}
	for _, crd := range definitions {
		if err := s.Create(s.t.Context(), crd); err != nil && !apierrors.IsAlreadyExists(err) {
			s.t.Fatal(err)
		}
	}
	for _, crd := range definitions {
		s.eventually(crd.Name+" is served", func() string {
			if err := s.Get(s.t.Context(), client.ObjectKeyFromObject(crd), crd); err != nil {
				return err.Error()
			}
			for _, condition := range crd.Status.Conditions {
				if condition.Type == apiextensionsv1.Established && condition.Status == apiextensionsv1.ConditionTrue {
					return ""
				}
			}
			return "not yet"
		})
	}
}

// start runs the features in a manager until the test ends.
func (s *server) start(to *rest.Config) {
	s.t.Helper()
	skip := true
	to = rest.CopyConfig(to)
	to.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodGet {
				s.asked.Store(r.URL.Path, true)
			}
			return next.RoundTrip(r)
		})
	})
	mgr, err := ctrl.NewManager(to, ctrl.Options{
		Scheme: s.Scheme(), Logger: logr.Discard(), Metrics: metricsserver.Options{BindAddress: "0"},
		Controller: ctrlconfig.Controller{SkipNameValidation: &skip},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	lookout := reconcilertest.Lookout(s.t, s.Client)
	if err := mgr.Add(lookout); err != nil {
		s.t.Fatal(err)
	}
	for _, feature := range s.features(lookout) {
		if err := feature.Setup(s.t.Context(), mgr); err != nil {
			s.t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("manager: %v", err)
		}
	})
}

func (s *server) features(lookout *secrets.Lookout) []plugin.Plugin {
	live := lookout.Reader(s.Client)
	repositories, err := access.New(access.Options{Live: live, Transport: http.DefaultTransport})
	if err != nil {
		s.t.Fatal(err)
	}
	options := func(mgr ctrl.Manager) lifecycle.Options {
		return lifecycle.Options{Client: mgr.GetClient(), Live: live, Recorder: &record.FakeRecorder{}}
	}
	mutations := mutation.Options{
		Lifecycle: options, Foreign: source.NewForeign, Repositories: repositories, Store: s.store, Mappings: &mappings{}, Secrets: lookout, Concurrent: 4,
	}
	return []plugin.Plugin{
		componentversion.Plugin(componentversion.Options{Lifecycle: options, Repositories: repositories, Transfers: reconcilertest.StartTransfers(s.t), Concurrent: 4}),
		resource.Plugin(resource.Options{Lifecycle: options, Repositories: repositories, Store: s.store, Concurrent: 4}),
		snapshotkind.Plugin(snapshotkind.Options{Lifecycle: options, Store: s.store, Address: "https://registry", Recheck: time.Hour, Concurrent: 4}),
		localization.Plugin(mutations),
		configuration.Plugin(mutations),
	}
}

// eventually waits until there is no objection any more.
func (s *server) eventually(what string, objection func() string) {
	s.t.Helper()
	last := ""
	err := wait.PollUntilContextTimeout(s.t.Context(), 50*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		last = objection()
		return last == "", nil
	})
	if err != nil {
		s.t.Fatalf("not within %s: %s; %s", patience, what, last)
	}
}

func (s *server) create(objects ...client.Object) {
	s.t.Helper()
	for _, obj := range objects {
		obj.SetNamespace(s.namespace)
		if err := s.Create(s.t.Context(), obj); err != nil {
			s.t.Fatal(err)
		}
	}
}

// in is the server for a test with a namespace and a component repository of its own.
func (s *server) in(t *testing.T) *server {
	t.Helper()
	own := *s
	own.t, own.namespace = t, clustertest.Namespace(t, clustertest.APIServer(t))
	return &own
}

// publish publishes a version of a component with directories.
func (s *server) publish(component, version string, directories map[string]map[string]string) {
	s.t.Helper()
	c := ocmtest.Component{Name: "acme.org/" + component, Version: version}
	for name, files := range directories {
		content := reconcilertest.Tar(s.t, files)
		if text, single := files[""]; single {
			content = []byte(text)
		}
		c.Resources = append(c.Resources, ocmtest.Resource{Name: name, Content: content})
	}
	if _, err := c.Publish(s.t.Context(), s.registry.URL+"/"+s.namespace, ocm.Options{}); err != nil {
		s.t.Fatal(err)
	}
}

// follow returns a ComponentVersion that looks for new versions every second.
func (s *server) follow(component string) *v1alpha1.ComponentVersion {
	cv := reconcilertest.ComponentVersion(component, s.registry.URL+"/"+s.namespace, "acme.org/"+component, ">=1.0.0")
	cv.Spec.Interval = metav1.Duration{Duration: time.Second}
	return cv
}

// holds wants the file of a Configuration to have a text.
func (s *server) holds(name, want string) {
	s.t.Helper()
	s.eventually(fmt.Sprintf("%s has %q", name, want), func() string {
		c := &v1alpha1.Configuration{}
		if err := s.Get(s.t.Context(), client.ObjectKey{Namespace: s.namespace, Name: name}, c); err != nil {
			return err.Error()
		}
		if c.Status.LatestManifestDigest == "" {
			return fmt.Sprintf("it says %v %s", reconcilertest.Conditions(c), reconcilertest.Message(c, "Ready"))
		}
		got := s.read(c.Status)
		if strings.Contains(got, want) {
			return ""
		}
		return fmt.Sprintf("it says %v %s and holds\n%s", reconcilertest.Conditions(c), reconcilertest.Message(c, "Ready"), got)
	})
}

func (s *server) read(status v1alpha1.MutationStatus) string {
	s.t.Helper()
	repository, err := s.store.Repository(snapshot.RepositoryName(s.namespace, status.SnapshotName))
	if err != nil {
		s.t.Fatal(err)
	}
	content, err := snapshot.Open(s.t.Context(), repository, digest.Digest(status.LatestManifestDigest))
	if err != nil {
		return err.Error()
	}
	defer content.Close()
	raw, err := io.ReadAll(content)
	if err != nil {
		return err.Error()
	}
	return reconcilertest.Untar(s.t, raw)["deploy.yaml"]
}

// offer lets a source of Flux offer files, as its controller does.
func (s *server) offer(source *unstructured.Unstructured, revision string, files map[string]string) {
	s.t.Helper()
	artifact := serveArtifact(s.t, files, "", revision)
	maps.Copy(artifact, map[string]any{"path": "site/" + revision + ".tar.gz", "lastUpdateTime": time.Now().UTC().Format(time.RFC3339)})
	s.eventually("the artifact is offered", func() string {
		if err := s.Get(s.t.Context(), client.ObjectKeyFromObject(source), source); err != nil {
			return err.Error()
		}
		source.Object["status"] = map[string]any{"artifact": artifact}
		if err := s.Status().Update(s.t.Context(), source); err != nil {
			return err.Error()
		}
		return ""
	})
}

var fluxPlurals = map[string]string{
	"GitRepository": "gitrepositories", "OCIRepository": "ocirepositories", "Bucket": "buckets", "ExternalArtifact": "externalartifacts",
}

// fluxSpecs are the least that the kinds of Flux need.
var fluxSpecs = map[string]map[string]any{
	"GitRepository":    {"url": "https://example.com/site.git", "interval": "1h"},
	"OCIRepository":    {"url": "oci://example.com/site", "interval": "1h"},
	"Bucket":           {"bucketName": "site", "endpoint": "example.com", "interval": "1h"},
	"ExternalArtifact": {},
}

// TestAgainstAPIServer changes everything that an object refers to, and wants the change to arrive at once.
func TestAgainstAPIServer(t *testing.T) {
	t.Parallel()
	all := newServer(t)
	for kind := range fluxSpecs {
		t.Run("patch over "+kind, func(t *testing.T) { t.Parallel(); all.in(t).patchesOverFlux(kind) })
		t.Run("values from "+kind, func(t *testing.T) { t.Parallel(); all.in(t).takesValuesFromFlux(kind) })
	}
	for _, kind := range []string{v1alpha1.ResourceKind, v1alpha1.LocalizationKind, v1alpha1.ConfigurationKind} {
		t.Run("patch over "+kind, func(t *testing.T) { t.Parallel(); all.in(t).patchesOverSnapshots(kind) })
	}
	t.Run("values from objects", func(t *testing.T) { t.Parallel(); all.in(t).takesValuesFromObjects() })
}

const settingsConfig = `configuration:
  defaults: {replicas: 1, site: none}
  rules:
  - {value: (( replicas )), file: deploy.yaml, path: spec.replicas}
  - {value: (( site )), file: deploy.yaml, path: metadata.labels.site}
`

// prepare creates a component with its manifests.
func (s *server) prepare() {
	s.t.Helper()
	s.publish("app", "1.0.0", map[string]map[string]string{
		"manifests": {"deploy.yaml": shippedDeployment}, "config": {"": settingsConfig},
	})
	s.create(s.follow("app"), reconcilertest.Resource("manifests", "app", "manifests"))
}

func (s *server) configure(change func(*v1alpha1.MutationSpec)) {
	s.t.Helper()
	s.create(configured(change))
}

func (s *server) flux(kind string) *unstructured.Unstructured {
	s.t.Helper()
	source := &unstructured.Unstructured{Object: map[string]any{"spec": fluxSpecs[kind]}}
	source.SetGroupVersionKind(fluxKind(kind))
	source.SetName("site")
	s.create(source)
	return source
}

func (s *server) patchesOverFlux(kind string) {
	s.prepare()
	s.configure(patched(kind, "app.yaml"))
	site := s.flux(kind)
	s.offer(site, "main@sha1:a", map[string]string{"app.yaml": siteDeployment})
	s.holds("configured", "site: north")
	s.offer(site, "main@sha1:b", map[string]string{"app.yaml": strings.Replace(siteDeployment, "north", "south", 1)})
	s.holds("configured", "site: south")
}

func (s *server) takesValuesFromFlux(kind string) {
	s.prepare()
	s.configure(fromFluxKind(kind, "values.yaml", "here"))
	site := s.flux(kind)
	for _, replicas := range []string{"replicas: 7", "replicas: 8"} {
		s.offer(site, "main@sha1:"+replicas[10:], map[string]string{"values.yaml": "here: {" + replicas + "}\n"})
		s.holds("configured", replicas)
	}
	path := "/apis/source.toolkit.fluxcd.io/v1/namespaces/" + s.namespace + "/" + fluxPlurals[kind] + "/site"
	if _, asked := s.asked.Load(path); asked {
		s.t.Errorf("the server was asked for %s, which is watched", path)
	}
}

// patchesOverSnapshots patches over what another object makes of another component.
func (s *server) patchesOverSnapshots(kind string) {
	s.prepare()
	base := func(version, site string) {
		s.publish("site", version, map[string]map[string]string{
			"base":   {"app.yaml": strings.Replace(siteDeployment, "north", site, 1)},
			"config": {"": "localization:\n- {file: app.yaml, mapping: {path: metadata.labels.by, transform: 'out: \"1\"'}}\nconfiguration: {rules: [{value: 1, file: app.yaml, path: metadata.labels.by}]}\n"},
		})
	}
	base("1.0.0", "north")
	ref := reconcilertest.FromComponent("site", "config")
	spec := v1alpha1.MutationSpec{Schedule: reconcilertest.Schedule(), SourceRef: reconcilertest.FromComponent("site", "base"), ConfigRef: &ref}
	writers := map[string]client.Object{
		v1alpha1.ResourceKind:      reconcilertest.Resource("site", "site", "base"),
		v1alpha1.LocalizationKind:  &v1alpha1.Localization{ObjectMeta: reconcilertest.Named("site"), Spec: spec},
		v1alpha1.ConfigurationKind: &v1alpha1.Configuration{ObjectMeta: reconcilertest.Named("site"), Spec: spec},
	}
	s.configure(patched(kind, "app.yaml"))
	s.create(s.follow("site"), writers[kind])
	s.holds("configured", "site: north")
	base("1.1.0", "south")
	s.holds("configured", "site: south")
}

// takesValuesFromObjects merges values of four places, a later over an earlier one, and changes each of them.
func (s *server) takesValuesFromObjects() {
	s.prepare()
	s.publish("site", "1.0.0", map[string]map[string]string{"values": {"": "replicas: 2\nsite: component\n"}})
	component := reconcilertest.FromComponent("site", "values")
	written := reconcilertest.From(v1alpha1.ResourceKind, "site")
	s.configure(sources(
		v1alpha1.ValuesSource{SourceRef: &component}, v1alpha1.ValuesSource{SourceRef: &written},
		fromConfigMap("map", "", true), v1alpha1.ValuesSource{SecretSource: &v1alpha1.SecretSource{
			SourceRef: meta.LocalObjectReference{Name: "secret"}, Key: "values", Optional: true,
		}},
	))
	s.create(s.follow("site"), reconcilertest.Resource("site", "site", "values"))
	s.holds("configured", "site: component")
	settings, password := configMap("map", "values", "site: map"), secret("secret", "values", "replicas: 3")
	s.create(settings)
	s.holds("configured", "site: map")
	s.create(password)
	s.holds("configured", "replicas: 3")
	s.change(password, func() { password.Data["values"] = []byte("site: secret") })
	s.holds("configured", "site: secret")
	s.holds("configured", "replicas: 2")
	s.change(settings, func() { settings.Data["values"] = "replicas: 4" })
	s.holds("configured", "replicas: 4")
	if err := s.Delete(s.t.Context(), password); err != nil {
		s.t.Fatal(err)
	}
	s.holds("configured", "site: component")
	s.publish("site", "1.1.0", map[string]map[string]string{"values": {"": "site: newer\n"}})
	s.holds("configured", "site: newer")
}

func (s *server) change(obj client.Object, change func()) {
	s.t.Helper()
	change()
	if err := s.Update(s.t.Context(), obj); err != nil {
		s.t.Fatal(err)
	}
}
