package promises_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

func TestB07SharedContentSurvives(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, app("1.0.0"))
	e.Apply(follow(component, registry.URL) + take("first", "{name: manifests}") + take("second", "{name: manifests}") +
		deploy("second", "{kind: Resource, name: second}"))
	all(e, "Resource/first", "Resource/second", "FluxDeployer/second")
	if a, b := text(e.Get("Resource", "first"), "status", "latestSnapshotDigest"), text(e.Get("Resource", "second"), "status", "latestSnapshotDigest"); a != b {
		t.Fatalf("the same content has the digests %s and %s", a, b)
	}
	e.Delete("Resource", "first")
	e.Eventually("the snapshot of what was deleted is gone", func() error {
		if got := len(list(t, e, "Snapshot")); got != 1 {
			return fmt.Errorf("there are %d snapshots", got)
		}
		return nil
	})
	if err := contains(e.Puller("second").Files()["configmap.yaml"], "1.0.0"); err != nil {
		t.Error(err)
	}
}

func TestB10NamespacesGoWithoutRegistry(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, app("1.0.0"))
	e.Apply(chain(registry.URL, "values: {message: farewell}"))
	e.Wait("ConfigMap", "app")
	all(e, "FluxDeployer/app")
	registry.Inject(ocmtest.FailWith(503, -1, "GET manifests"))
	registry.Inject(ocmtest.FailWith(503, -1, "GET tags"))
	e.Kubectl("delete", "namespace", e.Namespace, "--wait", "--timeout=60s")
}

func TestB11ReadinessWakes(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, app("1.0.0"))
	e.Apply(follow(component, registry.URL))
	all(e, "ComponentVersion/app")
	ask := func(secret string) {
		e.Kubectl("patch", "cv/app", "--type=merge", "--patch", `{"spec":{"repository":{"secretRef":`+secret+`}}}`)
	}
	ask(`{"name":"absent"}`)
	e.Wait("ComponentVersion", "app", e2etest.NotReady("AuthenticatedContextCreationFailed", "absent"), e2etest.Field("1.0.0", "status", "reconciledVersion"))
	e.Apply(take("app", "{name: manifests}") + change("Localization", "app", "{kind: Resource, name: app}", "config"))
	e.Wait("Resource", "app", e2etest.NotReady("ComponentVersionNotReady", "ComponentVersion "+e.Namespace+"/app"))
	e.Wait("Localization", "app", e2etest.NotReady("SourceRefNotReady", "Resource "+e.Namespace+"/app"))
	ask("null")
	e.Wait("ComponentVersion", "app", e2etest.Ready, e2etest.Field("1.0.0", "status", "reconciledVersion"))
	all(e, "Resource/app", "Localization/app")
}

func TestB17DeployerNeedsNothing(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, app("1.0.0"))
	e.Apply(follow(component, registry.URL) + take("app", "{name: manifests}") + deploy("app", "{kind: Resource, name: app}", kustomize))
	e.Wait("ConfigMap", "app", e2etest.Field("1.0.0", "data", "version"))
	all(e, "FluxDeployer/app")

	first := e.Get("Kustomization", "app").GetUID()
	e.Delete("Kustomization", "app")
	e.Wait("Kustomization", "app", e2etest.Ready, func(obj *unstructured.Unstructured) error {
		if obj.GetUID() == first {
			return fmt.Errorf("it is still the one that was deleted")
		}
		return nil
	})
	e.Kubectl("patch", "ocirepository/app", "--type=merge", "--patch", `{"spec":{"ref":{"digest":"sha256:`+digest.FromString("forged").Encoded()+`"}}}`)
	e.Wait("OCIRepository", "app", e2etest.Field(text(e.Get("Resource", "app"), "status", "latestManifestDigest"), "spec", "ref", "digest"))

	e.Kubectl("patch", "fd/app", "--type=merge", "--patch", `{"spec":{"kustomizationTemplate":null,"helmReleaseTemplate":{"values":{"replicas":2}}}}`)
	e.Wait("FluxDeployer", "app", e2etest.NotReady("CreateOrUpdateHelmFailed", "is no Helm chart", "use kustomizationTemplate"))
	e.Wait("Kustomization", "app", e2etest.Ready)
	e.Kubectl("patch", "fd/app", "--type=merge", "--patch", `{"spec":{"helmReleaseTemplate":null}}`)
	e.Gone("Kustomization", "app")
	e.Wait("FluxDeployer", "app", e2etest.Ready, e2etest.Field("", "status", "kustomization"))
}

func TestB18UnchangedIsQuiet(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, app("1.0.0"))
	e.Apply(chain(registry.URL, "values: {message: quiet}"), "interval: 10m0s", "interval: 1s")
	e.Wait("ConfigMap", "app")
	kinds := []string{"ComponentVersion", "Resource", "Localization", "Configuration", "FluxDeployer"}
	for _, kind := range kinds {
		all(e, kind+"/app")
	}
	state := func() map[string]string {
		found := map[string]string{}
		for _, kind := range append(kinds, "Snapshot", "ComponentDescriptor") {
			for _, obj := range list(t, e, kind) {
				found[kind+" "+obj.GetName()] = obj.GetResourceVersion()
			}
		}
		return found
	}
	before := state()
	registry.ResetRequests()
	const intervals = 5
	e.Eventually("some intervals are over", func() error {
		if got := registry.Requests()["GET tags"]; got < intervals {
			return fmt.Errorf("the versions were listed %d times", got)
		}
		return nil
	})
	requests := registry.Requests()
	for _, class := range []string{"GET blobs", "HEAD blobs", "GET manifests"} {
		if requests[class] > 0 {
			t.Errorf("%d times %s of a component that has not changed: %v", requests[class], class, requests)
		}
	}
	if diff := cmp.Diff(before, state()); diff != "" {
		t.Errorf("objects were written (-before +after):\n%s", diff)
	}
}

func TestB22SpecsStayAsTheyAre(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, app("1.0.0"))
	// Nothing that has a default is written.
	e.Apply(chain(registry.URL, "values: {message: mine}"))
	specs := func() map[string]any {
		found := map[string]any{}
		for _, kind := range []string{"ComponentVersion", "Resource", "Localization", "Configuration", "FluxDeployer"} {
			obj := e.Get(kind, "app")
			found[kind] = obj.Object["spec"]
			if obj.GetGeneration() != 1 {
				t.Errorf("%s has the generation %d, it was written once", kind, obj.GetGeneration())
			}
		}
		return found
	}
	before := specs()
	e.Wait("ConfigMap", "app", e2etest.Field("mine", "data", "message"))
	for kind := range before {
		e.Kubectl("annotate", kind+".delivery.ocm.software/app", requested+"now")
		e.Wait(kind, "app", e2etest.Ready, e2etest.Field("now", "status", "lastHandledReconcileAt"))
	}
	if diff := cmp.Diff(before, specs()); diff != "" {
		t.Errorf("specs (-written +found):\n%s", diff)
	}
}

// TestB28VersionsArriveInOrder follows a few upgrades by their content. A hundred of them are in package endurance.
func TestB28VersionsArriveInOrder(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, app("1.0.0"))
	e.Apply(chain(registry.URL, "values: {message: ordered}"))
	for minor := range 8 {
		version := fmt.Sprintf("1.%d.0", minor)
		publish(t, registry, app(version))
		e.Kubectl("annotate", "--overwrite", "cv/app", requested+version)
		// Whatever the state: what calls itself a version has the files, the rules and the image of that version.
		e.Eventually("version "+version, func() error {
			config, err := e.Lookup("ConfigMap", "app")
			if err != nil {
				return err
			}
			got, rules, image := text(config, "data", "version"), text(config, "data", "rules"), text(config, "data", "image")
			if rules != got || image != "ghcr.io/acme/app:"+got {
				t.Fatalf("files of %s, rules of %s, image %s", got, rules, image)
			}
			if got != version {
				return fmt.Errorf("it is %s", got)
			}
			return nil
		})
		e.Wait("Configuration", "app", e2etest.Ready, e2etest.Field(version, "status", "latestSourceVersion"), e2etest.Field(version, "status", "latestConfigVersion"))
		manifest, _ := e.Puller("app").Snapshot()
		for _, snapshot := range list(t, e, "Snapshot") {
			if text(&snapshot, "spec", "manifestDigest") == e.Puller("app").Manifest && text(&snapshot, "spec", "tag") != version {
				t.Errorf("the content of %s is called %s: %v", version, text(&snapshot, "spec", "tag"), manifest.Annotations)
			}
		}
	}
}
