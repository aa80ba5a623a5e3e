package access_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/credentials"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

const component = "acme.org/app"

// login publishes a component into a registry that wants a log-in.
func login(t *testing.T) *ocmtest.Server {
	t.Helper()
	server := ocmtest.Start(t)
	server.RequireLogin("user", "word")
	creds := credentials.FromBasic(server.URL, "user", "word")
	app := ocmtest.Component{Name: component, Version: "1.0.0", Resources: []ocmtest.Resource{{Name: "data", Content: []byte("data")}}}
	if _, err := app.Publish(t.Context(), server.URL+"/ocm", ocm.Options{Credentials: creds}); err != nil {
		t.Fatalf("publish: %v", err)
	}
	server.ResetRequests()
	return server
}

func basic(name, user, password string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: reconcilertest.Named(name), Data: map[string][]byte{"username": []byte(user), "password": []byte(password)}}
}

func dockerConfig(name, host, user, password string) *corev1.Secret {
	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	config := fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, auth)
	return &corev1.Secret{
		ObjectMeta: reconcilertest.Named(name), Type: corev1.SecretTypeDockerConfigJson,
		Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(config)},
	}
}

func account(name string, secrets ...string) *corev1.ServiceAccount {
	sa := &corev1.ServiceAccount{ObjectMeta: reconcilertest.Named(name)}
	for _, secret := range secrets {
		sa.ImagePullSecrets = append(sa.ImagePullSecrets, corev1.LocalObjectReference{Name: secret})
	}
	return sa
}

// follow returns a ComponentVersion with a Secret and a service account; empty names are none.
func follow(url, secret, serviceAccount string) *v1alpha1.ComponentVersion {
	cv := reconcilertest.ComponentVersion("app", url, component, "1.0.0")
	cv.Spec.ServiceAccountName = serviceAccount
	if secret != "" {
		cv.Spec.Repository.SecretRef = &meta.LocalObjectReference{Name: secret}
	}
	return cv
}

func TestCredentialsOpenTheRepository(t *testing.T) {
	t.Parallel()
	server := login(t)
	w := reconcilertest.New(t,
		basic("good", "user", "word"), basic("bad", "user", "wrong"),
		dockerConfig("config", server.Host, "user", "word"), dockerConfig("elsewhere", "registry.example.com", "user", "word"),
		dockerConfig("wrong", server.Host, "user", "wrong"),
		account("puller", "config"), account("wronged", "wrong"), account("two", "elsewhere", "config"), account("plain"),
	)
	for name, tc := range map[string]struct {
		secret, account string
		denied          bool
		reason          string
	}{
		"user and password":                 {"good", "", false, "they are for the registry's host and port"},
		"docker config":                     {"config", "", false, "it names the host and port"},
		"service account":                   {"", "puller", false, "its pull secrets are docker configs"},
		"second pull secret":                {"", "two", false, "all of them count"},
		"secret beside account":             {"good", "wronged", false, "the repository's own Secret wins"},
		"wrong secret beside right account": {"bad", "puller", true, "the repository's own Secret wins"},
		"wrong password":                    {"bad", "", true, "the registry refuses it"},
		"other registry":                    {"elsewhere", "", true, "credentials are for one host"},
		"none":                              {"", "", true, "the registry wants some"},
		"account without secrets":           {"", "plain", true, "the registry wants some"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repository, err := w.Repositories.Source(t.Context(), follow(server.URL+"/ocm", tc.secret, tc.account))
			if err != nil {
				t.Fatal(err)
			}
			_, err = repository.Resolve(t.Context(), component, "1.0.0")
			if errors.Is(err, ocm.ErrUnauthorized) != tc.denied || (!tc.denied && err != nil) {
				t.Errorf("error is %v, want denied %t: %s", err, tc.denied, tc.reason)
			}
		})
	}
}

func TestUnusableCredentials(t *testing.T) {
	t.Parallel()
	secret := func(name string, data map[string][]byte) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: reconcilertest.Named(name), Data: data}
	}
	w := reconcilertest.New(t,
		secret("empty", nil),
		secret("half", map[string][]byte{"username": []byte("user"), "note": nil}),
		secret("broken", map[string][]byte{corev1.DockerConfigJsonKey: []byte("{")}),
		basic("basic", "user", "secret-word"),
		account("missing-secret", "nowhere"), account("basic-secret", "basic"), account("broken-secret", "broken"),
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "theirs"}, Data: map[string][]byte{"username": []byte("u"), "password": []byte("p")}},
	)
	for name, tc := range map[string]struct {
		secret, account string
		want            access.UnusableError
	}{
		"no such secret":            {"nowhere", "", access.UnusableError{Kind: "Secret", Name: "nowhere", Why: "does not exist: create it, or change spec.repository.secretRef, which names it"}},
		"secret of another team":    {"theirs", "", access.UnusableError{Kind: "Secret", Name: "theirs", Why: "does not exist: create it, or change spec.repository.secretRef, which names it"}},
		"empty secret":              {"empty", "", access.UnusableError{Kind: "Secret", Name: "empty", Why: `has none of the keys ".dockerconfigjson", ".ocmcredentialconfig", and "username" with "password"; it has: []`}},
		"no password":               {"half", "", access.UnusableError{Kind: "Secret", Name: "half", Why: `has none of the keys ".dockerconfigjson", ".ocmcredentialconfig", and "username" with "password"; it has: [note username]`}},
		"no such account":           {"", "nobody", access.UnusableError{Kind: "ServiceAccount", Name: "nobody", Why: "does not exist: create it, or change spec.serviceAccountName, which names it"}},
		"no such pull secret":       {"", "missing-secret", access.UnusableError{Kind: "Secret", Name: "nowhere", Why: "does not exist: create it, or change the imagePullSecrets of ServiceAccount missing-secret, which names it"}},
		"pull secret of other type": {"", "basic-secret", access.UnusableError{Kind: "Secret", Name: "basic", Why: `has neither the key ".dockerconfigjson" nor the key ".ocmcredentialconfig", one of which an image pull secret needs`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := w.Repositories.Source(t.Context(), follow("registry.example.com", tc.secret, tc.account))
			tc.want.Namespace = "default"
			var got *access.UnusableError
			if !errors.As(err, &got) {
				t.Fatalf("error is %v, want an UnusableError", err)
			}
			if diff := cmp.Diff(tc.want, *got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if text := err.Error(); !strings.HasPrefix(text, got.Kind+" default/"+got.Name+" ") || strings.Contains(text, "secret-word") {
				t.Errorf("message %q does not name the object, or tells a secret", text)
			}
		})
	}
	for _, cv := range []*v1alpha1.ComponentVersion{follow("registry.example.com", "broken", ""), follow("registry.example.com", "", "broken-secret")} {
		_, err := w.Repositories.Source(t.Context(), cv)
		var got *access.UnusableError
		if !errors.As(err, &got) || !strings.Contains(got.Why, `has a key ".dockerconfigjson" that can't be used`) {
			t.Errorf("error is %v, want that the docker config can't be used", err)
		}
	}
}

func TestUnreadableSecretIsNotTheUsersFault(t *testing.T) {
	t.Parallel()
	broken := errors.New("API server is away")
	provider, err := access.New(access.Options{Live: brokenReader{err: broken}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = provider.Source(t.Context(), follow("registry.example.com", "any", ""))
	var unusable *access.UnusableError
	if errors.As(err, &unusable) || !errors.Is(err, broken) {
		t.Errorf("error is %v, want the API server's", err)
	}
}

func TestUnusableURL(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	_, err := w.Repositories.Source(t.Context(), follow("ftp://registry.example.com", "", ""))
	if outcome, reason := reconcilertest.Judge(t, err); reason != v1alpha1.InvalidSpecReason || outcome != reconcilertest.Stalls {
		t.Errorf("it %s with reason %s (%v), want a stall: only the user can change the URL", outcome, reason, err)
	}
	if _, err := access.New(access.Options{}); err == nil {
		t.Error("a provider without a reader was made")
	}
}
