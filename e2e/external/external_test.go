package external_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/e2e/operator"
	"github.com/ocm-operator/ocm-operator/e2e/server"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// TestDistribution keeps snapshots in distribution v3, behind TLS with an authority of its own, where the operator and Flux
// have different credentials.
func TestDistribution(t *testing.T) {
	registry := server.Registry{Kind: server.Distribution, Dir: t.TempDir(), Delete: true}
	process := run(t, registry)
	t.Cleanup(func() { _ = process.Kill() })
	registry.Listen = process.Address()
	f := newFront(t, process.Address())
	e := e2etest.Own(t, cluster.Options{ControllerManager: true, Flux: true},
		"--snapshot-registry=oci://"+f.host()+"/clusters/a", "--snapshot-registry-secret=push", "--snapshot-registry-pull-secret=pull",
		"--snapshot-registry-cert-secret=authority", "--snapshot-recheck-interval=2s", "--snapshot-history=0")
	components := ocmtest.Start(t)
	publish(t, components, "1.0.0")
	e.Apply(pipeline, "${REPOSITORY}", components.URL)

	// Whoever starts the operator may write the Secrets later.
	e.Wait("Resource", "podinfo", says("Ready", "False", "--snapshot-registry-secret"))
	write(t, e, "push", corev1.SecretTypeDockerConfigJson, login(t, f.host(), "writer", "write"))
	write(t, e, "pull", corev1.SecretTypeDockerConfigJson, login(t, f.host(), "reader", "read-1"))
	write(t, e, "authority", corev1.SecretTypeOpaque, map[string][]byte{"ca.crt": []byte(f.authority())})
	arrived(e, "1.0.0")
	nothingEmbedded(t, e)

	name := snapshot.Name(v1alpha1.LocalizationKind, "podinfo")
	repository := "clusters/a/" + snapshot.RepositoryName(e.Namespace, name)
	e.Wait("Snapshot", name, e2etest.Ready, e2etest.Field(f.URL+"/"+repository, "status", "repositoryURL"))
	e.Wait("OCIRepository", "podinfo", e2etest.Field("oci://"+f.host()+"/"+repository, "spec", "url"))
	first := digestOf(t, e, name)

	t.Run("who has no password gets nothing", func(t *testing.T) {
		p := e.ForTest(t).Puller("podinfo")
		if p.Username != "reader" || p.Password != "read-1" {
			t.Errorf("Flux pulls as %s", p.Username)
		}
		if status, _ := p.Request(t.Context(), http.MethodDelete, "/v2/"+repository+"/manifests/"+first); status != http.StatusUnauthorized {
			t.Errorf("the credential of Flux deletes: %d", status)
		}
	})
	t.Run("a proxy that answers in its place takes no content away", func(t *testing.T) {
		e := e.ForTest(t)
		f.gone.Store(true)
		e.Wait("Snapshot", name, says("Reconciling", "True", "not the registry that says so"), says("Ready", "True"))
		if !e.Operator.Ready(t.Context()) {
			t.Error("the operator is not ready without the registry")
		}
		f.gone.Store(false)
		e.Wait("Snapshot", name, e2etest.Ready)
	})
	t.Run("passwords are changed without a restart", func(t *testing.T) {
		e := e.ForTest(t)
		f.setReader("read-2")
		write(t, e, "pull", corev1.SecretTypeDockerConfigJson, login(t, f.host(), "reader", "read-2"))
		e.Eventually("Flux has the new password", func() error {
			if got := e.Puller("podinfo").Password; got != "read-2" {
				return fmt.Errorf("it has %s", got)
			}
			return nil
		})
	})
	t.Run("content that is gone comes back", func(t *testing.T) {
		e := e.ForTest(t)
		if err := process.Stop(); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(filepath.Join(registry.Dir, "docker")); err != nil {
			t.Fatal(err)
		}
		process = run(t, registry)
		e.Eventually("the snapshot is in the registry again", func() error {
			if status := f.ask(t, http.MethodGet, "/v2/"+repository+"/manifests/"+first); status != http.StatusOK {
				return fmt.Errorf("it answers %d", status)
			}
			return nil
		})
		e.Wait("Snapshot", name, e2etest.Ready)
		if again := digestOf(t, e, name); again != first {
			t.Errorf("it was %s and is %s", first, again)
		}
		arrived(e, "1.0.0")
	})
	publish(t, components, "2.0.0")
	e.Kubectl("annotate", "--overwrite", "cv/podinfo", "reconcile.fluxcd.io/requestedAt=now")
	arrived(e, "2.0.0")
	second := digestOf(t, e, name)
	gone := func(manifest string) {
		e.Eventually("the registry has "+manifest+" no more", func() error {
			if status := f.ask(t, http.MethodGet, "/v2/"+repository+"/manifests/"+manifest); status != http.StatusNotFound {
				return fmt.Errorf("it answers %d", status)
			}
			return nil
		})
	}
	gone(first)
	if status := f.ask(t, http.MethodGet, "/v2/"+repository+"/manifests/"+second); status != http.StatusOK {
		t.Errorf("what is current is answered with %d", status)
	}
	e.Delete("FluxDeployer", "podinfo")
	e.Delete("Localization", "podinfo")
	e.Gone("Snapshot", name)
	gone(second)
}

// says wants a condition to have a status, and its message to contain each of the parts.
func says(condition, status string, parts ...string) e2etest.Check {
	return func(obj *unstructured.Unstructured) error {
		got, err := e2etest.Condition(obj, condition)
		if err != nil {
			return err
		}
		if string(got.Status) != status || slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(got.Message, part) }) {
			return fmt.Errorf("%s is %s: %s", condition, got.Status, got.Message)
		}
		return nil
	}
}

// TestContainerRegistry keeps snapshots in the registry of go-containerregistry, without TLS and without a log-in.
func TestContainerRegistry(t *testing.T) {
	process := run(t, server.Registry{Kind: server.ContainerRegistryDisk, Dir: t.TempDir()})
	t.Cleanup(func() { _ = process.Kill() })
	e := e2etest.Own(t, cluster.Options{ControllerManager: true, Flux: true},
		"--snapshot-registry=oci://"+process.Address()+"/a", "--snapshot-registry-plain-http", "--snapshot-recheck-interval=2s")
	components := ocmtest.Start(t)
	publish(t, components, "1.0.0")
	e.Apply(pipeline, "${REPOSITORY}", components.URL)
	arrived(e, "1.0.0")
	nothingEmbedded(t, e)
	source := e.Get("OCIRepository", "podinfo")
	for _, field := range []string{"secretRef", "certSecretRef", "provider"} {
		if got, found, _ := unstructured.NestedFieldNoCopy(source.Object, "spec", field); found && got != "generic" {
			t.Errorf("spec.%s is %v", field, got)
		}
	}
	publish(t, components, "2.0.0")
	e.Kubectl("annotate", "--overwrite", "cv/podinfo", "reconcile.fluxcd.io/requestedAt=now")
	arrived(e, "2.0.0")
}

// nothingEmbedded looks for what the embedded registry would have made.
func nothingEmbedded(t *testing.T, e *e2etest.Env) {
	t.Helper()
	for _, name := range []string{"ocm-registry-tls-certs", "ocm-registry-key"} {
		if err := e.Client.Get(t.Context(), client.ObjectKey{Namespace: operator.Namespace, Name: name}, &corev1.Secret{}); !apierrors.IsNotFound(err) {
			t.Errorf("Secret %s: %v", name, err)
		}
	}
	if conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", e.Operator.RegistryAddress()); err == nil {
		t.Errorf("something listens on %s", e.Operator.RegistryAddress())
		conn.Close()
	}
	for _, file := range []string{"blobs", "index.db"} {
		if _, err := os.Stat(filepath.Join(e.Operator.RegistryDir(), file)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s of the embedded registry: %v", file, err)
		}
	}
	if log := e.Log(); strings.Contains(log, "Serving snapshots") {
		t.Error("the embedded registry serves")
	}
}

func digestOf(t *testing.T, e *e2etest.Env, name string) string {
	t.Helper()
	found, _, err := unstructured.NestedString(e.Get("Snapshot", name).Object, "status", "manifestDigest")
	if err != nil {
		t.Fatal(err)
	}
	return found
}
