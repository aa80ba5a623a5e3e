package snapshotregistry

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/ocm-operator/ocm-operator/ocm/credentials"
	"github.com/ocm-operator/ocm-operator/reconcilers/options"
	"github.com/ocm-operator/ocm-operator/snapshot/remote"
)

const host = "registry.example.com:5000"

// bench is a Registry with a cluster and a clock.
type bench struct {
	*Registry
	client client.Client
	clock  time.Time
	// down is what the API server answers, if it doesn't.
	down error
}

func newBench(t *testing.T, external options.External) *bench {
	t.Helper()
	b := &bench{clock: time.Now()}
	b.client = fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			if b.down != nil {
				return b.down
			}
			return c.Get(ctx, key, obj, opts...)
		},
	}).Build()
	external.URL, external.Host, external.Path = "oci://"+host+"/a", host, "a"
	r, err := New(Options{
		External: external, Limits: options.Registry{Dir: t.TempDir()}, Namespace: "ocm-system", Live: b.client, Metrics: prometheus.NewRegistry(), Log: logr.Discard(),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.now = func() time.Time { return b.clock }
	b.Registry = r
	return b
}

// write makes or changes a Secret, and lets enough time pass for it to be noticed.
func (b *bench) write(t *testing.T, name string, data map[string]string) {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ocm-system", Name: name}, StringData: data, Data: map[string][]byte{}}
	for key, value := range data {
		secret.Data[key] = []byte(value)
	}
	secret.StringData = nil
	err := b.client.Create(t.Context(), secret)
	if err != nil {
		err = b.client.Update(t.Context(), secret)
	}
	if err != nil {
		t.Fatal(err)
	}
	b.clock = b.clock.Add(lookAgain)
}

func (b *bench) changed() bool {
	select {
	case <-b.Changes():
		return true
	default:
		return false
	}
}

func loginAs(password string) map[string]string {
	return map[string]string{corev1.DockerConfigJsonKey: `{"auths":{"` + host + `":{"username":"user","password":"` + password + `"},"other.example.com":{"username":"x","password":"secret"}}}`}
}

func certificate(t *testing.T) string {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
}

func TestSecretsAreRead(t *testing.T) {
	t.Parallel()
	b := newBench(t, options.External{Secret: "push", PullSecret: "pull", CertSecret: "ca"})
	authority := certificate(t)
	b.write(t, "push", loginAs("push-1"))
	b.write(t, "pull", loginAs("pull-1"))
	b.write(t, "ca", map[string]string{authorityKey: authority})
	got, err := b.access(t.Context())
	if want := (remote.Access{Username: "user", Password: "push-1", CertificateAuthority: authority}); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	pull, ca, err := b.Shared(t.Context())
	if err != nil || string(ca) != authority || strings.Contains(string(pull), "secret") || strings.Contains(string(pull), "push") {
		t.Errorf("Flux gets %s, %v", pull, err)
	}
	var config struct {
		Auths map[string]struct {
			Password string `json:"password"`
		} `json:"auths"`
	}
	if err := json.Unmarshal(pull, &config); err != nil || len(config.Auths) != 1 || config.Auths[host].Password != "pull-1" {
		t.Errorf("Flux gets %s, %v", pull, err)
	}
	if err := b.Check(nil); err != nil {
		t.Errorf("readiness: %v", err)
	}
}

// TestChangesAreNoticed changes what the Secrets hold. Flux is told of what concerns it.
func TestChangesAreNoticed(t *testing.T) {
	t.Parallel()
	b := newBench(t, options.External{Secret: "push", PullSecret: "pull"})
	b.write(t, "push", loginAs("push-1"))
	b.write(t, "pull", loginAs("pull-1"))
	for _, step := range []struct {
		name, secret, password, want string
		changed                      bool
	}{
		{"first", "push", "push-1", "push-1", false},
		{"new password of the operator", "push", "push-2", "push-2", false},
		{"new password of Flux", "pull", "pull-2", "push-2", true},
	} {
		b.write(t, step.secret, loginAs(step.password))
		got, err := b.access(t.Context())
		if err != nil || got.Password != step.want || b.changed() != step.changed {
			t.Errorf("%s: password %q, want %q, %v; Flux was told: not %v", step.name, got.Password, step.want, err, step.changed)
		}
	}
	b.down = errors.New("the API server is gone")
	b.clock = b.clock.Add(time.Hour)
	if got, err := b.access(t.Context()); err != nil || got.Password != "push-2" {
		t.Errorf("without an API server: %v, %v", got.Password, err)
	}
	b.down = nil
	b.clock = b.clock.Add(time.Hour)
	if err := b.client.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ocm-system", Name: "push"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.access(t.Context()); err == nil || !strings.Contains(err.Error(), "--snapshot-registry-secret") {
		t.Errorf("without the Secret: %v", err)
	}
	b.write(t, "push", loginAs("push-3"))
	if got, err := b.access(t.Context()); err != nil || got.Password != "push-3" || !b.changed() {
		t.Errorf("with the Secret again: %v, %v", got.Password, err)
	}
}

func TestUnusableSecrets(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		external options.External
		data     map[string]string
		want     string
	}{
		"missing":       {options.External{Secret: "s"}, nil, "ocm-system/s does not exist: create it, or change --snapshot-registry-secret"},
		"missing pull":  {options.External{PullSecret: "s"}, nil, "--snapshot-registry-pull-secret"},
		"other keys":    {options.External{Secret: "s"}, map[string]string{"username": "a"}, `has no key ".dockerconfigjson"`},
		"no JSON":       {options.External{Secret: "s"}, map[string]string{corev1.DockerConfigJsonKey: "word"}, "can't be used"},
		"other host":    {options.External{PullSecret: "s"}, map[string]string{corev1.DockerConfigJsonKey: `{"auths":{"ghcr.io":{"username":"a","password":"b"}}}`}, "no credential for " + host},
		"no certs":      {options.External{CertSecret: "s"}, map[string]string{"tls.crt": "a"}, `no certificate in PEM under the key "ca.crt"`},
		"missing certs": {options.External{CertSecret: "s"}, nil, "--snapshot-registry-cert-secret"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, tc.external)
			if tc.data != nil {
				b.write(t, "s", tc.data)
			}
			_, err := b.access(t.Context())
			_, _, shared := b.Shared(t.Context())
			for _, err := range []error{err, shared} {
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("got %v, want %q", err, tc.want)
				}
			}
		})
	}
}

// cloud gives a password.
type cloud struct{ err error }

func (c cloud) Login(context.Context) (credentials.Credential, error) {
	return credentials.Credential{Username: "AWS", Password: "token"}, c.err
}

func TestCloud(t *testing.T) {
	t.Parallel()
	b := newBench(t, options.External{})
	b.cloud = cloud{}
	if got, err := b.access(t.Context()); err != nil || got.Username != "AWS" || got.Password != "token" {
		t.Errorf("got %v, %v", got.Username, err)
	}
	gone := errors.New("no answer")
	b.cloud = cloud{gone}
	if _, err := b.access(t.Context()); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
	external := options.External{URL: "oci://" + host, Host: host, Provider: "aws"}
	_, err := New(Options{External: external, Live: b.client, Metrics: prometheus.NewRegistry()})
	if err == nil || !strings.Contains(err.Error(), "amazonaws.com") {
		t.Errorf("a registry that is not the cloud's: %v", err)
	}
	external.Host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
	if _, err := New(Options{External: external, Live: b.client, Metrics: prometheus.NewRegistry(), Limits: options.Registry{Dir: t.TempDir()}}); err != nil {
		t.Error(err)
	}
}

func TestNewRefusesWhatIsIncomplete(t *testing.T) {
	t.Parallel()
	if _, err := New(Options{}); err == nil {
		t.Error("options without anything are accepted")
	}
}
