package chart_test

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
)

// pipeline is what a user applies. Every interval is long: nothing that a test sees comes from polling.
const pipeline = `
apiVersion: delivery.ocm.software/v1alpha1
kind: ComponentVersion
metadata: {name: web}
spec:
  interval: 1h
  component: acme.org/web
  repository: {url: "${REPOSITORY}"}
  version: {semver: ">=1.0.0"}
  verify: [{name: release, publicKey: {secretRef: {name: signing-keys}}}]
---
apiVersion: delivery.ocm.software/v1alpha1
kind: Resource
metadata: {name: web}
spec: {interval: 1h, sourceRef: {name: web, resourceRef: {name: manifests}}}
---
apiVersion: delivery.ocm.software/v1alpha1
kind: Localization
metadata: {name: web}
spec:
  interval: 1h
  sourceRef: {kind: Resource, name: web}
  configRef: {kind: ComponentVersion, name: web, resourceRef: {name: config}}
---
apiVersion: delivery.ocm.software/v1alpha1
kind: Configuration
metadata: {name: web}
spec:
  interval: 1h
  sourceRef: {kind: Localization, name: web}
  configRef: {kind: ComponentVersion, name: web, resourceRef: {name: config}}
  values: {message: "${MESSAGE}", port: ${PORT}}
---
apiVersion: delivery.ocm.software/v1alpha1
kind: FluxDeployer
metadata: {name: web}
spec:
  interval: 1h
  waitForReady: true
  sourceRef: {kind: Configuration, name: web}
  kustomizationTemplate: {interval: 1h, path: ./, prune: true, wait: true, timeout: 2m, targetNamespace: "${NAMESPACE}"}
`

// ours are the kinds of the pipeline, and flux those that Flux sees to.
var (
	ours = []string{"ComponentVersion", "Resource", "Localization", "Configuration", "FluxDeployer"}
	flux = []string{"OCIRepository", "Kustomization"}
)

// delivery is a pipeline in a namespace of its own, and what it delivers.
type delivery struct {
	*e2etest.Env

	w *world
	// url is where what is delivered answers.
	url     string
	message string
	port    string
}

// deliver makes a namespace and applies the pipeline there. What it delivers will answer on a port of the nodes.
func (w *world) deliver(namespace string, port int) *delivery {
	w.t.Helper()
	d := &delivery{Env: w.in(namespace), w: w, message: "hello from " + namespace, port: strconv.Itoa(port)}
	d.url = "http://" + net.JoinHostPort(w.apps.Address, d.port) + "/"
	d.Eventually("the API server serves the kinds of the operator", func() error { return d.apply() })
	return d
}

// apply applies the objects, with the Secret that the component is verified by.
func (d *delivery) apply() error {
	return d.ApplyError(d.w.releases.secret()+"\n---\n"+pipeline,
		"${REPOSITORY}", d.w.releases.url(), "${MESSAGE}", d.message, "${PORT}", d.port)
}

// answers waits until a version answers, as it was configured.
func (d *delivery) answers(version string) {
	d.w.t.Helper()
	d.Within(longest, "version "+version+" answers", func() error {
		got, err := ask(d.Context(), d.url)
		if err == nil && (got.Version != version || got.Message != d.message) {
			err = fmt.Errorf("version %q says %q", got.Version, got.Message)
		}
		return err
	})
}

// next publishes the next version and waits until it answers, and everybody says so.
func (d *delivery) next() {
	d.w.t.Helper()
	version := d.w.publish()
	begun := time.Now()
	d.Kubectl("annotate", "--overwrite", "componentversion", "web", "reconcile.fluxcd.io/requestedAt="+version)
	d.answers(version)
	d.w.t.Logf("version %s answered after %s", version, time.Since(begun).Round(100*time.Millisecond))
	d.ready(version)
}

// ready waits until all objects are, and of a version.
func (d *delivery) ready(version string) {
	d.w.t.Helper()
	of := e2etest.Field(version, "status", "reconciledVersion")
	for _, kind := range ours {
		checks := []e2etest.Check{e2etest.Ready}
		if kind == "ComponentVersion" {
			checks = append(checks, of)
		}
		d.wait(kind, checks...)
	}
	for _, kind := range flux {
		d.wait(kind, e2etest.Ready)
	}
	d.Within(longest, "all Snapshots are ready", func() error {
		list, err := d.List(d.Context(), d.Namespace, "Snapshot")
		if err == nil && len(list.Items) != 3 {
			err = fmt.Errorf("there are %d Snapshots", len(list.Items))
		}
		for i := range list.Items {
			err = cmp.Or(err, e2etest.Ready(&list.Items[i]))
		}
		return err
	})
}

// wait is Wait for what may take as long as a node that comes back.
func (d *delivery) wait(kind string, checks ...e2etest.Check) {
	d.w.t.Helper()
	d.Within(longest, kind+" web", func() error {
		obj, err := d.Lookup(kind, "web")
		for _, check := range checks {
			if err == nil {
				err = check(obj)
			}
		}
		return err
	})
}

// untouched is what must not change while the operator is away, or is replaced: the pods with their restarts, and the
// generation of everything that leads to them.
func (d *delivery) untouched() map[string]string {
	d.w.t.Helper()
	state := map[string]string{}
	deployment := &appsv1.Deployment{}
	if err := d.Client.Get(d.Context(), client.ObjectKey{Namespace: d.Namespace, Name: "web"}, deployment); err != nil {
		d.w.t.Fatalf("get what was delivered: %v", err)
	}
	state["Deployment"] = fmt.Sprintf("%s, generation %d", deployment.UID, deployment.Generation)
	pods := &corev1.PodList{}
	if err := d.Client.List(d.Context(), pods, client.InNamespace(d.Namespace), client.MatchingLabels{"app": "web"}); err != nil {
		d.w.t.Fatalf("list the pods of what was delivered: %v", err)
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.DeletionTimestamp != nil {
			continue // of the version before
		}
		for _, container := range pod.Status.ContainerStatuses {
			state["Pod "+pod.Name] = fmt.Sprintf("%s, %d restarts", pod.UID, container.RestartCount)
		}
	}
	for _, kind := range slices.Concat(ours, flux) {
		obj := d.Get(kind, "web")
		state[kind] = fmt.Sprintf("%s, generation %d", obj.GetUID(), obj.GetGeneration())
	}
	source, _, err := unstructured.NestedMap(d.Get("OCIRepository", "web").Object, "spec", "ref")
	if err != nil {
		d.w.t.Fatal(err)
	}
	state["content"] = fmt.Sprint(source)
	return state
}

// secret is the Secret that the component is verified by.
func (r *releases) secret() string {
	return "{apiVersion: v1, kind: Secret, metadata: {name: signing-keys}, stringData: {" + signature + ": \"" +
		strings.ReplaceAll(string(r.public), "\n", `\n`) + "\"}}"
}
