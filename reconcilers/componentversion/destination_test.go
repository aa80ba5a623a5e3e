package componentversion_test

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	corev1 "k8s.io/api/core/v1"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1/naming"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/reconcilers/transfers"
)

const lib = "acme.org/lib"

// mirrored is a stage with a second registry, to which versions are transferred.
type mirrored struct {
	*stage
	t      *testing.T
	mirror *ocmtest.Server
	// at is the URL of the destination.
	at string
	cv *v1alpha1.ComponentVersion
}

func newMirrored(t *testing.T) *mirrored {
	t.Helper()
	s, mirror := newStage(t), ocmtest.Start(t)
	m := &mirrored{stage: s, t: t, mirror: mirror, at: mirror.URL + "/mirror"}
	m.cv = reconcilertest.ComponentVersion("app", s.url, app, ">=1.0.0")
	m.cv.Spec.Destination = &v1alpha1.Repository{URL: m.at}
	return m
}

func (m *mirrored) owner() transfers.Owner {
	owner := transfers.Owner{Kind: v1alpha1.ComponentVersionKind}
	owner.Namespace, owner.Name = m.cv.Namespace, m.cv.Name
	return owner
}

// settle reconciles until no transfer goes on any more.
func (m *mirrored) settle() {
	m.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for m.Reconcile(m.cv); ; m.Reconcile(m.cv) {
		if _, _, known := m.Transfers().Look(m.owner()); !known {
			return
		}
		m.await(deadline, func(s transfers.State) bool { return s.Ended() })
	}
}

// await polls for a state of the transfer.
func (m *mirrored) await(deadline time.Time, is func(transfers.State) bool) {
	m.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if _, state, known := m.Transfers().Look(m.owner()); known && is(state) {
			return
		}
		if time.Now().After(deadline) {
			m.t.Fatal("the transfer has not come that far")
		}
	}
}

// start creates the object and reconciles it until it is settled.
func (m *mirrored) start() {
	m.t.Helper()
	m.Create(m.cv)
	m.settle()
}

// quiet drops what was counted so far.
func (m *mirrored) quiet() {
	m.forget()
	m.mirror.ResetRequests()
}

// rests wants no event and no write of another reconciliation.
func (m *mirrored) rests(t *testing.T) {
	t.Helper()
	m.quiet()
	m.settle()
	m.wantQuiet(t)
}

// tree publishes a version with an image and a component that it refers to, and returns the digest of its manifest.
func (m *mirrored) tree(version string, signers ...string) digest.Digest {
	m.t.Helper()
	reference := m.registry.URL + "/images/web:" + version
	image, err := (ocmtest.Artifact{Layers: []ocmtest.Layer{{MediaType: "application/vnd.oci.image.layer.v1.tar+gzip", Content: []byte("layer of " + version)}}}).Publish(m.t.Context(), reference, ocm.Options{})
	if err != nil {
		m.t.Fatal(err)
	}
	child := ocmtest.Component{Name: lib, Version: version, Resources: []ocmtest.Resource{{Name: "data", Content: []byte("lib")}}}
	root := signed(m.t, version, signers...)
	root.Resources = append(root.Resources, ocmtest.Resource{Name: "image", Image: reference, Digest: descriptor.NewArtifactDigest(image)})
	root.References = []ocmtest.Reference{{Name: "lib", To: &child}}
	return m.publishAll(child, root)
}

// resolve returns what a tag leads to in a repository; it is empty if there is none.
func (m *mirrored) resolve(url, component, version string) string {
	m.t.Helper()
	repository, err := ocm.Open(url, ocm.Options{})
	if err != nil {
		m.t.Fatal(err)
	}
	found, err := repository.Resolve(m.t.Context(), component, version)
	if err != nil {
		return ""
	}
	return found.String()
}

// wantAt checks that the version is used as it was found at the source and is read from the destination.
func (m *mirrored) wantAt(version string, found digest.Digest) {
	m.t.Helper()
	wantReady(m.t, m.cv, version)
	status := m.cv.Status
	if status.SourceManifestDigest != found.String() || status.SourceRepositoryURL != m.url {
		m.t.Errorf("it was found as %s in %s, want %s in %s", status.SourceManifestDigest, status.SourceRepositoryURL, found, m.url)
	}
	if got := m.resolve(m.at, app, version); status.ManifestDigest != got || got == "" || status.ReplicatedRepositoryURL != m.at {
		m.t.Errorf("it is read as %s from %s, want %s from %s", status.ManifestDigest, status.ReplicatedRepositoryURL, got, m.at)
	}
	if status.Progress != nil || status.ComponentDescriptor.ManifestDigest != status.ManifestDigest {
		m.t.Errorf("progress is %v, the tree begins with %s", status.Progress, status.ComponentDescriptor.ManifestDigest)
	}
	for _, below := range status.ComponentDescriptor.References {
		if got := m.resolve(m.at, below.ComponentName, below.Version); below.ManifestDigest != got || got == "" {
			m.t.Errorf("reference %s is pinned to %s, want %s", below.Name, below.ManifestDigest, got)
		}
	}
	if accepted := status.AcceptedVersions; len(accepted) == 0 || accepted[len(accepted)-1].ManifestDigest != found.String() {
		m.t.Errorf("accepted are %+v, want the digest at the source", accepted)
	}
}

func TestDestination(t *testing.T) {
	t.Parallel()
	m := newMirrored(t)
	found := m.tree("1.0.0")
	m.start()
	m.wantAt("1.0.0", found)
	descriptor := &v1alpha1.ComponentDescriptor{ObjectMeta: reconcilertest.Named(naming.ComponentDescriptorName(app, "1.0.0", nil))}
	m.Get(descriptor)
	for _, resource := range descriptor.Spec.Resources {
		access, err := json.Marshal(resource.Access)
		if err != nil || resource.Name == "image" && !strings.Contains(string(access), m.mirror.Host+"/mirror/images/web:1.0.0@") {
			t.Errorf("the image is at %s, %v, want it at the destination", access, err)
		}
	}
	events := m.Events()
	if len(events) != 3 || !strings.HasPrefix(events[1], "Normal Progressing Transferred version 1.0.0 to "+m.at+": ") {
		t.Errorf("events are %q, want one about the transfer", events)
	}
	for i := range 3 {
		m.rests(t)
		for request, n := range m.mirror.Requests() {
			if i > 0 && !strings.HasPrefix(request, "HEAD ") { // what it consists of is read once
				t.Errorf("%d times %s at the destination in an interval without news", n, request)
			}
		}
		if diff := cmp.Diff(map[string]int{"GET tags": 1, "HEAD manifests": 1}, m.registry.Requests()); diff != "" {
			t.Errorf("requests at the source (-want +got):\n%s", diff)
		}
	}
	next := m.tree("1.1.0")
	m.settle()
	m.wantAt("1.1.0", next)
}

func TestVerifiedDestination(t *testing.T) {
	t.Parallel()
	m := newMirrored(t)
	m.store(t, "dev", "dev")
	m.cv.Spec.Verify = stored("dev")
	found := m.tree("1.0.0", "dev")
	m.start()
	m.wantAt("1.0.0", found)
	proof := m.cv.Status.Proof
	if !m.cv.Status.Verified || len(m.cv.Status.Signatures) != 1 {
		t.Errorf("status is %+v, want that it was verified", m.cv.Status)
	}
	for i := range 3 {
		if i == 2 {
			m.restart(t)
		}
		m.rests(t)
		for request := range m.mirror.Requests() {
			if i == 1 && !strings.HasPrefix(request, "HEAD ") || request == "PUT manifests" { // it is read once, and after a restart
				t.Errorf("%s in interval %d", request, i)
			}
		}
	}
	// The same with one more signature is no other version; the copy gets the signature, too.
	again := m.tree("1.0.0", "dev", "security")
	m.settle()
	m.wantAt("1.0.0", again)
	if m.cv.Status.Proof == proof || !m.cv.Status.Verified {
		t.Errorf("proof is %s, want one of what is read now", m.cv.Status.Proof)
	}
	// A key that signed nothing: what is in use is not proven any more, whatever the destination has.
	m.store(t, "dev", "other")
	m.settle()
	wantNotReady(t, m.cv, v1alpha1.ComponentVerificationFailedReason, "failed to verify")
	if m.cv.Status.Verified {
		t.Error("the version in use counts as verified")
	}
	m.store(t, "dev", "dev")
	m.settle()
	m.wantAt("1.0.0", again)
}

// holdContent keeps those waiting who read a content at the destination, until it is let go; then they get the answer, if there is one.
func (m *mirrored) holdContent(content string, answer ...string) (letGo func()) {
	held := make(chan struct{})
	letGo = sync.OnceFunc(func() { close(held) })
	m.t.Cleanup(letGo)
	m.mirror.Inject(func(w http.ResponseWriter, request *http.Request) bool {
		if request.Method != http.MethodGet || !strings.HasSuffix(request.URL.Path, digestOf(content)) {
			return false
		}
		select {
		case <-held:
		case <-request.Context().Done():
		}
		for _, text := range answer {
			_, _ = io.WriteString(w, text)
		}
		return len(answer) > 0
	})
	return letGo
}

// until reconciles until the object says that something goes on.
func (m *mirrored) until(says string) {
	m.t.Helper()
	deadline, tick := time.Now().Add(time.Minute), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for m.Reconcile(m.cv); !strings.Contains(reconcilertest.Message(m.cv, meta.ReconcilingCondition), says); m.Reconcile(m.cv) {
		if time.Now().After(deadline) {
			m.t.Fatalf("conditions are %v, %q, want %q", reconcilertest.Conditions(m.cv), reconcilertest.Message(m.cv, meta.ReconcilingCondition), says)
		}
		<-tick.C
	}
}

// TestSlowVerificationAtTheDestination has contents that take long to be read back: the pool does that, so that who reconciles goes on
// with others.
func TestSlowVerificationAtTheDestination(t *testing.T) {
	t.Parallel()
	m := newMirrored(t)
	m.store(t, "dev", "dev")
	m.cv.Spec.Verify = stored("dev")
	found := m.tree("1.0.0", "dev")
	letGo := m.holdContent("data of 1.0.0")
	m.Create(m.cv)
	m.until("verifying version 1.0.0 of acme.org/app at " + m.at)
	other := reconcilertest.ComponentVersion("other", m.url, app, "1.0.0")
	m.Create(other)
	m.Reconcile(other)
	wantReady(t, other, "1.0.0")
	m.quiet()
	m.Reconcile(m.cv)
	if got := reconcilertest.Conditions(m.cv); got["Ready"] != "Unknown Progressing" || m.cv.Status.Verified || len(m.registry.Requests()) > 0 {
		t.Errorf("conditions are %v, verified is %t with requests %v, want that it goes on", got, m.cv.Status.Verified, m.registry.Requests())
	}
	if p := m.cv.Status.Progress; p == nil || p.Version != "1.0.0" || p.Phase != "Verifying" {
		t.Errorf("progress is %+v", p)
	}
	letGo()
	m.settle()
	m.wantAt("1.0.0", found)
	if !m.cv.Status.Verified || len(m.cv.Status.Signatures) != 1 {
		t.Errorf("status is %+v, want that it was verified", m.cv.Status)
	}
	m.rests(t)
}

// TestSlowVerificationRefuses reads something else back.
func TestSlowVerificationRefuses(t *testing.T) {
	t.Parallel()
	m := newMirrored(t)
	m.store(t, "dev", "dev")
	m.cv.Spec.Verify = stored("dev")
	m.tree("1.0.0", "dev")
	letGo := m.holdContent("data of 1.0.0", "DATA OF 1.0.0")
	m.Create(m.cv)
	m.until("verifying version 1.0.0")
	letGo()
	m.settle()
	wantNotReady(t, m.cv, v1alpha1.ComponentVerificationFailedReason, "failed to verify")
	if m.cv.Status.ReconciledVersion != "" || m.cv.Status.Progress != nil {
		t.Errorf("status is %+v, want nothing of it in use", m.cv.Status)
	}
}

// TestMutatedVersionIsNotTransferred: what was accepted is compared with what the source has.
func TestMutatedVersionIsNotTransferred(t *testing.T) {
	t.Parallel()
	m := newMirrored(t)
	was := m.publishAll(other("1.0.0", "first"))
	m.start()
	m.wantAt("1.0.0", was)
	copied := m.cv.Status.ManifestDigest
	is := m.publishAll(other("1.0.0", "second"))
	m.quiet()
	m.settle()
	wantNotReady(t, m.cv, v1alpha1.MutatedVersionReason, "its manifest is "+is.String())
	wantNotReady(t, m.cv, v1alpha1.MutatedVersionReason, "and was "+was.String())
	if m.cv.Status.ManifestDigest != copied || m.resolve(m.at, app, "1.0.0") != copied || len(m.mirror.Requests()) > 1 {
		t.Errorf("requests %v at the destination, want that it stays what it is", m.mirror.Requests())
	}
	m.Change(m.cv, func() { m.cv.Annotations = map[string]string{v1alpha1.AcceptDigestAnnotation: is.String()} })
	m.settle()
	m.wantAt("1.0.0", is)
	if m.cv.Status.ManifestDigest == copied {
		t.Error("the destination has what it had")
	}
}

func TestDestinationIsRepaired(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(t *testing.T, m *mirrored){
		"tag":          func(t *testing.T, m *mirrored) { remove(t, m.mirror, "mirror/component-descriptors/"+app, "1.0.0") },
		"tag below":    func(t *testing.T, m *mirrored) { remove(t, m.mirror, "mirror/component-descriptors/"+lib, "1.0.0") },
		"tag of image": func(t *testing.T, m *mirrored) { remove(t, m.mirror, "mirror/images/web", "1.0.0") },
		"everything":   func(_ *testing.T, m *mirrored) { m.wipe() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMirrored(t)
			m.store(t, "dev", "dev")
			m.cv.Spec.Verify = stored("dev")
			found := m.tree("1.0.0", "dev")
			m.start()
			m.wantAt("1.0.0", found)
			before := m.cv.Status
			m.quiet()
			lose(t, m)
			m.settle()
			m.wantAt("1.0.0", found)
			if diff := cmp.Diff(before.ManifestDigest, m.cv.Status.ManifestDigest); diff != "" {
				t.Errorf("the copy is another one (-want +got):\n%s", diff)
			}
			if events := m.Events(); len(events) != 1 || !strings.HasPrefix(events[0], "Normal Progressing Repaired version 1.0.0 at "+m.at) {
				t.Errorf("events are %q, want one about the repair", events)
			}
			m.rests(t)
		})
	}
}

// TestNestedIsMerged has others label a nested component version at the destination, which is no part of what is signed. What they
// wrote stays, and the status pins what there is now.
func TestNestedIsMerged(t *testing.T) {
	t.Parallel()
	m := newMirrored(t)
	m.store(t, "dev", "dev")
	m.cv.Spec.Verify = stored("dev")
	found := m.tree("1.0.0", "dev")
	m.start()
	m.wantAt("1.0.0", found)
	m.Publish(m.at, ocmtest.Component{
		Name: lib, Version: "1.0.0", Resources: []ocmtest.Resource{{Name: "data", Content: []byte("lib")}},
		Labels: []descriptor.Label{{Name: "acme.org/seen", Value: json.RawMessage(`"by others"`)}},
	})
	m.settle()
	m.wantAt("1.0.0", found)
	m.rests(t)
}

// wipe puts an empty registry in the place of the destination.
func (m *mirrored) wipe() {
	empty := ocmtest.NewRegistry()
	m.mirror.Inject(func(w http.ResponseWriter, request *http.Request) bool {
		empty.ServeHTTP(w, request)
		return true
	})
}

// remove takes a tag out of a registry.
func remove(t *testing.T, from *ocmtest.Server, repository, tag string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, from.URL+"/v2/"+repository+"/manifests/"+tag, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusAccepted {
		t.Fatalf("delete %s:%s: %s", repository, tag, response.Status)
	}
}

// TestDestinationChanges: adding, changing and removing it takes effect at once, with an unchanged version.
func TestDestinationChanges(t *testing.T) {
	t.Parallel()
	m := newMirrored(t)
	m.store(t, "dev", "dev")
	m.cv.Spec.Verify, m.cv.Spec.Destination = stored("dev"), nil
	found := m.tree("1.0.0", "dev")
	m.start()
	wantReady(t, m.cv, "1.0.0")
	direct := m.cv.Status
	to := func(destination *v1alpha1.Repository) {
		t.Helper()
		m.Change(m.cv, func() { m.cv.Spec.Destination = destination })
		m.settle()
	}
	to(&v1alpha1.Repository{URL: m.at})
	m.wantAt("1.0.0", found)
	other := m.mirror.URL + "/other"
	m.at = other
	to(&v1alpha1.Repository{URL: other})
	m.wantAt("1.0.0", found)
	to(nil)
	wantReady(t, m.cv, "1.0.0")
	got := m.cv.Status
	if got.ManifestDigest != found.String() || got.ReplicatedRepositoryURL != m.url || got.SourceManifestDigest != "" || got.SourceRepositoryURL != "" || got.Proof != direct.Proof {
		t.Errorf("status is %+v, want what it was without a destination", got)
	}
	if diff := cmp.Diff(direct.AcceptedVersions, got.AcceptedVersions); diff != "" || !got.Verified {
		t.Errorf("accepted (-want +got):\n%s", diff)
	}
	to(&v1alpha1.Repository{URL: m.url + "/"})
	wantNotReady(t, m.cv, v1alpha1.InvalidSpecReason, "spec.destination.url")
	if reconcilertest.Conditions(m.cv)["Stalled"] == "" {
		t.Error("it is not stalled, though only the user can change it")
	}
}

// TestConflictAtTheDestination: something else is there under the same version, which is left alone.
func TestConflictAtTheDestination(t *testing.T) {
	t.Parallel()
	m := newMirrored(t)
	theirs := m.Publish(m.at, other("1.0.0", "theirs"))
	ours := m.publishAll(other("1.0.0", "ours"))
	m.start()
	wantNotReady(t, m.cv, v1alpha1.TransferConflictReason, "other content")
	wantNotReady(t, m.cv, v1alpha1.TransferConflictReason, "delivery.ocm.software/accept-digest="+ours.String())
	if got := m.resolve(m.at, app, "1.0.0"); got != theirs.String() || m.cv.Status.ManifestDigest != "" {
		t.Errorf("the destination has %s and the status %s", got, m.cv.Status.ManifestDigest)
	}
	m.wantKnownConflict()
	m.Change(m.cv, func() { m.cv.Annotations = map[string]string{v1alpha1.AcceptDigestAnnotation: ours.String()} })
	m.settle()
	m.wantAt("1.0.0", ours)
}

// wantKnownConflict checks that a conflict is told of no more, and known without another transfer.
func (m *mirrored) wantKnownConflict() {
	m.t.Helper()
	for range 3 {
		m.quiet()
		m.settle()
		m.wantQuiet(m.t)
		wantNotReady(m.t, m.cv, v1alpha1.TransferConflictReason, "other content")
		if diff := cmp.Diff(map[string]int{"HEAD manifests": 1}, m.mirror.Requests()); diff != "" {
			m.t.Errorf("requests at the destination (-want +got):\n%s", diff)
		}
	}
}

// TestConflictBelow: what the component refers to is something else at the destination.
func TestConflictBelow(t *testing.T) {
	t.Parallel()
	m := newMirrored(t)
	m.tree("1.0.0")
	theirs := ocmtest.Component{Name: lib, Version: "1.0.0", Resources: []ocmtest.Resource{{Name: "data", Content: []byte("theirs")}}}
	m.Publish(m.at, theirs)
	m.start()
	wantNotReady(t, m.cv, v1alpha1.TransferConflictReason, lib+":1.0.0 with other content")
	m.wantKnownConflict()
	remove(t, m.mirror, "mirror/component-descriptors/"+lib, "1.0.0")
	m.settle()
	wantReady(t, m.cv, "1.0.0")
}

// TestDestinationThatRefuses: each fault has its message, nothing half done is used, and what was in use stays in use.
func TestDestinationThatRefuses(t *testing.T) {
	t.Parallel()
	answer := func(status int, only string) ocmtest.Fault {
		return func(w http.ResponseWriter, request *http.Request) bool {
			if request.Method != http.MethodPost && request.Method != http.MethodPut && request.Method != http.MethodPatch && only == "" {
				return false
			}
			http.Error(w, `{"errors":[{"code":"DENIED","message":"no"}]}`, status)
			return true
		}
	}
	for name, tc := range map[string]refusal{
		"read-only":         {answer(http.StatusMethodNotAllowed, ""), v1alpha1.TransferFailedReason, []string{"read-only", "spec.destination"}, false},
		"forbidden":         {answer(http.StatusForbidden, ""), v1alpha1.TransferFailedReason, []string{"403", "spec.destination.secretRef"}, false},
		"full":              {answer(http.StatusInsufficientStorage, ""), v1alpha1.DestinationFullReason, []string{"no room", "spec.destination"}, false},
		"too large":         {answer(http.StatusRequestEntityTooLarge, ""), v1alpha1.DestinationFullReason, []string{"413", "spec.destination"}, false},
		"wrong credentials": {answer(http.StatusUnauthorized, "all"), v1alpha1.AuthenticationFailedReason, []string{"spec.destination.secretRef"}, false},
		"unreachable":       {answer(http.StatusBadGateway, "all"), v1alpha1.TransferFailedReason, []string{"502"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.check(t)
		})
	}
}

// refusal is a destination that takes nothing.
type refusal struct {
	fault  ocmtest.Fault
	reason string
	says   []string
	passes bool
}

// check meets it with the first version, and with the next one.
func (tc refusal) check(t *testing.T) {
	t.Helper()
	m := newMirrored(t)
	found := m.tree("1.0.0")
	m.mirror.Inject(tc.fault)
	m.start()
	for _, says := range tc.says {
		wantNotReady(t, m.cv, tc.reason, says)
	}
	if m.cv.Status.ReconciledVersion != "" || m.resolve(m.at, app, "1.0.0") != "" {
		t.Errorf("version %q is in use, want none", m.cv.Status.ReconciledVersion)
	}
	m.mirror.Heal()
	m.settle()
	m.wantAt("1.0.0", found)
	m.tree("1.1.0")
	m.mirror.Inject(tc.fault)
	m.quiet()
	m.settle()
	told := "Ready"
	if tc.passes {
		told = "Reconciling"
		if got := reconcilertest.Conditions(m.cv); got["Ready"] != "True Succeeded" || got["Reconciling"] != "True "+meta.ProgressingWithRetryReason {
			t.Errorf("conditions are %v, want that it stays ready", got)
		}
	} else {
		wantNotReady(t, m.cv, tc.reason, "version 1.0.0 stays in use")
	}
	for _, says := range tc.says {
		if got := reconcilertest.Message(m.cv, told); !strings.Contains(got, says) || m.cv.Status.ReconciledVersion != "1.0.0" {
			t.Errorf("version in use is %s, message %q, want %q", m.cv.Status.ReconciledVersion, got, says)
		}
	}
	if events := m.Events(); !slices.ContainsFunc(events, func(event string) bool { return strings.HasPrefix(event, "Warning "+tc.reason) }) {
		t.Errorf("events are %q", events)
	}
	m.mirror.Heal()
	m.settle()
	wantReady(t, m.cv, "1.1.0")
}

// TestDestinationHasItsOwnCredentials, at the same host, too.
func TestDestinationHasItsOwnCredentials(t *testing.T) {
	t.Parallel()
	m := newMirrored(t)
	found := m.tree("1.0.0")
	m.mirror.RequireLogin("writer", "secret")
	m.cv.Spec.Destination.SecretRef = &meta.LocalObjectReference{Name: "writer"}
	m.start()
	wantNotReady(t, m.cv, v1alpha1.AuthenticatedContextCreationFailedReason, "Secret default/writer")
	m.Create(basic("writer", "writer", "guess"))
	m.settle()
	wantNotReady(t, m.cv, v1alpha1.AuthenticationFailedReason, `refuses the credential that was given, user "writer"`)
	wantNotReady(t, m.cv, v1alpha1.AuthenticationFailedReason, "spec.destination.secretRef")
	secret := basic("writer", "writer", "secret")
	m.Change(secret, func() { secret.Data["password"] = []byte("secret") })
	m.settle()
	wantReady(t, m.cv, "1.0.0")
	if m.cv.Status.SourceManifestDigest != found.String() {
		t.Errorf("status is %+v", m.cv.Status)
	}
}

// basic is a Secret with the credentials of a user.
func basic(name, user, password string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: reconcilertest.Named(name), Data: map[string][]byte{"username": []byte(user), "password": []byte(password)}}
}

// hold lets every upload at the destination wait until it is let go.
func (m *mirrored) hold() (letGo func()) {
	held := make(chan struct{})
	m.mirror.Inject(func(_ http.ResponseWriter, request *http.Request) bool {
		if ocmtest.Class(request) == ocmtest.ClassUploads {
			select {
			case <-held:
			case <-request.Context().Done():
			}
		}
		return false
	})
	return func() { close(held) }
}

// TestTransferThatGoesOn is told of in the status, and nothing is asked of the source meanwhile.
func TestTransferThatGoesOn(t *testing.T) {
	t.Parallel()
	m := newMirrored(t)
	found := m.tree("1.0.0")
	letGo := m.hold()
	m.Create(m.cv)
	m.Reconcile(m.cv)
	m.await(time.Now().Add(time.Minute), func(s transfers.State) bool { return s.Progress.TotalBlobs > 0 })
	m.quiet()
	m.Reconcile(m.cv)
	if requests := m.registry.Requests(); requests["GET tags"]+requests["HEAD manifests"]+requests["GET manifests"] > 0 {
		t.Errorf("requests %v at the source, want none but for what is copied", requests)
	}
	if got := reconcilertest.Conditions(m.cv); got["Ready"] != "Unknown Progressing" || got["Reconciling"] != "True Progressing" {
		t.Errorf("conditions are %v", got)
	}
	if got := reconcilertest.Message(m.cv, "Reconciling"); !strings.HasPrefix(got, "transferring version 1.0.0 of acme.org/app to "+m.at+": copying, ") {
		t.Errorf("message is %q", got)
	}
	if p := m.cv.Status.Progress; p == nil || p.Version != "1.0.0" || p.Phase != "Copying" || p.TotalBlobs == 0 {
		t.Errorf("progress is %+v", p)
	}
	letGo()
	m.settle()
	m.wantAt("1.0.0", found)
}

// TestTransferIsDropped when the object is suspended or deleted, or wants no destination any more.
func TestTransferIsDropped(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]func(m *mirrored){
		"suspended": func(m *mirrored) { m.Change(m.cv, func() { m.cv.Spec.Suspend = true }) },
		"deleted":   func(m *mirrored) { m.Delete(m.cv) },
		"removed":   func(m *mirrored) { m.Change(m.cv, func() { m.cv.Spec.Destination = nil }) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMirrored(t)
			m.tree("1.0.0")
			letGo := m.hold()
			defer letGo()
			m.Create(m.cv)
			m.Reconcile(m.cv)
			m.await(time.Now().Add(time.Minute), func(s transfers.State) bool { return s.Running })
			m.Reconcile(m.cv)
			tc(m)
			if _, err := m.Try(t.Context(), m.cv); err != nil {
				t.Fatal(err)
			}
			if _, _, known := m.Transfers().Look(m.owner()); known {
				t.Error("the transfer goes on")
			}
			if m.resolve(m.at, app, "1.0.0") != "" || name != "deleted" && m.cv.Status.Progress != nil {
				t.Errorf("progress is %+v", m.cv.Status.Progress)
			}
		})
	}
}

// TestDestinationIsAnArchive, which is read like a registry.
func TestDestinationIsAnArchive(t *testing.T) {
	t.Parallel()
	m := newMirrored(t)
	repositories, err := access.New(access.Options{
		Live: m.Client, Transport: http.DefaultTransport, AllowedHosts: []string{"127.0.0.1"}, Archives: access.ArchiveOptions{Dir: t.TempDir()},
	})
	if err != nil {
		t.Fatal(err)
	}
	m.Repositories = repositories
	m.install()
	m.store(t, "dev", "dev")
	m.cv.Spec.Verify, m.cv.Spec.Destination.URL = stored("dev"), "ctf::mirror/app.tgz"
	m.tree("1.0.0", "dev")
	m.start()
	wantReady(t, m.cv, "1.0.0")
	m.rests(t)
	found := m.tree("1.1.0", "dev")
	m.settle()
	wantReady(t, m.cv, "1.1.0")
	status := m.cv.Status
	if status.ReplicatedRepositoryURL != "ctf::mirror/app.tgz" || status.SourceManifestDigest != found.String() || !status.Verified {
		t.Errorf("status is %+v", status)
	}
	m.quiet()
	repository, err := repositories.Effective(t.Context(), m.cv)
	if err != nil {
		t.Fatal(err)
	}
	node := source.Node{Component: app, Version: "1.1.0", ManifestDigest: status.ManifestDigest}
	if _, err := repository.Pinned(t.Context(), node); err != nil || len(m.registry.Requests()) > 0 {
		t.Errorf("read from the archive: %v, with requests %v", err, m.registry.Requests())
	}
}
