package access_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// shared is a registry that two people share: each of them has a path, and a password for that path alone.
func shared(t *testing.T, w *reconcilertest.World, users map[string]string) *ocmtest.Server {
	t.Helper()
	server := ocmtest.Start(t)
	for path := range users {
		w.Publish(server.URL+"/"+path, ocmtest.Component{Name: component, Version: "1.0.0"})
	}
	server.Inject(func(rw http.ResponseWriter, req *http.Request) bool {
		user, password, _ := req.BasicAuth()
		for path, owner := range users {
			if strings.HasPrefix(req.URL.Path, "/v2/"+path+"/") && user == owner && password == "secret of "+owner {
				return false
			}
		}
		rw.Header().Set("WWW-Authenticate", `Basic realm="shared"`)
		rw.WriteHeader(http.StatusUnauthorized)
		return true
	})
	return server
}

func at(url, secret string) v1alpha1.Repository {
	return v1alpha1.Repository{URL: url, SecretRef: &meta.LocalObjectReference{Name: secret}}
}

// TestTwoSidesHaveTheirOwnCredentials: source and destination at one host are read with one password each, in either order, and
// never with that of the other side.
func TestTwoSidesHaveTheirOwnCredentials(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t, basic("reader", "reader", "secret of reader"), basic("writer", "writer", "secret of writer"))
	server := shared(t, w, map[string]string{"vendor": "reader", "mirror": "writer"})
	sub := &v1alpha1.ComponentSubscription{ObjectMeta: reconcilertest.Named("mirror")}
	cv := follow(server.URL+"/vendor", "reader", "")
	for name, user := range map[string]access.User{"subscription": access.SubscriptionUser(sub), "component version": access.ComponentVersionUser(cv)} {
		for _, tc := range []struct {
			path, secret, field string
			denied              bool
		}{
			{"vendor", "reader", "spec.source", false},
			{"mirror", "writer", "spec.destination", false},
			{"vendor", "reader", "spec.source", false},
			{"vendor", "writer", "spec.source", true},
			{"mirror", "reader", "spec.destination", true},
		} {
			repository, err := w.Repositories.Open(t.Context(), user, at(server.URL+"/"+tc.path, tc.secret), tc.field)
			if err != nil {
				t.Fatal(err)
			}
			_, err = repository.Resolve(t.Context(), component, "1.0.0")
			if errors.Is(err, ocm.ErrUnauthorized) != tc.denied || !tc.denied && err != nil {
				t.Errorf("%s: %s with the Secret %s: error is %v, want denied %t", name, tc.path, tc.secret, err, tc.denied)
			}
		}
	}
}

// TestEffective: a version that was transferred is read at the destination with the Secret of the destination, and no password goes
// to a host that the spec doesn't name it for.
func TestEffective(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t, basic("reader", "reader", "secret of reader"), basic("writer", "writer", "secret of writer"))
	server := shared(t, w, map[string]string{"vendor": "reader", "mirror": "writer", "old": "reader"})
	var told []string
	elsewhere := ocmtest.Start(t)
	elsewhere.Inject(func(rw http.ResponseWriter, req *http.Request) bool {
		told = append(told, req.Header.Get("Authorization"))
		rw.Header().Set("WWW-Authenticate", `Basic realm="elsewhere"`)
		rw.WriteHeader(http.StatusUnauthorized)
		return true
	})
	destination := at(server.URL+"/mirror", "writer")
	for name, tc := range map[string]struct {
		url         string
		destination *v1alpha1.Repository
		denied      bool
		reason      string
	}{
		"destination":           {server.URL + "/mirror", &destination, false, "the Secret is that of spec.destination"},
		"not transferred yet":   {server.URL + "/vendor", &destination, false, "the Secret is that of spec.repository"},
		"destination was taken": {server.URL + "/mirror", nil, true, "there is no Secret for it any more"},
		"path has changed":      {server.URL + "/old", nil, false, "it is the same host, for which the Secret is"},
		"host has changed":      {elsewhere.URL + "/vendor", nil, true, "the Secret is for another host"},
	} {
		t.Run(name, func(t *testing.T) {
			cv := follow(server.URL+"/vendor", "reader", "")
			cv.Spec.Destination, cv.Status.ReplicatedRepositoryURL = tc.destination, tc.url
			repository, err := w.Repositories.Effective(t.Context(), cv)
			if err != nil {
				t.Fatal(err)
			}
			_, err = repository.Resolve(t.Context(), component, "1.0.0")
			if errors.Is(err, ocm.ErrUnauthorized) != tc.denied || !tc.denied && err != nil {
				t.Errorf("error is %v, want denied %t: %s", err, tc.denied, tc.reason)
			}
		})
	}
	for _, secret := range told {
		if secret != "" {
			t.Errorf("the other host was told %q", secret)
		}
	}
	if len(told) == 0 {
		t.Error("the other host was not asked at all")
	}
}

// TestMessagesNameTheField: who reads them finds the place in the spec of the object.
func TestMessagesNameTheField(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	user := access.SubscriptionUser(&v1alpha1.ComponentSubscription{ObjectMeta: reconcilertest.Named("mirror")})
	missing := &meta.LocalObjectReference{Name: "missing"}
	for want, repository := range map[string]v1alpha1.Repository{
		".secretRef":      {URL: "ghcr.io/acme", SecretRef: missing},
		".certSecretRef":  {URL: "ghcr.io/acme", CertSecretRef: missing},
		".proxySecretRef": {URL: "ghcr.io/acme", ProxySecretRef: missing},
		".provider aws":   {URL: "ghcr.io/acme", Provider: v1alpha1.AWSProvider},
		".url":            {URL: "ghcr.io:port/acme"},
	} {
		for _, field := range []string{"spec.source", "spec.destination"} {
			if _, err := w.Repositories.Open(t.Context(), user, repository, field); err == nil || !strings.Contains(err.Error(), field+want) {
				t.Errorf("error is %v, want it to name %s%s", err, field, want)
			}
		}
	}
}

// TestPolicyOfSubscription: both forms of a signature give the policy that a ComponentVersion has, and messages name the form.
func TestPolicyOfSubscription(t *testing.T) {
	t.Parallel()
	_, key := ocmtest.SignerOf(t, "release")
	w := reconcilertest.New(t, keyring("keys", map[string][]byte{"release": key}))
	cv := signed("ghcr.io/acme", byKey("release", "keys"))
	want, err := w.Repositories.Policy(t.Context(), cv)
	if err != nil {
		t.Fatal(err)
	}
	plain := v1alpha1.SubscriptionSignature{Name: "release", PublicKey: &v1alpha1.PublicKey{SecretRef: &meta.LocalObjectReference{Name: "keys"}}}
	named := v1alpha1.SubscriptionSignature{Signature: &v1alpha1.NamedSignature{Name: "release", Key: meta.LocalObjectReference{Name: "keys"}}}
	for field, wanted := range map[string]v1alpha1.SubscriptionSignature{"publicKey.secretRef": plain, "signature.key": named} {
		sub := &v1alpha1.ComponentSubscription{ObjectMeta: reconcilertest.Named("mirror")}
		sub.Spec.Verify = []v1alpha1.SubscriptionSignature{wanted}
		policy, err := w.Repositories.PolicyOf(t.Context(), access.SubscriptionUser(sub))
		if err != nil {
			t.Fatal(err)
		}
		if policy.Fingerprint != want.Fingerprint || len(policy.Requests) != 1 || policy.Requests[0].Name != "release" {
			t.Errorf("%s: policy is %+v, want that of a ComponentVersion with the same key, %+v", field, policy, want)
		}
		sub.Namespace = "other"
		_, err = w.Repositories.PolicyOf(t.Context(), access.SubscriptionUser(sub))
		var missing *access.KeyMissingError
		if !errors.As(err, &missing) || missing.Namespace != "other" || !strings.Contains(err.Error(), "change "+field) {
			t.Errorf("%s: error is %v, want one that names the Secret in the namespace of the object and the field", field, err)
		}
	}
	broken := &v1alpha1.ComponentSubscription{ObjectMeta: reconcilertest.Named("mirror")}
	broken.Spec.Verify = []v1alpha1.SubscriptionSignature{{Name: "release"}}
	_, err = w.Repositories.PolicyOf(t.Context(), access.SubscriptionUser(broken))
	if err == nil || !strings.HasPrefix(err.Error(), "ComponentSubscription "+client.ObjectKeyFromObject(broken).String()) {
		t.Errorf("error is %v, want one that names the object", err)
	}
}

// TestSubscriptionIsVerified: a proof is the same for a subscription and a ComponentVersion with the same keys and credentials, which
// pay for it once, and none for other credentials.
func TestSubscriptionIsVerified(t *testing.T) {
	t.Parallel()
	w := newTrust(t, good(t))
	if _, err := w.verify(t, w.Repositories, "keys"); err != nil {
		t.Fatal(err)
	}
	wantRequests(t, w.server, everything())
	w.Create(basic("login", "user", "word"))
	sub := &v1alpha1.ComponentSubscription{ObjectMeta: reconcilertest.Named("mirror")}
	named := v1alpha1.NamedSignature{Name: "release", Key: meta.LocalObjectReference{Name: "keys"}}
	sub.Spec.Verify = []v1alpha1.SubscriptionSignature{{Signature: &named}}
	for secret, want := range map[string]map[string]int{"": {}, "login": everything()} {
		user, from := access.SubscriptionUser(sub), v1alpha1.Repository{URL: w.server.URL + "/ocm"}
		if secret != "" {
			from = at(from.URL, secret)
		}
		repository, err := w.Repositories.Open(t.Context(), user, from, "spec.source")
		if err != nil {
			t.Fatal(err)
		}
		policy, err := w.Repositories.PolicyOf(t.Context(), user)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := repository.Verify(t.Context(), w.root, policy, nil); err != nil {
			t.Errorf("error is %v, want a proof", err)
		}
		wantRequests(t, w.server, want)
	}
}
