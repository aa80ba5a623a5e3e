package rbac_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/e2e/loopback"
	"github.com/ocm-operator/ocm-operator/e2e/operator"
	"github.com/ocm-operator/ocm-operator/e2e/operator/rights"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// everything has all features and options at once, but the registry of others.
var everything = scenario{
	name: "everything",
	args: []string{
		"--watch-namespace=" + watched, "--enable-leader-election", "--registry-writer-secret=writer", "--external-artifacts",
		"--object-level-workload-identity", "--watch-secrets",
	},
	more: func(w *world) []string {
		return append(artifactAddress(w), "--snapshot-recheck-interval=1s", "--secret-check-interval=200ms",
			"--leader-election-lease-duration=4s", "--leader-election-renew-deadline=3s", "--leader-election-retry-period=1s")
	},
	play: playEverything,
}

// artifactAddress returns the arguments that say where artifacts are.
func artifactAddress(w *world) []string {
	address, kept, err := loopback.Reserve()
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = kept.Close() })
	return []string{"--artifact-addr=" + address, "--artifact-address=" + address}
}

func playEverything(w *world) {
	components := ocmtest.Start(w.t)
	publish(w.t, components, "1.0.0")
	w.Apply(objects, "${REPOSITORY}", components.URL, "${GIT}", "https://127.0.0.1:1") // where nothing listens
	for _, object := range []string{"ComponentVersion/app", "Resource/app", "Localization/app", "Configuration/app"} {
		kind, name, _ := strings.Cut(object, "/")
		w.Wait(kind, name, e2etest.Ready)
	}
	w.fluxKinds()
	stop := w.flux()
	defer stop()
	w.handOver()
	w.newVersion(components)
	w.used("patch", "snapshots")
	w.registry()
	w.used("create", "serviceaccounts/token")
	w.used("watch", "secrets")
	w.staleObjects()
}

// flux plays the controllers of Flux: they take any artifact. It returns what ends that.
func (w *world) flux() (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			for _, kind := range []string{"Kustomization", "HelmRelease"} {
				w.answer(ctx, kind)
			}
			e2etest.Pause(ctx, 100*time.Millisecond)
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// answer tells whoever asks with an object that has no artifact that there is none.
func (w *world) answer(ctx context.Context, kind string) {
	all, err := w.List(ctx, watched, kind)
	if err != nil {
		return // the kind is about to be served
	}
	for i := range all.Items {
		obj := &all.Items[i]
		if _, found, _ := unstructured.NestedSlice(obj.Object, "status", "conditions"); found {
			continue
		}
		status := fmt.Sprintf(`{"status":{"conditions":[{"type":"Ready","status":"False","reason":"ArtifactFailed","message":"no artifact","lastTransitionTime":%q}]}}`,
			metav1.Now().UTC().Format("2006-01-02T15:04:05Z"))
		if err := w.Client.Status().Patch(ctx, obj, client.RawPatch(types.MergePatchType, []byte(status))); err != nil && !apierrors.IsNotFound(err) && ctx.Err() == nil {
			w.t.Errorf("answer as Flux does: %v", err)
		}
	}
}

// handOver has deployers make, change and delete everything that they can.
func (w *world) handOver() {
	w.made("OCIRepository/plain", "ExternalArtifact/app", "Kustomization/app", "HelmRelease/chart", "Secret/plain-registry-pull")
	w.unmarked("OCIRepository/plain", "ExternalArtifact/app")
	w.renewed("plain")
	w.patch(watched, "FluxDeployer", "plain", `{"spec":{"kustomizationTemplate":{"path":"./","prune":true}}}`)
	w.withdrawn()
	w.Gone("ExternalArtifact", "app")
	w.Gone("OCIRepository", "plain")
	w.Gone("Secret", "plain-registry-pull")
}

// made waits until deployers have made something.
func (w *world) made(objects ...string) {
	w.t.Helper()
	w.Eventually("the deployers have made something", func() error {
		for _, object := range objects {
			kind, name, _ := strings.Cut(object, "/")
			if _, err := w.Lookup(kind, name); err != nil {
				deployer, _, _ := strings.Cut(name, "-")
				w.request("FluxDeployer", deployer)
				return err
			}
		}
		return nil
	})
}

// unmarked lets objects not look like those of their deployers: they are read past the cache before they are written again.
func (w *world) unmarked(objects ...string) {
	w.t.Helper()
	for _, object := range objects {
		kind, name, _ := strings.Cut(object, "/")
		w.patch(watched, kind, name, `{"metadata":{"annotations":{"delivery.ocm.software/applied-digest":null}}}`)
		w.request("FluxDeployer", name)
	}
	for _, object := range objects {
		kind, _, _ := strings.Cut(object, "/")
		w.used("get", plural(kind))
	}
}

// renewed has the credential of a deployer made again.
func (w *world) renewed(deployer string) {
	w.t.Helper()
	w.patch(watched, "Secret", deployer+"-registry-pull", `{"metadata":{"annotations":{"delivery.ocm.software/expires":"2020-01-01T00:00:00Z"}}}`)
	w.until("the pull Secret is made again", func() { w.request("FluxDeployer", deployer) }, func(right rights.Right) bool {
		return right.Verb == "update" && right.Resource == "secrets" && right.Namespace == watched
	})
}

// withdrawn has deployers delete what is to be in their templates no longer.
func (w *world) withdrawn() {
	w.t.Helper()
	w.patch(watched, "FluxDeployer", "app", `{"spec":{"kustomizationTemplate":null}}`)
	w.patch(watched, "FluxDeployer", "chart", `{"spec":{"helmReleaseTemplate":null}}`)
	w.Gone("Kustomization", "app")
	w.Gone("HelmRelease", "chart")
}

// newVersion has descriptors changed, and publishes another version.
func (w *world) newVersion(components *ocmtest.Server) {
	descriptors, err := w.List(w.t.Context(), watched, "ComponentDescriptor")
	if err != nil || len(descriptors.Items) == 0 {
		w.t.Fatalf("descriptors: %v, %v", descriptors.Items, err)
	}
	w.patch(watched, "ComponentDescriptor", descriptors.Items[0].GetName(), `{"spec":{"version":"9.9.9"}}`)
	w.used("patch", "componentdescriptors")
	publish(w.t, components, "2.0.0")
	w.request("ComponentVersion", "app")
	w.used("delete", "componentdescriptors")
}

// registry has the registry make, change and complain about its Secrets, and ask who reads.
func (w *world) registry() {
	for secret, part := range map[string]string{"ocm-registry-key": "key", "ocm-registry-tls-certs": "certificate"} {
		w.patch(operator.Namespace, "Secret", secret, fmt.Sprintf(`{"metadata":{"annotations":{"delivery.ocm.software/rotate":%q}}}`, part))
	}
	own := func(verb, resource string) func(rights.Right) bool {
		return func(right rights.Right) bool {
			return right.Verb == verb && right.Resource == resource && right.Namespace == operator.Namespace
		}
	}
	w.Eventually("the credential of those who write is there", func() error {
		return w.Client.Get(w.t.Context(), client.ObjectKey{Namespace: operator.Namespace, Name: "writer"}, &corev1.Secret{})
	})
	w.patch(operator.Namespace, "Secret", "writer", `{"metadata":{"annotations":{"delivery.ocm.software/expires":"2020-01-01T00:00:00Z"}}}`)
	w.until("the Secrets of the registry are written again", nil, own("update", "secrets"))
	mine := true
	w.until("an event about a Secret is counted", func() {
		label := map[bool]string{true: "ocm-operator", false: "somebody"}
		mine = !mine
		w.patch(operator.Namespace, "Secret", "writer", fmt.Sprintf(`{"metadata":{"labels":{"app.kubernetes.io/managed-by":%q}}}`, label[mine]))
	}, own("patch", "events"))
	w.readWithToken()
}

// readWithToken reads from the registry as a ServiceAccount.
func (w *world) readWithToken() {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: watched, Name: "puller"}}
	wanted := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{"ocm-registry"}}}
	if err := w.Client.SubResource("token").Create(w.t.Context(), account, wanted); err != nil {
		w.t.Fatal(err)
	}
	from, _ := w.RegistryClient()
	ask, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "https://"+w.op.RegistryAddress()+"/v2/"+watched+"/app/tags/list", http.NoBody)
	if err != nil {
		w.t.Fatal(err)
	}
	ask.SetBasicAuth("token", wanted.Status.Token)
	response, err := from.Do(ask)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusForbidden {
		w.t.Errorf("a ServiceAccount without rights reads: %s", response.Status)
	}
}

// staleObjects has every kind read past the cache.
func (w *world) staleObjects() {
	snapshots, err := w.List(w.t.Context(), watched, "Snapshot")
	if err != nil || len(snapshots.Items) == 0 {
		w.t.Fatalf("snapshots: %v, %v", snapshots.Items, err)
	}
	w.stale(map[string]string{
		"ComponentVersion": "app", "ComponentSubscription": "app", "Resource": "app", "Localization": "app", "Configuration": "app",
		"FluxDeployer": "app", "GitSync": "app", "Snapshot": snapshots.Items[0].GetName(),
	})
}

// stale has objects written to, one of a kind, while the operator does, which reads past its cache then.
func (w *world) stale(objects map[string]string) {
	w.t.Helper()
	var resources []string
	for kind := range objects {
		resources = append(resources, plural(kind))
	}
	w.until("objects are read past the cache", func() {
		var all sync.WaitGroup
		for kind, name := range objects {
			all.Go(func() {
				for range 50 {
					if err := w.tryAnnotate(watched, kind, name, "reconcile.fluxcd.io/requestedAt"); err != nil {
						w.t.Errorf("request %s %s: %v", kind, name, err)
						return
					}
				}
			})
		}
		all.Wait()
	}, func(right rights.Right) bool {
		return right.Verb == "get" && slices.Contains(resources, right.Resource)
	})
}

// plural is what the API server calls the objects of a kind.
func plural(kind string) string {
	resource, _ := apimeta.UnsafeGuessKindToResource(e2etest.GVK(kind))
	return resource.Resource
}
