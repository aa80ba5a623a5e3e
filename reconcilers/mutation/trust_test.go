package mutation_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/configuration"
	"github.com/ocm-operator/ocm-operator/reconcilers/localization"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

// imageDigest is what the image of the component is said to be.
var imageDigest = digest.FromString("the image")

// excluded marks what the publisher did not want to sign.
var excluded = &descriptor.Digest{HashAlgorithm: descriptor.NoDigest, NormalisationAlgorithm: descriptor.ExcludeFromSignature, Value: descriptor.NoDigest}

// everyPart puts every part of an image reference somewhere.
const everyPart = `localization:
- resource: {name: image}
  file: deploy.yaml
  image: spec.image
  tag: spec.tag
  repository: spec.repository
  registry: spec.registry
  fullyQualifiedRepository: spec.full
`

// trusted makes the component version, and what was read from it, verified. Nothing here is about how that is found out.
func (s *stage) trusted(t *testing.T, image ocmtest.Resource, configData string) {
	t.Helper()
	s.Publish(s.url, ocmtest.Component{Name: app, Version: "1.1.0", Resources: []ocmtest.Resource{
		{Name: "manifests", Content: reconcilertest.Tar(t, map[string]string{"deploy.yaml": deploy})},
		{Name: "config", Content: []byte(configData)},
		{Name: "packed", Content: []byte("packed")},
		image,
	}})
	s.components.Reconcile(s.component)
	s.Verified(s.component)
	s.resources.Reconcile(s.resource)
	s.prove(t)
	s.forget()
}

// TestVerifiedImagesArePinned: what runs is what was verified, whatever the tag leads to later.
func TestVerifiedImagesArePinned(t *testing.T) {
	t.Parallel()
	sum := imageDigest.String()
	for name, tc := range map[string]struct {
		reference  string
		digest     *descriptor.Digest
		image, tag string
		reason     string
	}{
		"tag":            {"ghcr.io/acme/app:1.1.0", descriptor.NewArtifactDigest(imageDigest), "ghcr.io/acme/app:1.1.0@" + sum, "1.1.0@" + sum, "who reads it sees the tag still"},
		"tag and digest": {"ghcr.io/acme/app:1.1.0@" + sum, descriptor.NewArtifactDigest(imageDigest), "ghcr.io/acme/app:1.1.0@" + sum, "1.1.0@" + sum, "it is the same digest"},
		"digest":         {"ghcr.io/acme/app@" + sum, descriptor.NewArtifactDigest(imageDigest), "ghcr.io/acme/app@" + sum, sum, "there is no tag"},
		"excluded":       {"ghcr.io/acme/app:1.1.0", excluded, "ghcr.io/acme/app:1.1.0", "1.1.0", "there is nothing to pin it to"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, config)
			s.trusted(t, ocmtest.Resource{Name: "image", Image: tc.reference, Digest: tc.digest}, everyPart)
			l := s.localize(t)
			wantReady(t, l)
			want := "apiVersion: apps/v1 # kept\nspec:\n  replicas: 1\n  image: " + tc.image +
				"\n  registry: ghcr.io\n  repository: acme/app\n  full: ghcr.io/acme/app\n  tag: " + tc.tag + "\n"
			if diff := cmp.Diff(want, s.file(t, l.Status)); diff != "" {
				t.Errorf("%s: file (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestUnverifiedImagesStayAsTheyAre: a digest that nobody has verified proves nothing.
func TestUnverifiedImagesStayAsTheyAre(t *testing.T) {
	t.Parallel()
	s := newStage(t, config)
	s.trusted(t, ocmtest.Resource{Name: "image", Image: "ghcr.io/acme/app:1.1.0", Digest: descriptor.NewArtifactDigest(imageDigest)}, everyPart)
	s.Change(s.component, func() { s.component.Spec.Verify = nil })
	s.components.Reconcile(s.component)
	s.resources.Reconcile(s.resource)
	s.prove(t)
	l := s.localize(t)
	wantReady(t, l)
	if got := s.file(t, l.Status); !strings.Contains(got, "image: ghcr.io/acme/app:1.1.0\n") || l.Status.Origins[0].Verified {
		t.Errorf("file is %s, origins are %v", got, l.Status.Origins)
	}
}

// TestImageOfAnotherDigestIsRefused has an access that names another image than the one that was verified.
func TestImageOfAnotherDigestIsRefused(t *testing.T) {
	t.Parallel()
	other := digest.FromString("another image")
	s := newStage(t, config)
	s.trusted(t, ocmtest.Resource{Name: "image", Image: "ghcr.io/acme/app:1@" + other.String(), Digest: descriptor.NewArtifactDigest(imageDigest)}, everyPart)
	wantRefused(t, s.localize(t), "False "+v1alpha1.ReconcileMutationObjectFailedReason, other.String())
}

// TestTrustComesWithAllInputs verifies a version that was used before. What was made of it before is not combined with what
// is read of it now, and at the end everything says that it was verified.
func TestTrustComesWithAllInputs(t *testing.T) {
	t.Parallel()
	s := newStage(t, config)
	l := s.localize(t)
	wantReady(t, l)
	s.Verified(s.component)
	s.localizations.Reconcile(l)
	if got := reconcilertest.Message(l, "Reconciling"); !strings.Contains(got, "1.0.0 (verified)") || !strings.Contains(got, "1.0.0 (not verified)") || l.Status.Origins[0].Verified {
		t.Errorf("conditions are %v, %q; origins are %v: want that it waits for the Resource", reconcilertest.Conditions(l), got, l.Status.Origins)
	}
	s.resources.Reconcile(s.resource)
	s.prove(t)
	s.localizations.Reconcile(l)
	if origins := s.resource.Status.Origins; len(origins) != 1 || !origins[0].Verified {
		t.Errorf("origins of the Resource are %v", origins)
	}
	// The image of this component has no digest, which no verification lets pass.
	if got := reconcilertest.Message(l, "Ready"); !strings.Contains(got, `resource "image"`) {
		t.Errorf("message %q, want that the image can't be pinned", got)
	}
}

// TestSnapshotTellsItsOrigins: who looks at the content alone finds out where it came from, also when the same bytes are of
// another version later, and when an earlier version of this program did not say.
func TestSnapshotTellsItsOrigins(t *testing.T) {
	t.Parallel()
	s := newStage(t, config)
	s.trusted(t, ocmtest.Resource{Name: "image", Image: "ghcr.io/acme/app:1.1.0", Digest: descriptor.NewArtifactDigest(imageDigest)}, everyPart)
	l := s.localize(t)
	wantReady(t, l)
	want := []v1alpha1.Origin{{Namespace: "default", Name: "app", Version: "1.1.0", ManifestDigest: s.component.Status.ManifestDigest, Verified: true}}
	held := &v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named(l.Status.SnapshotName)}
	s.Get(held)
	if diff := cmp.Diff(want, held.Spec.Origins); diff != "" {
		t.Errorf("origins of the Snapshot (-want +got):\n%s", diff)
	}
	s.Change(held, func() { held.Spec.Origins = nil })
	s.forget()
	s.localizations.Reconcile(l)
	if diff := cmp.Diff([]string{"patch Snapshot default/" + held.Name}, s.Writes()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	s.Get(held)
	if diff := cmp.Diff(want, held.Spec.Origins); diff != "" {
		t.Errorf("origins of the Snapshot (-want +got):\n%s", diff)
	}
	s.prove(t)
	s.forget()
	for range 3 {
		s.localizations.Reconcile(l)
	}
	if requests, writes := s.registry.Requests(), s.Writes(); len(requests) > 0 || len(writes) > 0 {
		t.Errorf("requests %v, writes %v, though nothing changed", requests, writes)
	}
}

// denying has the operator deny what no signature can protect.
func (s *stage) denying() {
	s.options.Protection = source.Protection{Deny: true}
	s.localizations = s.Install(localization.Plugin(s.options))
	s.configurations = s.Install(configuration.Plugin(s.options))
}

// TestUnprotectedInputsAreDenied leaves out one digest after the other.
func TestUnprotectedInputsAreDenied(t *testing.T) {
	t.Parallel()
	const denied = "False " + v1alpha1.UnprotectedResourceReason
	sound := descriptor.NewArtifactDigest(imageDigest)
	for name, tc := range map[string]struct {
		config, values, image *descriptor.Digest
		without, rules        string
		ready                 string
	}{
		"all protected":   {image: sound, ready: "True Succeeded"},
		"excluded config": {config: excluded, image: sound, ready: denied},
		"no config":       {without: "config", image: sound, ready: denied},
		"excluded values": {values: excluded, image: sound, ready: denied},
		"no values":       {without: "values", image: sound, ready: denied},
		"no source":       {without: "manifests", image: sound, ready: denied},
		"excluded image":  {image: excluded, ready: denied},
		"no image":        {without: "image", ready: denied},
		"hidden image":    {image: excluded, rules: mapped(images), ready: denied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, config)
			rules := config
			if tc.rules != "" {
				rules = tc.rules
			}
			resource := func(r ocmtest.Resource, d *descriptor.Digest) ocmtest.Resource {
				r.Digest, r.NoDigest = d, tc.without == r.Name
				return r
			}
			s.Publish(s.url, ocmtest.Component{Name: app, Version: "1.1.0", Resources: []ocmtest.Resource{
				resource(ocmtest.Resource{Name: "manifests", Content: reconcilertest.Tar(t, map[string]string{"deploy.yaml": deploy})}, nil),
				resource(ocmtest.Resource{Name: "config", Content: []byte(rules)}, tc.config),
				resource(ocmtest.Resource{Name: "values", Content: []byte("replicas: 7\n")}, tc.values),
				resource(ocmtest.Resource{Name: "image", Image: "ghcr.io/acme/app:1.1.0"}, tc.image),
			}})
			s.components.Reconcile(s.component)
			s.denying()
			manifests, values := reconcilertest.FromComponent("app", "manifests"), reconcilertest.FromComponent("app", "values")
			c := configured(func(spec *v1alpha1.MutationSpec) {
				spec.SourceRef, spec.ValuesFrom = manifests, &v1alpha1.ValuesSource{SourceRef: &values}
			})
			ref := reconcilertest.FromComponent("app", "config")
			l := &v1alpha1.Localization{ObjectMeta: reconcilertest.Named("localized"), Spec: v1alpha1.MutationSpec{Schedule: reconcilertest.Schedule(), SourceRef: manifests, ConfigRef: &ref}}
			s.Create(c, l)
			s.localizations.Reconcile(l)
			s.configurations.Reconcile(c)
			// A Localization without values looks at images, and a Configuration at values.
			got, message := reconcilertest.Conditions(l)["Ready"], reconcilertest.Message(l, "Ready")
			if strings.Contains(name, "values") {
				got, message = reconcilertest.Conditions(c)["Ready"], reconcilertest.Message(c, "Ready")
			}
			if got != tc.ready {
				t.Errorf("Ready is %q: %s; want %q", got, message, tc.ready)
			}
			if tc.ready == denied && (!strings.Contains(message, source.DenyFlag) || !strings.Contains(message, "resource "+strings.Fields(name)[1]+":1.1.0") && !strings.Contains(message, "resource manifests:1.1.0")) {
				t.Errorf("message %q does not say which resource is denied, and by what", message)
			}
		})
	}
}

// TestMappingSeesPinnedImages: a program is shown what was verified, and not what an access says of it.
func TestMappingSeesPinnedImages(t *testing.T) {
	t.Parallel()
	s := newStage(t, config)
	s.trusted(t, ocmtest.Resource{Name: "image", Image: "ghcr.io/acme/app:1.1.0", Digest: descriptor.NewArtifactDigest(imageDigest)}, mapped(images))
	l := s.localize(t)
	wantReady(t, l)
	want := strings.Replace(deploy, "placeholder", "ghcr.io/acme/app:1.1.0@"+imageDigest.String(), 1)
	if diff := cmp.Diff(want, s.file(t, l.Status)); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
}

// TestMappingSeesNoImageThatCantBePinned has the digest of an archive beside a reference to an image: nothing says that both
// are the same.
func TestMappingSeesNoImageThatCantBePinned(t *testing.T) {
	t.Parallel()
	s := newStage(t, config)
	packed := digest.FromString("packed")
	access, err := descriptor.NewAccess(map[string]any{
		"type": "localBlob", "localReference": packed.String(), "mediaType": "application/vnd.oci.image.manifest.v1+tar+gzip",
		"globalAccess": map[string]string{"type": "ociArtifact", "imageReference": "ghcr.io/acme/app:1.1.0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	image := ocmtest.Resource{Name: "image", Type: "ociImage", Access: &access, Digest: descriptor.NewBlobDigest(packed)}
	s.trusted(t, image, mapped(strings.Replace(images, "r.access.image", "r.access.globalAccess.image", 1)))
	wantRefused(t, s.localize(t), "False "+v1alpha1.ReconcileMutationObjectFailedReason, "it was not shown where these resources are: resource image:1.1.0")
}

// TestMappingSeesWhatIsSigned: who can write to the registry can change labels that are not signed, and most of an access.
func TestMappingSeesWhatIsSigned(t *testing.T) {
	t.Parallel()
	const ports = "import \"encoding/json\"\nout: json.Marshal([for r in component.resources for l in *r.labels | [] {\"\\(l.name)=\\(l.value)\"}])"
	image := ocmtest.Resource{
		Name: "image", Image: "ghcr.io/acme/app:1.1.0", Digest: descriptor.NewArtifactDigest(imageDigest),
		Labels: []descriptor.Label{{Name: "port", Value: json.RawMessage("80"), Signing: true}, {Name: "debug", Value: json.RawMessage("1")}},
	}
	for name, tc := range map[string]struct{ program, shows, says string }{
		"labels":         {ports, "image:\n  - port=80\n", ""},
		"no other label": {`out: "\"\([for r in component.resources if r.name == "image" {r.labels[1].name}][0])\""`, "", `label "debug" of resource image:1.1.0`},
		"no access":      {`out: "\"\([for r in component.resources if r.name == "packed" {r.access.localReference}][0])\""`, "", "fields of access other than imageReference"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, config)
			s.trusted(t, image, mapped(tc.program))
			l := s.localize(t)
			if tc.says != "" {
				wantRefused(t, l, "False "+v1alpha1.ReconcileMutationObjectFailedReason, tc.says)
				return
			}
			wantReady(t, l)
			if got := s.file(t, l.Status); !strings.Contains(got, tc.shows) {
				t.Errorf("file is %s, want %s", got, tc.shows)
			}
		})
	}
}

// TestTamperedSourceIsNotUsed changes the content of a Resource on the disk, before and after a Localization has read it.
// Nothing is made of it, and once it is written again everything goes on.
func TestTamperedSourceIsNotUsed(t *testing.T) {
	t.Parallel()
	for name, localizedBefore := range map[string]bool{"before it was read": false, "after it was read": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, config)
			l := &v1alpha1.Localization{}
			if localizedBefore {
				l = s.localize(t)
				wantReady(t, l)
			}
			s.Tamper(s.resource.Status.LatestSnapshotDigest)
			if localizedBefore {
				s.Delete(&v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named(l.Status.SnapshotName)})
				s.localizations.Reconcile(l)
			} else {
				l = s.localize(t)
			}
			if got := reconcilertest.Message(l, "Ready") + reconcilertest.Message(l, "Reconciling"); !strings.Contains(got, "is not what was written, and has to be written again") || !strings.Contains(got, s.resource.Status.LatestSnapshotDigest) {
				t.Errorf("conditions are %v, %q", reconcilertest.Conditions(l), got)
			}
			s.prove(t)
			s.resources.Reconcile(s.resource)
			s.prove(t)
			s.localizations.Reconcile(l)
			wantReady(t, l)
			if got, want := s.file(t, l.Status), strings.Replace(deploy, "placeholder", "ghcr.io/acme/app:1.0.0", 1); got != want {
				t.Errorf("file (-want +got):\n%s", cmp.Diff(want, got))
			}
		})
	}
}

// TestSwitchedInputsAreRefused has a registry that serves other bytes than the component version was verified with.
func TestSwitchedInputsAreRefused(t *testing.T) {
	t.Parallel()
	const values = "replicas: 7\n"
	manifests := reconcilertest.Tar(t, map[string]string{"deploy.yaml": deploy, "other.txt": "1.0.0"})
	for name, blob := range map[string][]byte{"source": manifests, "config": []byte(config), "values": []byte(values)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, config)
			other := bytes.Replace(blob, []byte("replicas"), []byte("replicaz"), 1)
			s.registry.Inject(ocmtest.Replace(digest.FromBytes(blob), "text/plain", other))
			from := reconcilertest.FromComponent("app", "values")
			c := s.configure(t, func(spec *v1alpha1.MutationSpec) {
				spec.SourceRef, spec.ValuesFrom = reconcilertest.FromComponent("app", "manifests"), &v1alpha1.ValuesSource{SourceRef: &from}
			})
			wantRefused(t, c, "False "+v1alpha1.ContentMismatchReason, digest.FromBytes(blob).String())
		})
	}
}
