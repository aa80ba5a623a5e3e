package cluster_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"log"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/registry/remote"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
)

const (
	namespace = "default"
	manifest  = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: delivered\n  namespace: default\ndata:\n  greeting: hello\n"
	deadline  = time.Minute

	fluxConfigType = "application/vnd.cncf.flux.config.v1+json"
	fluxLayerType  = "application/vnd.cncf.flux.content.v1.tar+gzip"
)

// TestClusterWithFlux takes a whole cluster through its life: started without Flux, given Flux, used, stopped, started
// again over its data.
func TestClusterWithFlux(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start := time.Now()
	c := clustertest.Start(t, cluster.Options{Dir: dir, ControllerManager: true})
	t.Logf("control plane up after %s", time.Since(start))
	kubernetes := newClient(t, c)
	if err := kubernetes.List(t.Context(), &sourcev1.OCIRepositoryList{}); !apimeta.IsNoMatchError(err) {
		t.Errorf("before Flux is installed: got %v, want an unknown kind", err)
	}
	if err := c.InstallFlux(t.Context()); err != nil {
		t.Fatalf("install Flux: %v", err)
	}
	t.Logf("with Flux after %s", time.Since(start))
	releases := &unstructured.UnstructuredList{}
	releases.SetGroupVersionKind(schema.GroupVersionKind{Group: "helm.toolkit.fluxcd.io", Version: "v2", Kind: "HelmReleaseList"})
	if err := newClient(t, c).List(t.Context(), releases); err != nil {
		t.Errorf("the kind of helm-controller is not served: %v", err)
	}

	deliver(t, newClient(t, c)) // a new one, as the old one does not know Flux's kinds
	namespaceIsDeleted(t, kubernetes)

	running := c.State()
	if names := processNames(running); !slices.Equal(names, []string{
		"etcd", "kube-apiserver", "kube-controller-manager", "source-controller", "kustomize-controller",
	}) || !running.Running() {
		t.Errorf("running are %v, all alive: %t", names, running.Running())
	}
	stop := time.Now()
	if err := c.Stop(t.Context()); err != nil {
		t.Fatalf("stop: %v", err)
	}
	t.Logf("stopped within %s", time.Since(stop))
	for _, p := range running.Processes {
		if p.Alive() {
			t.Errorf("%s outlives the cluster", p.Name)
		}
	}
	if _, err := cluster.ReadState(dir); !errors.Is(err, cluster.ErrNoCluster) {
		t.Errorf("after Stop: got %v, want ErrNoCluster", err)
	}

	again := clustertest.Start(t, cluster.Options{Dir: dir})
	if err := newClient(t, again).Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: "delivered"}, &corev1.ConfigMap{}); err != nil {
		t.Errorf("after a restart over the old data: %v", err)
	}
}

// deliver lets Flux apply an artifact of a registry, and waits for the object in it.
func deliver(t *testing.T, kubernetes client.Client) {
	t.Helper()
	host, pushed := publish(t)
	start := time.Now()
	create(t, kubernetes, &sourcev1.OCIRepository{
		ObjectMeta: metav1.ObjectMeta{Name: "example", Namespace: namespace},
		Spec: sourcev1.OCIRepositorySpec{
			URL: "oci://" + host + "/example", Insecure: true, Interval: metav1.Duration{Duration: time.Hour},
			Reference: &sourcev1.OCIRepositoryRef{Digest: pushed.String()},
		},
	})
	create(t, kubernetes, &kustomizev1.Kustomization{
		ObjectMeta: metav1.ObjectMeta{Name: "example", Namespace: namespace},
		Spec: kustomizev1.KustomizationSpec{
			Interval: metav1.Duration{Duration: time.Hour}, Prune: true, Path: "./",
			SourceRef: kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.OCIRepositoryKind, Name: "example"},
		},
	})
	delivered := &corev1.ConfigMap{}
	eventually(t, "Flux applies the artifact", func(ctx context.Context) bool {
		return kubernetes.Get(ctx, types.NamespacedName{Namespace: namespace, Name: "delivered"}, delivered) == nil
	})
	t.Logf("Flux applied the artifact after %s", time.Since(start))
	if delivered.Data["greeting"] != "hello" {
		t.Errorf("the object in the cluster says %q", delivered.Data)
	}
	eventually(t, "the Kustomization is ready", func(ctx context.Context) bool {
		kustomization := &kustomizev1.Kustomization{}
		err := kubernetes.Get(ctx, types.NamespacedName{Namespace: namespace, Name: "example"}, kustomization)
		return err == nil && apimeta.IsStatusConditionTrue(kustomization.Status.Conditions, meta.ReadyCondition)
	})
}

// namespaceIsDeleted sees the controller manager work: nobody else finishes a deletion.
func namespaceIsDeleted(t *testing.T, kubernetes client.Client) {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "short-lived"}}
	create(t, kubernetes, ns)
	if err := kubernetes.Delete(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the namespace is gone", func(ctx context.Context) bool {
		return apierrors.IsNotFound(kubernetes.Get(ctx, client.ObjectKeyFromObject(ns), ns))
	})
}

// publish pushes an artifact as Flux wants it into a registry of its own.
func publish(t *testing.T) (host string, pushed digest.Digest) {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(t.Output(), "", 0))))
	t.Cleanup(server.Close)
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	repository, err := remote.NewRepository(address.Host + "/example")
	if err != nil {
		t.Fatal(err)
	}
	repository.PlainHTTP = true
	config, err := oras.PushBytes(t.Context(), repository, fluxConfigType, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	layer, err := oras.PushBytes(t.Context(), repository, fluxLayerType, archive(t, "configmap.yaml", manifest))
	if err != nil {
		t.Fatal(err)
	}
	descriptor, err := oras.PackManifest(t.Context(), repository, oras.PackManifestVersion1_1, "", oras.PackManifestOptions{
		ConfigDescriptor: &config, Layers: []ocispec.Descriptor{layer},
	})
	if err != nil {
		t.Fatal(err)
	}
	return address.Host, descriptor.Digest
}

func archive(t *testing.T, name, content string) []byte {
	t.Helper()
	var out bytes.Buffer
	compressed := gzip.NewWriter(&out)
	files := tar.NewWriter(compressed)
	header := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg}
	if err := files.WriteHeader(header); err != nil {
		t.Fatal(err)
	}
	if _, err := files.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(files.Close(), compressed.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func newClient(t *testing.T, c *cluster.Cluster) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), sourcev1.AddToScheme(scheme), kustomizev1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	kubernetes, err := client.New(c.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return kubernetes
}

func create(t *testing.T, kubernetes client.Client, obj client.Object) {
	t.Helper()
	if err := kubernetes.Create(t.Context(), obj); err != nil {
		t.Fatalf("create %T: %v", obj, err)
	}
}

func eventually(t *testing.T, what string, condition func(context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	ticker := time.NewTicker(25 * time.Millisecond)
	defer ticker.Stop()
	for !condition(ctx) {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within %s", what, deadline)
		case <-ticker.C:
		}
	}
}

func processNames(s *cluster.State) []string {
	var names []string
	for _, p := range s.Processes {
		names = append(names, p.Name)
	}
	return names
}
