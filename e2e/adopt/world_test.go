package adopt_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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
	// meanwhilePause is how long those wait who do what nobody does here.
	meanwhilePause = 100 * time.Millisecond
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
	w := open(t, cluster.Options{ControllerManager: true, Flux: true})
	w.program = program
	w.define()
	w.serve()
	w.meanwhile(w.release)
	w.deliver()
	return w
}

// open starts a cluster that is empty as yet.
func open(t *testing.T, options cluster.Options) *world {
	t.Helper()
	c := clustertest.Start(t, options)
	root, err := operator.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	noLog := func(context.Context) (string, error) { return "", nil } // until there is an operator
	return &world{Env: e2etest.Installed(t, c, clustertest.Namespace(t, c.Config()), noLog), t: t, root: root}
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

// serve starts the old registry, with the content of the old Snapshots, and the registry of components.
func (w *world) serve() {
	w.t.Helper()
	plain, err := server.StartRegistry(w.t.Context(), server.Registry{Kind: server.ContainerRegistryMemory, Progress: w.t.Output()})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = plain.Kill() })
	w.registry = httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: plain.Address()}))
	w.t.Cleanup(w.registry.Close)

	repository, contents := w.publish()
	values := []string{
		"${REPOSITORY}", repository, "${REGISTRY}", w.registry.Listener.Addr().String(),
		"${CA}", base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.registry.Certificate().Raw})),
	}
	for name, content := range contents {
		manifest, err := content.artifact.Publish(w.t.Context(), "http://"+plain.Address()+"/"+content.at, ocm.Options{})
		if err != nil {
			w.t.Fatal(err)
		}
		values = append(values, "${DIGEST_OF_"+name+"}", digest.FromBytes(content.artifact.Layers[0].Content).String(), "${MANIFEST_OF_"+name+"}", manifest.String())
	}
	for _, obj := range w.documents("objects.yaml", values...) {
		w.leave(obj)
	}
}

// content is what the old registry has of a Snapshot: where, and what.
type content struct {
	at       string
	artifact ocmtest.Artifact
}

// publish publishes the component with a chart beside its manifests, and returns where, and what the old controllers made of it.
func (w *world) publish() (repository string, contents map[string]content) {
	w.t.Helper()
	o := podinfo.Options{Version: version, ImageRegistry: imageRegistry}
	components, err := podinfo.Components(o)
	if err != nil {
		w.t.Fatal(err)
	}
	manifests, chart := components[1].Resources[0].Content, helmChart(w.t)
	components[1].Resources = append(components[1].Resources, ocmtest.Resource{Name: "chart", Type: "helmChart", MediaType: chart.Layers[0].MediaType, Content: chart.Layers[0].Content})
	repository = ocmtest.Start(w.t).URL + "/phoban01"
	for _, component := range components {
		if _, err := component.Publish(w.t.Context(), repository, ocm.Options{}); err != nil {
			w.t.Fatal(err)
		}
	}
	layer := func(content []byte) ocmtest.Artifact {
		return ocmtest.Artifact{Layers: []ocmtest.Layer{{MediaType: "application/vnd.oci.image.layer.v1.tar+gzip", Content: packed(w.t, content)}}}
	}
	return repository, map[string]content{
		"MANIFESTS": {"sha-1001:latest", layer(manifests)},
		"LOCALIZED": {"sha-1002:latest", layer(localized(w.t, manifests, o.Image()))},
		"CHART":     {"sha-1003:" + version, chart},
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

// deliver waits until Flux has applied what is in the old registry, and everybody has seen what there is.
func (w *world) deliver() {
	w.t.Helper()
	w.flows()
	w.Wait("OCIRepository", "held", e2etest.Ready)
	// What a person suspends is that person's field.
	suspended := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"suspend": true}}}
	suspended.SetGroupVersionKind(e2etest.GVK("Kustomization"))
	suspended.SetNamespace(w.Namespace)
	suspended.SetName("held")
	if err := w.Client.Apply(w.t.Context(), client.ApplyConfigurationFromUnstructured(suspended), client.FieldOwner("flux")); err != nil {
		w.t.Fatal(err)
	}
	w.Wait("Kustomization", "held", func(obj *unstructured.Unstructured) error {
		if len(obj.GetFinalizers()) == 0 {
			return errors.New("Flux has not seen it")
		}
		return nil
	})
	w.settle()
}

// settle waits until the Deployments have their pods, which nobody runs.
func (w *world) settle() {
	w.t.Helper()
	w.Eventually("there are pods", func() error {
		list := &appsv1.DeploymentList{}
		if err := w.Client.List(w.t.Context(), list); err != nil {
			return err
		}
		if len(list.Items) < 4 {
			return fmt.Errorf("there are only %d Deployments", len(list.Items))
		}
		for i := range list.Items {
			if have, want := list.Items[i].Status.Replicas, *list.Items[i].Spec.Replicas; have != want {
				return fmt.Errorf("%s has %d replicas, want %d", list.Items[i].Name, have, want)
			}
		}
		return nil
	})
}

// flows waits until Flux has delivered what is wanted now.
func (w *world) flows() {
	w.t.Helper()
	for _, one := range [][2]string{{"OCIRepository", "podinfo"}, {"Kustomization", "podinfo"}, {"OCIRepository", "chart"}, {"HelmRelease", "chart"}} {
		w.Wait(one[0], one[1], e2etest.Ready)
	}
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
	cmd.Dir = w.root
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
		built, err = operator.Built(t.Context(), dir)
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

// meanwhile does something again and again until the test ends. Who else writes an object at that moment is first.
func (w *world) meanwhile(step func(ctx context.Context) error) {
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if err := step(ctx); err != nil && ctx.Err() == nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
				w.t.Error(err)
			}
			e2etest.Pause(ctx, meanwhilePause)
		}
	}()
	w.t.Cleanup(func() {
		cancel()
		<-done
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
	out, err := ocmtest.Gzip(content)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
