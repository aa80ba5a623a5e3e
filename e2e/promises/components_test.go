package promises_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

func TestB04ReadyKeepsTheVersion(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, app("1.0.0"))
	e.Apply(follow(component, registry.URL))
	for _, request := range []string{"first", "second"} {
		e.Kubectl("annotate", "--overwrite", "cv/app", requested+request)
		e.Wait("ComponentVersion", "app", e2etest.Ready, e2etest.Field(request, "status", "lastHandledReconcileAt"),
			e2etest.Is("Ready", "True", "Succeeded", "Applied version: 1.0.0"))
	}
}

func TestB05EditsTakeEffect(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	here, there, private := ocmtest.Start(t), ocmtest.Start(t), ocmtest.Start(t)
	moved, other := app("1.0.0"), app("1.0.0")
	moved.Resources[0] = files("manifests", "configmap.yaml", configMap("moved", "1.0.0"))
	other.Name, other.Resources[0] = "acme.org/other", files("manifests", "configmap.yaml", configMap("other", "1.0.0"))
	publish(t, here, app("1.0.0"), other)
	publish(t, there, moved)
	publish(t, private, app("1.0.0"))
	private.RequireLogin("user", "right")
	e.Apply(follow(component, here.URL) + take("app", "{name: manifests}") + deploy("app", "{kind: Resource, name: app}"))
	all(e, "FluxDeployer/app")
	edit := func(what, patch, name string) {
		e.Kubectl("patch", "cv/app", "--type=merge", "--patch", patch)
		e.Eventually("content after an edit of "+what, func() error { return contains(e.Puller("app").Files()["configmap.yaml"], "name: "+name+"\n") })
		all(e, "ComponentVersion/app", "Resource/app", "FluxDeployer/app")
	}
	edit("repository", `{"spec":{"repository":{"url":"`+there.URL+`/acme"}}}`, "moved")
	edit("repository and component", `{"spec":{"component":"acme.org/other","repository":{"url":"`+here.URL+`/acme"}}}`, "other")

	e.Kubectl("patch", "cv/app", "--type=merge", "--patch", `{"spec":{"verify":[{"name":"ops","publicKey":{"secretRef":{"name":"keys"}}}]}}`)
	e.Wait("ComponentVersion", "app", e2etest.Is("Ready", "False", "ComponentVerificationFailed", "acme.org/other"))
	e.Kubectl("patch", "cv/app", "--type=merge", "--patch", `{"spec":{"component":"acme.org/app","verify":null,"serviceAccountName":"nobody","repository":{"url":"`+private.URL+`/acme"}}}`)
	e.Wait("ComponentVersion", "app", e2etest.NotReady("AuthenticatedContextCreationFailed", "nobody"))
	pullSecret(e, "login", private.Host)
	e.Apply("{apiVersion: v1, kind: ServiceAccount, metadata: {name: reader}, imagePullSecrets: [{name: login}]}")
	edit("serviceAccountName", `{"spec":{"serviceAccountName":"reader"}}`, "app")
}

func TestB06SharedDescriptorSurvives(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	nested := []ocmtest.Reference{{Name: "app", Component: component, Version: "1.0.0"}}
	publish(t, registry, app("1.0.0"), ocmtest.Component{Name: "acme.org/left", Version: "1.0.0", References: nested},
		ocmtest.Component{Name: "acme.org/right", Version: "1.0.0", References: nested})
	e.Apply(follow("acme.org/left", registry.URL, "references: {expand: true}") + follow("acme.org/right", registry.URL, "references: {expand: true}"))
	all(e, "ComponentVersion/left", "ComponentVersion/right")
	shared := ""
	for _, descriptor := range list(t, e, "ComponentDescriptor") {
		if strings.HasPrefix(descriptor.GetName(), "acme.org-app-") {
			shared = descriptor.GetName()
		}
	}
	if owners := e.Get("ComponentDescriptor", shared).GetOwnerReferences(); len(owners) != 2 {
		t.Fatalf("the shared descriptor has the owners %v, want both", owners)
	}
	uid := e.Get("ComponentDescriptor", shared).GetUID()
	e.Delete("ComponentVersion", "left")
	e.Eventually("the garbage collector has seen that an owner is gone", func() error {
		for _, descriptor := range list(t, e, "ComponentDescriptor") {
			if strings.HasPrefix(descriptor.GetName(), "acme.org-left-") {
				return errors.New("the descriptor of what was deleted is still there")
			}
		}
		return nil
	})
	if descriptor := e.Get("ComponentDescriptor", shared); descriptor.GetUID() != uid || descriptor.GetDeletionTimestamp() != nil {
		t.Errorf("the shared descriptor was not left alone: %v", descriptor.Object["metadata"])
	}
	e.Delete("ComponentVersion", "right")
	e.Gone("ComponentDescriptor", shared)
}

func TestB13EveryHopCounts(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	// A component of the same name as a reference elsewhere in the tree leads astray who looks for names only.
	publish(t, registry,
		ocmtest.Component{Name: "acme.org/deep", Version: "3.0.0", Resources: []ocmtest.Resource{files("manifests", "configmap.yaml", configMap("deep", "3.0.0"))}},
		ocmtest.Component{
			Name: "acme.org/middle", Version: "2.0.0", Resources: []ocmtest.Resource{files("manifests", "configmap.yaml", configMap("middle", "2.0.0"))},
			References: []ocmtest.Reference{{Name: "db", Component: "acme.org/deep", Version: "3.0.0"}},
		},
		ocmtest.Component{Name: "acme.org/decoy", Version: "4.0.0", Resources: []ocmtest.Resource{files("manifests", "configmap.yaml", configMap("decoy", "4.0.0"))}},
		ocmtest.Component{Name: component, Version: "1.0.0", References: []ocmtest.Reference{
			{Name: "db", Component: "acme.org/decoy", Version: "4.0.0"}, {Name: "backend", Component: "acme.org/middle", Version: "2.0.0"},
		}})
	var manifests strings.Builder
	manifests.WriteString(follow(component, registry.URL))
	paths := map[string]string{"decoy": "[{name: db}]", "middle": "[{name: backend}]", "deep": "[{name: backend}, {name: db}]"}
	for name, path := range paths {
		manifests.WriteString(take(name, "{name: manifests, referencePath: "+path+"}") + deploy(name, "{kind: Resource, name: "+name+"}"))
	}
	e.Apply(manifests.String())
	for name := range paths {
		all(e, "FluxDeployer/"+name)
		if err := contains(e.Puller(name).Files()["configmap.yaml"], "name: "+name+"\n"); err != nil {
			t.Error(err)
		}
	}
}

func TestB14VersionsOfResourcesAreExact(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	blob := func(version, arch string) ocmtest.Resource {
		return ocmtest.Resource{Name: "tool", Version: version, ExtraIdentity: map[string]string{"arch": arch}, Content: []byte(version + arch)}
	}
	publish(t, registry, ocmtest.Component{Name: component, Version: "1.0.0", Resources: []ocmtest.Resource{blob("1.1.0", "arm64"), blob("1.1.0", "amd64")}})
	e.Apply(follow(component, registry.URL) + take("absent", `{name: tool, version: 9.9.9, extraIdentity: {arch: amd64}}`) +
		take("ambiguous", "{name: tool, version: 1.1.0}") + take("exact", "{name: tool, version: 1.1.0, extraIdentity: {arch: amd64}}") +
		take("latest", "{name: tool, version: latest, extraIdentity: {arch: arm64}}"))
	e.Wait("Resource", "absent", e2etest.NotReady("GetResourceFailed", "9.9.9", "1.1.0"))
	e.Wait("Resource", "ambiguous", e2etest.NotReady("GetResourceFailed", "tool", "extraIdentity"))
	e.Wait("Resource", "exact", e2etest.Ready, e2etest.Field("1.1.0", "status", "lastAppliedResourceVersion"))
	all(e, "Resource/latest")
}

func TestB15TamperedContentIsRefused(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	c := app("1.0.0")
	signed := files("signed", "configmap.yaml", configMap("signed", "1.0.0"))
	signed.Digest = nil
	c.Resources = append(c.Resources, signed)
	publish(t, registry, c)
	e.Apply(follow(component, registry.URL))
	all(e, "ComponentVersion/app")
	// Same length, same name, other bytes: only the digest can tell.
	genuine := digest.FromBytes(signed.Content)
	forged := strings.Replace(string(signed.Content), "1.0.0", "6.6.6", 1)
	registry.Inject(func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodGet || !strings.HasSuffix(req.URL.Path, "/blobs/"+genuine.String()) {
			return false
		}
		_, err := w.Write([]byte(forged))
		return err == nil
	})
	e.Apply(take("signed", "{name: signed}") + take("app", "{name: manifests}"))
	e.Wait("Resource", "signed", e2etest.NotReady("ContentMismatch", genuine.String()))
	all(e, "Resource/app")
	if got := len(list(t, e, "Snapshot")); got != 1 {
		t.Errorf("there are %d snapshots, want that of the genuine resource alone", got)
	}
	registry.Heal()
	e.Kubectl("annotate", "res/signed", requested+"now")
	all(e, "Resource/signed")
}

func TestB16PasswordsWorkForPorts(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	private := ocmtest.Start(t)
	publish(t, private, app("1.0.0"))
	private.RequireLogin("user", "right")
	if !strings.Contains(private.Host, ":") {
		t.Fatalf("%s has no port", private.Host)
	}
	e.Kubectl("create", "secret", "generic", "login", "--from-literal=username=user", "--from-literal=password=right")
	e.Apply(object("ComponentVersion", "app", "component: "+component, `version: {semver: ">=0.0.0"}`,
		"repository: {url: "+private.URL+"/acme, secretRef: {name: login}}") + take("app", "{name: manifests}"))
	all(e, "ComponentVersion/app", "Resource/app")
}

func TestB20BuildMetadata(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, app("1.0.0+build.1"))
	e.Apply(chain(registry.URL, "values: {message: built}"))
	e.Wait("ConfigMap", "app", e2etest.Field("1.0.0+build.1", "data", "version"), e2etest.Field("1.0.0+build.1", "data", "rules"))
	e.Wait("ComponentVersion", "app", e2etest.Ready, e2etest.Field("1.0.0+build.1", "status", "reconciledVersion"))
	for _, snapshot := range list(t, e, "Snapshot") {
		if tag := text(&snapshot, "spec", "tag"); tag != "1.0.0.build-build.1" {
			t.Errorf("tag of %s is %s", snapshot.GetName(), tag)
		}
	}
}

func TestB21CyclesAreReported(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry,
		ocmtest.Component{Name: "acme.org/hen", Version: "1.0.0", References: []ocmtest.Reference{{Name: "egg", Component: "acme.org/egg", Version: "1.0.0"}}},
		ocmtest.Component{Name: "acme.org/egg", Version: "1.0.0", References: []ocmtest.Reference{{Name: "hen", Component: "acme.org/hen", Version: "1.0.0"}}})
	e.Apply(follow("acme.org/hen", registry.URL))
	e.Wait("ComponentVersion", "hen", e2etest.NotReady("ReferenceCycle", "acme.org/hen", "acme.org/egg"))
	if got := registry.Requests()["GET manifests"]; got > 20 {
		t.Errorf("%d manifests were read of two components", got)
	}
}

func TestB25WhatWasMissingWakes(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	private := ocmtest.Start(t)
	publish(t, private, app("1.0.0"))
	private.RequireLogin("user", "right")
	spec := []string{"component: " + component, `version: {semver: ">=0.0.0"}`}
	e.Apply(object("ComponentVersion", "by-secret", append(spec, "repository: {url: "+private.URL+"/acme, secretRef: {name: basic}}")...) +
		object("ComponentVersion", "by-account", append(spec, "repository: {url: "+private.URL+"/acme}", "serviceAccountName: reader")...))
	e.Wait("ComponentVersion", "by-secret", e2etest.NotReady("AuthenticatedContextCreationFailed", "Secret "+e.Namespace+"/basic does not exist: create it"))
	e.Wait("ComponentVersion", "by-account", e2etest.NotReady("AuthenticatedContextCreationFailed", "ServiceAccount "+e.Namespace+"/reader does not exist: create it"))
	e.Kubectl("create", "secret", "generic", "basic", "--from-literal=username=user", "--from-literal=password=right")
	all(e, "ComponentVersion/by-secret")
	e.Apply("{apiVersion: v1, kind: ServiceAccount, metadata: {name: reader}, imagePullSecrets: [{name: login}]}")
	e.Wait("ComponentVersion", "by-account", e2etest.NotReady("AuthenticatedContextCreationFailed", "Secret "+e.Namespace+"/login does not exist: create it"))
	pullSecret(e, "login", private.Host)
	all(e, "ComponentVersion/by-account")
}

// pullSecret makes a Secret as "kubectl create secret docker-registry" does.
func pullSecret(e *e2etest.Env, name, host string) {
	e.Kubectl("create", "secret", "docker-registry", name, "--docker-server="+host, "--docker-username=user", "--docker-password=right")
}

// contains says what is missing in a text.
func contains(text, part string) error {
	if !strings.Contains(text, part) {
		return fmt.Errorf("%q is not in %q", part, text)
	}
	return nil
}
