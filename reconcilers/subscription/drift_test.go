package subscription_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	corev1 "k8s.io/api/core/v1"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// manifestURL is where a manifest of the component is.
func manifestURL(repository, reference string) string {
	host, path, _ := strings.Cut(strings.TrimPrefix(repository, "http://"), "/")
	return "http://" + host + "/v2/" + path + "/component-descriptors/" + app + "/manifests/" + reference
}

// blobURL is where a blob of the component is.
func blobURL(repository, content string) string {
	return strings.Replace(manifestURL(repository, digest.FromString(content).String()), "/manifests/", "/blobs/", 1)
}

// ask sends a request about a manifest and returns what is answered.
func (s *stage) ask(method, url string, body []byte) []byte {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
	req.Header.Set("Accept", "application/vnd.oci.image.manifest.v1+json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= http.StatusBadRequest {
		s.t.Fatalf("%s %s: %s %s %v", method, url, resp.Status, answer, err)
	}
	return answer
}

// tag lets another tag lead to the manifest of a version at the source.
func (s *stage) tag(version, tag string) {
	s.t.Helper()
	s.ask(http.MethodPut, manifestURL(s.source, tag), s.ask(http.MethodGet, manifestURL(s.source, version), nil))
}

// lose deletes the tag of a version at the destination.
func (s *stage) lose(version string) {
	s.t.Helper()
	s.ask(http.MethodDelete, manifestURL(s.destination, version), nil)
}

func drift(mode string) func(*v1alpha1.ComponentSubscription) {
	return func(sub *v1alpha1.ComponentSubscription) { sub.Spec.DriftDetection.Mode = mode }
}

func TestDrift(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		mode     string
		repaired bool
		ready    string
	}{
		"by default": {"", true, "True Succeeded"},
		"enabled":    {v1alpha1.DriftEnabled, true, "True Succeeded"},
		"warn":       {v1alpha1.DriftWarn, false, "False " + v1alpha1.DestinationDriftedReason},
		"disabled":   {v1alpha1.DriftDisabled, false, "True Succeeded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.release("1.0.0", "1.1.0")
			sub := s.subscribe(all(2), drift(tc.mode))
			wantReady(t, sub, "1.1.0")
			s.lose("1.0.0")
			s.forget()
			s.settle(sub)
			if got := condition(sub); got != tc.ready {
				t.Errorf("Ready is %q, %q, want %q", got, reconcilertest.Message(sub, meta.ReadyCondition), tc.ready)
			}
			want := []string{"1.1.0"}
			if tc.repaired {
				want = []string{"1.0.0", "1.1.0"}
				if got := sub.Status.History[0]; got.Result != v1alpha1.ReplicationRepaired || got.Version != "1.0.0" {
					t.Errorf("history begins with %+v", got)
				}
			}
			if diff := cmp.Diff(want, s.at(s.destination)); diff != "" {
				t.Errorf("at the destination (-want +got):\n%s", diff)
			}
			if told := strings.Contains(strings.Join(s.Events(), "\n"), "Repaired version 1.0.0"); told != tc.repaired {
				t.Errorf("an event tells of the repair: %t, want %t", told, tc.repaired)
			}
			s.rests(sub)
		})
	}
}

// TestSpecChanges changes what decides where versions are and what was proven: each takes effect, though the version is the same.
func TestSpecChanges(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.keys("dev", "ops")
	s.publish(s.signed("1.0.0", "dev"))
	sub := s.subscribe(verify("dev"))
	wantReady(t, sub, "1.0.0")
	if !sub.Status.Verified || len(sub.Status.Signatures) != 1 {
		t.Fatalf("status is %+v", sub.Status)
	}

	other := s.to.URL + "/other"
	s.change(sub, func() { sub.Spec.Destination.URL = other })
	wantReady(t, sub, "1.0.0")
	if sub.Status.ReplicatedRepositoryURL != other || len(s.at(other)) != 1 || len(s.at(s.destination)) != 1 {
		t.Errorf("status is %+v; there is %v at the new and %v at the old destination, want it at both", sub.Status, s.at(other), s.at(s.destination))
	}

	s.change(sub, func() { verify("ops")(sub) })
	wantFailed(t, sub, v1alpha1.ComponentVerificationFailedReason, "1.0.0", `"ops"`)
	if sub.Status.Verified {
		t.Error("the status says that it was verified, want what spec.verify asks for now")
	}
	s.change(sub, func() { sub.Spec.Verify = nil })
	wantReady(t, sub, "1.0.0")
	if sub.Status.Verified || len(sub.Status.Signatures) > 0 {
		t.Errorf("status is %+v, want nothing verified", sub.Status)
	}

	s.change(sub, func() { onlyFollowed(sub) })
	wantReady(t, sub, "1.0.0")
	if sub.Status.ReplicatedRepositoryURL != s.source {
		t.Errorf("replicatedRepositoryURL is %q, want the source", sub.Status.ReplicatedRepositoryURL)
	}

	s.Publish(s.source, withName(component("0.5.0"), "acme.org/other"))
	s.change(sub, func() { sub.Spec.Component = "acme.org/other" })
	wantReady(t, sub, "0.5.0")
	if sub.Status.Component != "acme.org/other" || sub.Status.HighestVersion != "0.5.0" || len(sub.Status.ReplicatedVersions) != 1 {
		t.Errorf("status is %+v, want nothing of the component before", sub.Status)
	}
}

// TestKeys has keys that come late, and keys that change.
func TestKeys(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.publish(s.signed("1.0.0", "dev"))
	sub := s.subscribe(verify("dev"))
	wantFailed(t, sub, v1alpha1.ComponentVerificationFailedReason, "public key not found", "keys")
	if len(s.at(s.destination)) > 0 {
		t.Error("something was copied before it was verified")
	}
	s.keys("dev")
	s.settle(sub)
	wantReady(t, sub, "1.0.0")
	secret := &corev1.Secret{ObjectMeta: reconcilertest.Named("keys")}
	s.Change(secret, func() { secret.Data["dev"] = secretOf(s, "other") })
	s.settle(sub)
	wantFailed(t, sub, v1alpha1.ComponentVerificationFailedReason, "1.0.0")
	if sub.Status.Verified || sub.Status.LastFailure == nil || sub.Status.LastFailure.Reason != v1alpha1.ComponentVerificationFailedReason {
		t.Errorf("status is %+v", sub.Status)
	}
	s.Change(secret, func() { secret.Data["dev"] = secretOf(s, "dev") })
	s.settle(sub)
	wantReady(t, sub, "1.0.0")

	// While the source is silent, nothing proves the version by another key.
	s.Change(secret, func() { secret.Data["dev"] = secretOf(s, "other") })
	s.from.Inject(answerAll(http.StatusBadGateway))
	s.settle(sub)
	wantFailed(t, sub, v1alpha1.ComponentVerificationFailedReason, "the keys have changed")
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release("1.0.0")
	s.from.RequireLogin("reader", "one")
	s.to.RequireLogin("writer", "two")
	sub := s.subscribe(func(sub *v1alpha1.ComponentSubscription) {
		sub.Spec.Source.SecretRef = &meta.LocalObjectReference{Name: "reader"}
		sub.Spec.Destination.SecretRef = &meta.LocalObjectReference{Name: "writer"}
	})
	wantFailed(t, sub, v1alpha1.AuthenticationFailedReason, "reader")
	s.Create(login("reader", "reader", "one"))
	s.settle(sub)
	wantFailed(t, sub, v1alpha1.AuthenticationFailedReason, "writer")
	s.Create(login("writer", "writer", "wrong"))
	s.settle(sub)
	wantFailed(t, sub, v1alpha1.AuthenticationFailedReason, s.to.Host)
	secret := login("writer", "writer", "")
	s.Change(secret, func() { secret.Data["password"] = []byte("two") })
	s.settle(sub)
	wantReady(t, sub, "1.0.0")
}
