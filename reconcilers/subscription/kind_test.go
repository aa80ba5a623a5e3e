package subscription_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/reconcilers/subscription"
	"github.com/ocm-operator/ocm-operator/reconcilers/transfers"
)

const app = "acme.org/app"

// stage is a cluster with a registry that components are published to, and one that they are replicated to.
type stage struct {
	*reconcilertest.World
	*reconcilertest.Controller
	t        *testing.T
	from, to *ocmtest.Server
	// source and destination are the URLs of the repositories.
	source, destination string
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{World: reconcilertest.New(t), t: t, from: ocmtest.Start(t), to: ocmtest.Start(t)}
	s.source, s.destination = s.from.URL+"/ocm", s.to.URL+"/mirror"
	s.install()
	return s
}

// install sets the feature up; done again, it is as after a restart.
func (s *stage) install() {
	s.t.Helper()
	s.Controller = s.Install(subscription.Plugin(subscription.Options{Lifecycle: s.Lifecycle, Repositories: s.Repositories, Transfers: s.Transfers()}))
}

// release publishes versions of the component, each with a resource.
func (s *stage) release(versions ...string) {
	s.t.Helper()
	for _, version := range versions {
		s.publish(component(version))
	}
}

// component returns a version of the component with a resource.
func component(version string, signatures ...ocmtest.Signature) ocmtest.Component {
	return ocmtest.Component{
		Name: app, Version: version, Signatures: signatures,
		Resources: []ocmtest.Resource{{Name: "data", Content: []byte("data of " + version)}},
	}
}

func (s *stage) publish(c ocmtest.Component) digest.Digest {
	s.t.Helper()
	return s.Publish(s.source, c)
}

// signed returns a version that is signed with keys of these names.
func (s *stage) signed(version string, names ...string) ocmtest.Component {
	s.t.Helper()
	c := component(version)
	for _, name := range names {
		signer, _ := ocmtest.SignerOf(s.t, name)
		c.Signatures = append(c.Signatures, ocmtest.Signature{Name: name, Signer: signer})
	}
	return c
}

// keys stores the public keys of signers in the Secret "keys".
func (s *stage) keys(names ...string) {
	s.t.Helper()
	secret := &corev1.Secret{ObjectMeta: reconcilertest.Named("keys"), Data: map[string][]byte{}}
	for _, name := range names {
		_, public := ocmtest.SignerOf(s.t, name)
		secret.Data[name] = public
	}
	s.Create(secret)
}

// verify asks for signatures by keys of the Secret "keys".
func verify(names ...string) func(*v1alpha1.ComponentSubscription) {
	return func(sub *v1alpha1.ComponentSubscription) {
		for _, name := range names {
			sub.Spec.Verify = append(sub.Spec.Verify, v1alpha1.SubscriptionSignature{
				Name: name, PublicKey: &v1alpha1.PublicKey{SecretRef: &meta.LocalObjectReference{Name: "keys"}},
			})
		}
	}
}

// all asks for several versions.
func all(limit int32) func(*v1alpha1.ComponentSubscription) {
	return func(sub *v1alpha1.ComponentSubscription) {
		sub.Spec.Versions, sub.Spec.Limit = v1alpha1.VersionsAll, &limit
	}
}

func semver(constraint string) func(*v1alpha1.ComponentSubscription) {
	return func(sub *v1alpha1.ComponentSubscription) { sub.Spec.Semver = constraint }
}

func onlyFollowed(sub *v1alpha1.ComponentSubscription) { sub.Spec.Destination = nil }

func withName(c ocmtest.Component, name string) ocmtest.Component {
	c.Name = name
	return c
}

// secretOf returns the public key of a signer.
func secretOf(s *stage, name string) []byte {
	_, public := ocmtest.SignerOf(s.t, name)
	return public
}

// login is a Secret with credentials.
func login(name, user, password string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: reconcilertest.Named(name), Data: map[string][]byte{"username": []byte(user), "password": []byte(password)}}
}

// subscriptionOf is a subscription of the component.
func subscriptionOf(s *stage) *v1alpha1.ComponentSubscription {
	return &v1alpha1.ComponentSubscription{
		ObjectMeta: reconcilertest.Named("app"),
		Spec: v1alpha1.ComponentSubscriptionSpec{
			Schedule: reconcilertest.Schedule(), Component: app,
			Source: v1alpha1.Repository{URL: s.source}, Destination: &v1alpha1.Repository{URL: s.destination},
		},
	}
}

// ownerOf is whom the pool works for.
func ownerOf(sub *v1alpha1.ComponentSubscription) transfers.Owner {
	return transfers.Owner{Kind: v1alpha1.ComponentSubscriptionKind, NamespacedName: client.ObjectKeyFromObject(sub)}
}

// gone checks that the pool does nothing for an object.
func (s *stage) gone(sub *v1alpha1.ComponentSubscription) {
	s.t.Helper()
	if _, _, known := s.Transfers().Look(ownerOf(sub)); known {
		s.t.Error("something goes on that nobody wants any more")
	}
}

// subscribe creates a subscription and reconciles it until nothing goes on.
func (s *stage) subscribe(adjust ...func(*v1alpha1.ComponentSubscription)) *v1alpha1.ComponentSubscription {
	s.t.Helper()
	sub := subscriptionOf(s)
	for _, f := range adjust {
		f(sub)
	}
	s.Create(sub)
	s.settle(sub)
	return sub
}

// settle reconciles an object until nothing goes on for it, as the pool would have it by waking it.
func (s *stage) settle(sub *v1alpha1.ComponentSubscription) {
	s.t.Helper()
	for range 200 {
		s.Reconcile(sub)
		if !isBusy(sub) {
			return
		}
		s.await(sub)
	}
	s.t.Fatalf("it goes on for ever: %v", sub.Status.Conditions)
}

// isBusy tells whether something goes on for an object.
func isBusy(sub *v1alpha1.ComponentSubscription) bool {
	return conditions.GetReason(sub, meta.ReconcilingCondition) == meta.ProgressingReason
}

// await waits for the end of what goes on.
func (s *stage) await(sub *v1alpha1.ComponentSubscription) {
	s.t.Helper()
	s.eventually("the end of what goes on", func() bool {
		_, state, known := s.Transfers().Look(ownerOf(sub))
		return !known || state.Ended()
	})
}

// eventually polls until something holds.
func (s *stage) eventually(what string, holds func() bool) {
	s.t.Helper()
	const patience, every = time.Minute, 2 * time.Millisecond
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); !holds(); <-ticker.C {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s did not come", what)
		}
	}
}

// change changes an object and reconciles it until nothing goes on.
func (s *stage) change(sub *v1alpha1.ComponentSubscription, change func()) {
	s.t.Helper()
	s.Change(sub, change)
	s.settle(sub)
}

// forget drops what was counted so far.
func (s *stage) forget() {
	s.Events()
	s.Writes()
	s.from.ResetRequests()
	s.to.ResetRequests()
}

// rests wants no event and no write of another reconciliation.
func (s *stage) rests(sub *v1alpha1.ComponentSubscription) {
	s.t.Helper()
	s.forget()
	s.settle(sub)
	s.quiet()
}

// quiet tells that nothing was written or reported.
func (s *stage) quiet() {
	s.t.Helper()
	if events, writes := s.Events(), s.Writes(); len(events) > 0 || len(writes) > 0 {
		s.t.Errorf("events %q and writes %q, want none", events, writes)
	}
}

// at returns the versions of the component in a repository.
func (s *stage) at(url string) []string {
	s.t.Helper()
	versions, err := s.open(url).ListVersions(s.t.Context(), app)
	if err != nil {
		return nil
	}
	slices.Sort(versions)
	return versions
}

func (s *stage) open(url string) *ocm.Repository {
	s.t.Helper()
	repository, err := ocm.Open(url, ocm.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	return repository
}

// manifest returns what a tag leads to.
func (s *stage) manifest(url, version string) string {
	s.t.Helper()
	found, err := s.open(url).Resolve(s.t.Context(), app, version)
	if err != nil {
		s.t.Fatalf("resolve %s at %s: %v", version, url, err)
	}
	return found.String()
}

// wantReady checks the condition and both spellings of what was replicated.
func wantReady(t *testing.T, sub *v1alpha1.ComponentSubscription, version string) {
	t.Helper()
	if !conditions.IsReady(sub) || len(sub.Status.Conditions) != 1 || sub.Status.ObservedGeneration != sub.Generation {
		t.Fatalf("conditions are %v, %q", reconcilertest.Conditions(sub), reconcilertest.Message(sub, meta.ReadyCondition))
	}
	status := sub.Status
	if status.ReplicatedVersion != version || status.LastAppliedVersion != version {
		t.Errorf("replicatedVersion and lastAppliedVersion are %q and %q, want %q", status.ReplicatedVersion, status.LastAppliedVersion, version)
	}
	if status.Progress != nil {
		t.Errorf("progress is %+v after the end", status.Progress)
	}
}

// wantFailed checks that an object is not ready, and why.
func wantFailed(t *testing.T, sub *v1alpha1.ComponentSubscription, reason string, parts ...string) {
	t.Helper()
	message := reconcilertest.Message(sub, meta.ReadyCondition)
	if got := condition(sub); got != "False "+reason {
		t.Fatalf("Ready is %q, %q, want False %s", got, message, reason)
	}
	for _, part := range parts {
		if !strings.Contains(message, part) {
			t.Errorf("the message %q does not say %q", message, part)
		}
	}
}

func TestReplicated(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release("1.0.0", "1.1.0", "2.0.0-rc.1")
	sub := s.subscribe()
	wantReady(t, sub, "1.1.0")
	if diff := cmp.Diff([]string{"1.1.0"}, s.at(s.destination)); diff != "" {
		t.Errorf("versions at the destination (-want +got):\n%s", diff)
	}
	status := sub.Status
	if status.LatestVersion != "1.1.0" || status.LastAttemptedVersion != "1.1.0" || status.HighestVersion != "1.1.0" || status.Component != app || status.Verified {
		t.Errorf("status is %+v", status)
	}
	if status.ReplicatedRepositoryURL != s.destination || status.SourceRepositoryURL != s.source || status.ReplicatedDigest != s.manifest(s.destination, "1.1.0") {
		t.Errorf("status is %+v, want where it was found and where it is", status)
	}
	want := []v1alpha1.ReplicatedVersion{{Version: "1.1.0", SourceDigest: s.manifest(s.source, "1.1.0"), Digest: status.ReplicatedDigest}}
	if diff := cmp.Diff(want, status.ReplicatedVersions); diff != "" {
		t.Errorf("replicatedVersions (-want +got):\n%s", diff)
	}
	if len(status.History) != 1 || status.History[0].Result != v1alpha1.ReplicationSucceeded || status.History[0].Version != "1.1.0" || status.History[0].CopiedBlobs == 0 || status.LastFailure != nil {
		t.Errorf("history is %+v, last failure %+v", status.History, status.LastFailure)
	}
	if got := reconcilertest.Message(sub, meta.ReadyCondition); got != "Replicated version: 1.1.0" {
		t.Errorf("Ready says %q", got)
	}
	events := s.AnnotatedEvents()
	for _, part := range []string{"found latest version: 1.1.0", "Replicated version 1.1.0 to " + s.destination, v1alpha1.ComponentSubscriptionAnnotation + ":1.1.0:1.1.0"} {
		if !strings.Contains(strings.Join(events, "\n"), part) {
			t.Errorf("events %q don't say %q", events, part)
		}
	}
	if len(events) != 3 {
		t.Errorf("events are %q, want three", events)
	}
	s.install()
	s.settle(sub) // after a restart, what the version is made of is read once more
	for range 3 {
		s.rests(sub)
		if diff := cmp.Diff(map[string]int{"GET tags": 1, "HEAD manifests": 1}, s.from.Requests()); diff != "" {
			t.Errorf("requests at the source (-want +got):\n%s", diff)
		}
		for request := range s.to.Requests() {
			if !strings.HasPrefix(request, "HEAD") {
				t.Errorf("requests at the destination are %v, want nothing but HEAD", s.to.Requests())
			}
		}
	}
}

func TestNewVersionIsReplicated(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release("1.0.0+1")
	sub := s.subscribe(semver(">=1.0.0"))
	wantReady(t, sub, "1.0.0+1")
	for _, next := range []string{"1.0.0+2", "1.1.0"} {
		s.release(next)
		s.forget()
		s.settle(sub)
		wantReady(t, sub, next)
	}
	if diff := cmp.Diff([]string{"1.0.0+1", "1.0.0+2", "1.1.0"}, s.at(s.destination)); diff != "" {
		t.Errorf("versions at the destination: what was replicated stays (-want +got):\n%s", diff)
	}
	if got := len(sub.Status.ReplicatedVersions); got != 3 {
		t.Errorf("%d versions were replicated, want 3", got)
	}
}

// TestUserDocument is the manifest of the operator's first description, with the addresses of the test.
func TestUserDocument(t *testing.T) {
	t.Parallel()
	const name = "github.com/open-component-model/component-x"
	s := newStage(t)
	signer, public := ocmtest.SignerOf(t, "signature-name")
	for _, version := range []string{"v0.1.0", "v0.1.1", "v0.2.0"} {
		s.publish(ocmtest.Component{Name: name, Version: version, Signatures: []ocmtest.Signature{{Name: "signature-name", Signer: signer}}})
	}
	s.Create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "verify-key-name", Namespace: "ocm-system"}, Data: map[string][]byte{"signature-name": public}})
	for _, secret := range []string{"source-access-secret", "destination-access-secret"} {
		s.Create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: secret, Namespace: "ocm-system"}, StringData: nil, Data: map[string][]byte{"username": []byte("user"), "password": []byte(secret)}})
	}
	s.from.RequireLogin("user", "source-access-secret")
	s.to.RequireLogin("user", "destination-access-secret")
	sub := &v1alpha1.ComponentSubscription{}
	manifest := strings.NewReplacer("oci://source", s.source, "oci://destination", s.destination).Replace(`{
		"apiVersion": "delivery.ocm.software/v1alpha1",
		"kind": "ComponentSubscription",
		"metadata": {"name": "componentsubscription-sample", "namespace": "ocm-system"},
		"spec": {
			"source": {"secretRef": {"name": "source-access-secret"}, "url": "oci://source"},
			"destination": {"secretRef": {"name": "destination-access-secret"}, "url": "oci://destination"},
			"component": "https://github.com/open-component-model/component-x",
			"interval": "10m0s",
			"semver": "~v0.1.0",
			"verify": [{"signature": {"name": "signature-name", "key": {"name": "verify-key-name"}}}]
		}
	}`)
	if err := json.Unmarshal([]byte(manifest), sub); err != nil {
		t.Fatal(err)
	}
	s.Create(sub)
	s.settle(sub)
	wantReady(t, sub, "v0.1.1")
	if sub.Status.LatestVersion != "v0.1.1" || !sub.Status.Verified || len(sub.Status.Signatures) != 1 || sub.Status.Component != name {
		t.Errorf("status is %+v", sub.Status)
	}
}

func TestOnlyFollowed(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.keys("dev")
	s.publish(s.signed("1.0.0", "dev"))
	s.publish(s.signed("1.1.0"))
	sub := s.subscribe(onlyFollowed, verify("dev"))
	wantReady(t, sub, "1.0.0")
	if !sub.Status.Verified || sub.Status.ReplicatedRepositoryURL != s.source || sub.Status.ReplicatedDigest != s.manifest(s.source, "1.0.0") || sub.Status.LatestVersion != "1.1.0" {
		t.Errorf("status is %+v", sub.Status)
	}
	if len(sub.Status.PassedOver) != 1 || sub.Status.PassedOver[0].Version != "1.1.0" {
		t.Errorf("passed over are %+v, want the version that isn't signed", sub.Status.PassedOver)
	}
	for range 3 {
		s.rests(sub)
	}
}

func TestWakes(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release("1.0.0")
	sub := s.subscribe()
	s.forget()
	s.Change(sub, func() { sub.Annotations = map[string]string{meta.ReconcileRequestAnnotation: "now"} })
	s.settle(sub)
	if got := sub.Status.GetLastHandledReconcileRequest(); got != "now" {
		t.Errorf("lastHandledReconcileAt is %q, want the request", got)
	}
	result := s.Reconcile(sub)
	if result.RequeueAfter != reconcilertest.Interval {
		t.Errorf("looked at again after %s, want the interval", result.RequeueAfter.Round(time.Second))
	}
}

// condition returns Ready, as in "True Succeeded".
func condition(sub *v1alpha1.ComponentSubscription) string {
	return reconcilertest.Conditions(sub)["Ready"]
}
