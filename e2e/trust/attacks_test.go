package trust_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

const (
	// good is what was signed, and evil what the attacker has in its place. They have the same length.
	good, evil = "good", "evil"

	attackedRules = `apiVersion: config.ocm.software/v1alpha1
kind: ConfigData
metadata: {name: rules}
localization:
- resource: {name: image}
  file: configmap.yaml
  image: data.image
`
	// attackedPipeline takes the component and the one that it refers to into the cluster.
	attackedPipeline = `apiVersion: delivery.ocm.software/v1alpha1
kind: Resource
metadata: {name: app}
spec: {interval: 10m0s, sourceRef: {name: podinfo, resourceRef: {name: manifests}}}
---
apiVersion: delivery.ocm.software/v1alpha1
kind: Localization
metadata: {name: app}
spec:
  interval: 10m0s
  sourceRef: {kind: Resource, name: app}
  configRef: {kind: ComponentVersion, name: podinfo, resourceRef: {name: rules}}
---
apiVersion: delivery.ocm.software/v1alpha1
kind: FluxDeployer
metadata: {name: app}
spec:
  interval: 10m0s
  sourceRef: {kind: Localization, name: app}
  kustomizationTemplate: {path: ./, prune: true, targetNamespace: "${NAMESPACE}"}
---
apiVersion: delivery.ocm.software/v1alpha1
kind: Resource
metadata: {name: nested}
spec: {interval: 10m0s, sourceRef: {name: podinfo, resourceRef: {name: manifests, referencePath: [{name: library}]}}}
---
apiVersion: delivery.ocm.software/v1alpha1
kind: FluxDeployer
metadata: {name: nested}
spec:
  interval: 10m0s
  sourceRef: {kind: Resource, name: nested}
  kustomizationTemplate: {path: ./, prune: true, targetNamespace: "${NAMESPACE}"}
---
`
)

// victim is a registry that serves a signed component, in the hands of an attacker.
type victim struct {
	*ocmtest.Server
	t *testing.T
	// image is the digest of the image that was signed.
	image digest.Digest
}

func newVictim(t *testing.T) *victim {
	t.Helper()
	v := &victim{Server: ocmtest.Start(t), t: t}
	v.image = v.push(good)
	v.publish(good, "operations")
	return v
}

// push pushes an image under the tag of the component.
func (v *victim) push(content string) digest.Digest {
	v.t.Helper()
	image := ocmtest.Artifact{Layers: []ocmtest.Layer{{MediaType: ocispec.MediaTypeImageLayer, Content: []byte(content)}}}
	manifest, err := image.Publish(v.t.Context(), v.URL+"/images/app:1.0.0", ocm.Options{})
	if err != nil {
		v.t.Fatal(err)
	}
	return manifest
}

// file is the archive of a component.
func (v *victim) file(name, content string) []byte {
	v.t.Helper()
	text := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\ndata:\n  says: " + content + "\n  image: none\n"
	archive, err := ocmtest.Tar(ocmtest.File{Name: "configmap.yaml", Content: []byte(text)})
	if err != nil {
		v.t.Fatal(err)
	}
	return archive
}

// publish publishes the component, and the one that it refers to, in place of what is there.
func (v *victim) publish(content, signer string) {
	v.t.Helper()
	key, _ := ocmtest.SignerOf(v.t, signer)
	resource := func(name string) ocmtest.Resource {
		return ocmtest.Resource{Name: "manifests", Type: "directory", MediaType: "application/x-tar", Content: v.file(name, content)}
	}
	library := ocmtest.Component{Name: "phoban.io/library", Version: "1.0.0", Resources: []ocmtest.Resource{resource("nested")}}
	publish(v.t, v.Server, library, ocmtest.Component{
		Name: podinfo, Version: "1.0.0",
		Resources: []ocmtest.Resource{
			resource("app"),
			{Name: "rules", Content: []byte(attackedRules)},
			{Name: "image", Image: v.URL + "/images/app:1.0.0", Digest: descriptor.NewArtifactDigest(v.image)},
		},
		References: []ocmtest.Reference{{Name: "library", To: &library}},
		Signatures: []ocmtest.Signature{{Name: "operations", Signer: key}},
	})
}

// manifest reads the manifest of a component as it is tagged now.
func (v *victim) manifest(component string) []byte {
	v.t.Helper()
	path := "/v2/trust/component-descriptors/" + component + "/manifests/1.0.0"
	answer := httptest.NewRecorder()
	v.ServeHTTP(answer, httptest.NewRequestWithContext(v.t.Context(), http.MethodGet, path, http.NoBody))
	if answer.Code != http.StatusOK {
		v.t.Fatalf("read %s: status %d", path, answer.Code)
	}
	return answer.Body.Bytes()
}

// swap answers whoever reads the manifest of a component by its digest with another one.
func (v *victim) swap(component string) {
	v.t.Helper()
	before := v.manifest(component)
	v.publish(evil, "attacker")
	v.Inject(ocmtest.Replace(digest.FromBytes(before), ocispec.MediaTypeImageManifest, v.manifest(component)))
}

// replace answers whoever reads a blob with another one.
func (v *victim) replace(blob, other []byte) {
	v.Inject(ocmtest.Replace(digest.FromBytes(blob), "application/x-tar", other))
}

// outcome is what may come of something that was signed.
type outcome int

const (
	// deployed: as it was signed.
	deployed outcome = iota
	// nothing: it is refused.
	nothing
)

// attack is what the registry does after the component was verified.
type attack struct {
	name string
	run  func(v *victim)
	// app and nested are what comes of what belongs to the component, and to the one that it refers to.
	app, nested outcome
	// refused is set when the ComponentVersion finds it out, too, as soon as it looks again.
	refused bool
}

func attacks() []attack {
	return []attack{
		{"no attack", func(*victim) {}, deployed, deployed, false},
		{"blob", func(v *victim) { v.replace(v.file("app", good), v.file("app", evil)) }, nothing, deployed, false},
		{"blob of the reference", func(v *victim) { v.replace(v.file("nested", good), v.file("nested", evil)) }, deployed, nothing, false},
		{"rules", func(v *victim) {
			v.replace([]byte(attackedRules), []byte(strings.Replace(attackedRules, "data.image", "data.evils", 1)))
		}, nothing, deployed, false},
		{"manifest", func(v *victim) { v.swap(podinfo) }, nothing, deployed, true},
		{"tag", func(v *victim) { v.publish(evil, "attacker") }, deployed, deployed, true},
		{"tag of the reference", func(v *victim) {
			library := ocmtest.Component{Name: "phoban.io/library", Version: "1.0.0", Resources: []ocmtest.Resource{
				{Name: "manifests", Type: "directory", MediaType: "application/x-tar", Content: v.file("nested", evil)},
			}}
			publish(v.t, v.Server, library)
		}, deployed, deployed, false},
		{"manifest of the reference", func(v *victim) { v.swap("phoban.io/library") }, deployed, nothing, true},
		{"tag of the image", func(v *victim) { v.push(evil) }, deployed, deployed, false},
		{"manifest of the image", func(v *victim) {
			v.Inject(ocmtest.Replace(v.image, ocispec.MediaTypeImageManifest, []byte(`{"schemaVersion":2,"evil":true}`)))
		}, deployed, deployed, false},
	}
}

// TestSwitchedAfterVerification has registries that serve good content while a component is verified, and other content as
// soon as it is to be deployed. The operator is started again in between, so that it remembers nothing of what it has read.
// What is deployed is what was signed, or nothing; and of the rest nothing is ever stored. The ComponentVersion is suspended
// meanwhile, so that what it has pinned decides, and not who is first. When it looks again, nothing that Flux has changes.
func TestSwitchedAfterVerification(t *testing.T) {
	e := artifactsCluster(t)
	all := attacks()
	victims, places := make([]*victim, len(all)), make([]*e2etest.Env, len(all))
	for i := range all {
		victims[i] = newVictim(t)
		place := *e
		place.Namespace = clustertest.Namespace(t, e.Cluster.Config())
		places[i] = &place
		place.Apply(keys(t, "operations") + follow(victims[i].Server, "{semver: 1.0.0}", bySecret))
	}
	for i := range all {
		places[i].Wait("ComponentVersion", "podinfo", e2etest.Ready)
		if !componentVersion(t, places[i], "podinfo").Status.Verified {
			t.Fatalf("%s: the component is not verified", all[i].name)
		}
		places[i].Apply(follow(victims[i].Server, "{semver: 1.0.0}", bySecret, "suspend: true"))
	}
	if err := e.Operator.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range all {
		all[i].run(victims[i])
		places[i].Apply(attackedPipeline)
	}
	if err := e.Operator.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, a := range all {
		t.Run(a.name, func(t *testing.T) { survives(t, places[i].ForTest(t), victims[i], a) })
	}
	if found := stored(t, e.Operator.RegistryDir(), evil); len(found) > 0 {
		t.Errorf("what nobody has signed is in %v", found)
	}
}

// survives wants what was signed to be deployed, or nothing, and that it stays.
func survives(t *testing.T, e *e2etest.Env, v *victim, a attack) {
	t.Helper()
	settled := func() {
		t.Helper()
		e.Eventually("what belongs to the component", func() error {
			return becomes(e, a.app, "Localization", "app", e2etest.Field(v.Host+"/images/app:1.0.0@"+v.image.String(), "data", "image"))
		})
		e.Eventually("what belongs to the reference", func() error { return becomes(e, a.nested, "Resource", "nested") })
	}
	settled()
	before := held(t, e)
	e.Apply(follow(v.Server, "{semver: 1.0.0}", bySecret))
	if a.refused {
		e.Wait("ComponentVersion", "podinfo", e2etest.NotReady("ComponentVerificationFailed"))
		for _, name := range []string{"app", "nested"} {
			e.Wait("Resource", name, func(obj *unstructured.Unstructured) error { return waits(e, obj) })
		}
	} else {
		e.Wait("ComponentVersion", "podinfo", e2etest.Ready)
		settled()
	}
	if diff := cmp.Diff(before, held(t, e)); diff != "" {
		t.Errorf("what is deployed has changed (-before +after):\n%s", diff)
	}
	for name, want := range map[string]outcome{"app": a.app, "nested": a.nested} {
		for _, kind := range []string{"Kustomization", "ExternalArtifact"} {
			if _, there := before[kind+" "+name]; there != (want == deployed) {
				t.Errorf("%s %s is there: %t", kind, name, there)
			}
		}
	}
}

// waits wants a Resource to stay what it is until its ComponentVersion can be used again.
func waits(e *e2etest.Env, obj *unstructured.Unstructured) error {
	if refused(e, "Resource", obj.GetName()) == nil {
		return nil
	}
	reconciling, err := e2etest.Condition(obj, "Reconciling")
	if err != nil {
		return err
	}
	if reconciling.Status != "True" || !strings.Contains(reconciling.Message, "/podinfo is not ready") {
		return fmt.Errorf("Resource %s has Reconciling %s: %s", obj.GetName(), reconciling.Status, reconciling.Message)
	}
	return nil
}

// held is what Flux has to work with, what it has made of it, and from what. An object that is written again to the same
// end is one that has changed, unless only its status was.
func held(t *testing.T, e *e2etest.Env) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, kind := range []string{"FluxDeployer", "Kustomization", "ExternalArtifact", "OCIRepository"} {
		for _, obj := range list(t, e, kind) {
			origins, _, _ := unstructured.NestedSlice(obj.Object, "status", "origins")
			artifact, _, _ := unstructured.NestedString(obj.Object, "status", "artifact", "digest")
			found[kind+" "+obj.GetName()] = fmt.Sprintf("%s, generation %d, artifact %s, origins %v", obj.GetUID(), obj.GetGeneration(), artifact, origins)
		}
	}
	for _, name := range []string{"app", "nested"} {
		if obj, err := e.Lookup("ConfigMap", name); err == nil {
			found["ConfigMap "+name] = obj.GetResourceVersion()
		}
	}
	return found
}

// becomes wants a ConfigMap to be deployed as it was signed, or what it would come from to be refused.
func becomes(e *e2etest.Env, want outcome, kind, name string, checks ...e2etest.Check) error {
	found, missing := e.Lookup("ConfigMap", name)
	if missing == nil {
		checks = append(checks, e2etest.Field(good, "data", "says"))
		for _, check := range checks {
			if err := check(found); err != nil {
				return err
			}
		}
	}
	if want == nothing {
		if missing == nil {
			return fmt.Errorf("%s %s is deployed", found.GetKind(), name)
		}
		return refused(e, kind, name)
	}
	if missing != nil {
		return missing
	}
	deployer, err := e.Lookup("FluxDeployer", name)
	if err != nil {
		return err
	}
	return fromVerified(deployer)
}

// fromVerified wants what is deployed to come from a verified component version.
func fromVerified(obj *unstructured.Unstructured) error {
	origins, _, err := unstructured.NestedSlice(obj.Object, "status", "origins")
	if err != nil || len(origins) != 1 {
		return errors.Join(fmt.Errorf("origins are %v, want one", origins), err)
	}
	if origin, _ := origins[0].(map[string]any); origin["verified"] != true {
		return fmt.Errorf("origin %v is not verified", origins[0])
	}
	return nil
}

// refused wants an object to be not Ready by a verdict about the content, its own or that of what it comes from.
func refused(e *e2etest.Env, kind, name string) error {
	obj, err := e.Lookup(kind, name)
	if err != nil {
		return err
	}
	ready, err := e2etest.Condition(obj, "Ready")
	if err != nil {
		return err
	}
	reasons := []string{"ContentMismatch", "GetComponentDescriptorFailed", "ComponentVersionNotReady", "ConfigRefNotReady"}
	if kind == "Localization" && ready.Reason == "SourceRefNotReady" {
		return refused(e, "Resource", name)
	}
	if ready.Status != "False" || !slices.Contains(reasons, ready.Reason) {
		return fmt.Errorf("%s %s has Ready %s, %s: %s", kind, name, ready.Status, ready.Reason, ready.Message)
	}
	return nil
}

// artifactsCluster has an operator that hands ExternalArtifacts to Flux, and looks at its Snapshots every second.
func artifactsCluster(t *testing.T) *e2etest.Env {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	options := cluster.Options{ControllerManager: true, Flux: true, KustomizeArgs: []string{"--feature-gates=ExternalArtifact=true"}}
	return e2etest.Own(t, options, "--snapshot-recheck-interval=1s", "--external-artifacts", "--artifact-addr="+address, "--artifact-address="+address)
}

// stored returns the files below the folder of the registry that hold a text, be it compressed. What is in quarantine is never served.
func stored(t *testing.T, dir, text string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && entry.Name() == "quarantine" {
			return filepath.SkipDir
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if unpacked, err := gzip.NewReader(bytes.NewReader(content)); err == nil {
			if content, err = io.ReadAll(unpacked); err != nil {
				return fmt.Errorf("unpack %s: %w", path, err)
			}
		}
		if bytes.Contains(content, []byte(text)) {
			found = append(found, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
