package adopt_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
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

const (
	version       = "6.3.6"
	imageRegistry = "ghcr.io/phoban01"
	// newNamespace is where the operator is installed, and oldNamespace where the controllers before it are.
	newNamespace, oldNamespace = "ocm-operator-system", "ocm-system"
)

// definition is the kind of definitions of kinds.
var definition = apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition")

// world is a cluster in which the old controllers have done their work and still seem to run.
type world struct {
	*e2etest.Env

	t    *testing.T
	root string
	// registry is the old one, with TLS.
	registry *httptest.Server
	// program waits for the program of the operator, which is built while the script does its first steps.
	program func() (string, error)
}

// newWorld starts a cluster with Flux, and leaves there what the old controllers leave.
func newWorld(t *testing.T) *world {
	t.Helper()
	program := build(t)
	c := clustertest.Start(t, cluster.Options{ControllerManager: true, Flux: true})
	root, err := operator.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), appsv1.AddToScheme(scheme), apiextensionsv1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	kubernetes, err := client.NewWithWatch(c.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	env := &e2etest.Env{Cluster: c, Client: kubernetes, Namespace: clustertest.Namespace(t, c.Config())}
	w := &world{Env: env, t: t, root: root, program: program}
	w.Env = env.ForTest(t).In(t, env.Namespace)
	w.define()
	w.serve()
	w.deliver()
	return w
}

// define defines the old kinds, as Helm does it for the folder crds of a chart.
func (w *world) define() {
	w.t.Helper()
	if err := w.Client.Create(w.t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: oldNamespace}}); err != nil {
		w.t.Fatal(err)
	}
	for _, file := range []string{"definitions.yaml", "controllers.yaml"} {
		for _, obj := range w.documents(file) {
			if err := w.Client.Create(w.t.Context(), obj, client.FieldOwner("helm")); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	w.Kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
}

// serve starts the old registry, with the content of the two old Snapshots, and the registry of components.
func (w *world) serve() {
	w.t.Helper()
	plain, err := server.StartRegistry(w.t.Context(), server.Registry{Kind: server.ContainerRegistryMemory, Progress: w.t.Output()})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = plain.Kill() })
	w.registry = httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: plain.Address()}))
	w.t.Cleanup(w.registry.Close)

	o := podinfo.Options{Version: version, ImageRegistry: imageRegistry}
	components, err := podinfo.Components(o)
	if err != nil {
		w.t.Fatal(err)
	}
	manifests := components[1].Resources[0].Content
	source := ocmtest.Start(w.t)
	if err := podinfo.Publish(w.t.Context(), source.URL+"/phoban01", o, ocm.Options{}); err != nil {
		w.t.Fatal(err)
	}
	values := []string{
		"${REPOSITORY}", source.URL + "/phoban01", "${REGISTRY}", w.registry.Listener.Addr().String(),
		"${CA}", base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.registry.Certificate().Raw})),
	}
	for name, content := range map[string][]byte{"MANIFESTS": manifests, "LOCALIZED": localized(w.t, manifests, o.Image())} {
		layer := packed(w.t, content)
		repository := map[string]string{"MANIFESTS": "sha-1001", "LOCALIZED": "sha-1002"}[name]
		artifact := ocmtest.Artifact{Layers: []ocmtest.Layer{{MediaType: "application/vnd.oci.image.layer.v1.tar+gzip", Content: layer}}}
		if _, err := artifact.Publish(w.t.Context(), "http://"+plain.Address()+"/"+repository+":latest", ocm.Options{}); err != nil {
			w.t.Fatal(err)
		}
		values = append(values, "${DIGEST_OF_"+name+"}", digest.FromBytes(layer).String())
	}
	for _, obj := range w.documents("objects.yaml", values...) {
		w.leave(obj)
	}
}

// leave creates an object as the old controllers have left it: with their owner, by their name, with their status.
func (w *world) leave(obj *unstructured.Unstructured) {
	w.t.Helper()
	if kind, name, ok := strings.Cut(obj.GetAnnotations()["owner"], "/"); ok {
		owner := w.Get(kind, name)
		obj.SetAnnotations(nil)
		obj.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: owner.GetAPIVersion(), Kind: kind, Name: name, UID: owner.GetUID()}})
	}
	obj.SetNamespace(w.Namespace)
	status := obj.Object["status"]
	if err := w.Client.Create(w.t.Context(), obj, client.FieldOwner("manager")); err != nil {
		w.t.Fatal(err)
	}
	if status == nil {
		return
	}
	obj.Object["status"] = status
	if err := w.Client.Status().Update(w.t.Context(), obj, client.FieldOwner("manager")); err != nil {
		w.t.Fatal(err)
	}
}

// deliver waits until Flux has applied what is in the old registry.
func (w *world) deliver() {
	w.t.Helper()
	w.Wait("OCIRepository", "podinfo", e2etest.Ready)
	w.Wait("Kustomization", "podinfo", e2etest.Ready)
	w.Wait("OCIRepository", "held", e2etest.Ready)
	// What a person suspends is that person's field.
	suspended := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"suspend": true}}}
	suspended.SetGroupVersionKind(e2etest.GVK("Kustomization"))
	suspended.SetNamespace(w.Namespace)
	suspended.SetName("held")
	if err := w.Client.Apply(w.t.Context(), client.ApplyConfigurationFromUnstructured(suspended), client.FieldOwner("flux")); err != nil {
		w.t.Fatal(err)
	}
	w.Wait("Deployment", "podinfo")
}

// documents returns the objects of a file of the test data, with placeholders replaced.
func (w *world) documents(file string, placeholders ...string) []*unstructured.Unstructured {
	w.t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		w.t.Fatal(err)
	}
	text := strings.NewReplacer(append(placeholders, "${NAMESPACE}", w.Namespace)...).Replace(string(raw))
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	var all []*unstructured.Unstructured
	for {
		obj := &unstructured.Unstructured{}
		err := decoder.Decode(obj)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			w.t.Fatalf("%s: %v", file, err)
		}
		if len(obj.Object) > 0 {
			all = append(all, obj)
		}
	}
}

// adopt runs the script and returns what it has printed, and whether it has succeeded.
func (w *world) adopt(args ...string) (string, error) {
	w.t.Helper()
	return w.run(filepath.Join(w.root, "hack", "adopt.sh"), append([]string{"--timeout=90"}, args...)...)
}

// mustAdopt runs the script and fails the test when it fails.
func (w *world) mustAdopt(args ...string) string {
	w.t.Helper()
	out, err := w.adopt(args...)
	if err != nil {
		w.t.Fatalf("adopt.sh %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	w.t.Logf("adopt.sh %s:\n%s", strings.Join(args, " "), out)
	return out
}

func (w *world) run(program string, args ...string) (string, error) {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), program, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+w.Cluster.Kubeconfig(), "HOME="+w.Cluster.Dir(),
		"PATH="+filepath.Dir(w.Cluster.State().Kubectl)+string(os.PathListSeparator)+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// build begins to build the operator of this clone, and returns what waits for it.
func build(t *testing.T) func() (string, error) {
	t.Helper()
	dir, built, err := t.TempDir(), "", error(nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		built, err = operator.Build(t.Context(), dir)
	}()
	wait := func() (string, error) {
		<-done
		return built, err
	}
	t.Cleanup(func() { _, _ = wait() })
	return wait
}

// startOperator runs the operator of this clone as a process, in the place of the pod that no node would run.
func (w *world) startOperator() {
	w.t.Helper()
	dir := filepath.Join(w.Cluster.Dir(), "operator")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		w.t.Fatal(err)
	}
	binary, err := w.program()
	if err != nil {
		w.t.Fatal(err)
	}
	w.Operator, err = operator.Start(w.t.Context(), operator.Options{
		Binary: binary, Dir: dir, Kubeconfig: w.Cluster.Kubeconfig(), Args: []string{"--runtime-namespace=" + newNamespace},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := w.Operator.Stop(context.WithoutCancel(w.t.Context())); err != nil {
			w.t.Error(err)
		}
	})
}

// localized returns a folder with an image in place of the placeholder.
func localized(t *testing.T, folder []byte, image string) []byte {
	t.Helper()
	var out bytes.Buffer
	reader, writer := tar.NewReader(bytes.NewReader(folder)), tar.NewWriter(&out)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		content = bytes.ReplaceAll(content, []byte("image: placeholder"), []byte("image: "+image))
		header.Size = int64(len(content))
		if err := writer.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := writer.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// packed compresses what the old registry has compressed.
func packed(t *testing.T, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
