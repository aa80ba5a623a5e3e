package access_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// What the clouds give for a registry, and the registries.
const (
	ecr, acr, gar = "123456789012.dkr.ecr.eu-west-1.amazonaws.com", "shop.azurecr.io", "europe-docker.pkg.dev"
	token         = "cloud-token"
)

// clouds are three clouds that give tokens, counted, for whoever presents the token of a ServiceAccount.
func clouds(t *testing.T, tokens *atomic.Int64) map[string]http.Handler {
	t.Helper()
	answer := func(format string, args ...any) http.HandlerFunc {
		return func(w http.ResponseWriter, req *http.Request) {
			if err := req.ParseForm(); err != nil {
				t.Error(err)
			}
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, format, args...)
		}
	}
	counted := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			tokens.Add(1)
			h.ServeHTTP(w, req)
		})
	}
	soon := time.Now().Add(time.Hour)
	claims, err := json.Marshal(map[string]any{"exp": soon.Unix(), "jti": token})
	if err != nil {
		t.Fatal(err)
	}
	refresh := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(claims) + ".c2ln"
	tenant := http.NewServeMux()
	tenant.HandleFunc("/common/discovery/instance", answer(`{"tenant_discovery_endpoint":"https://login.microsoftonline.com/tenant/v2.0/.well-known/openid-configuration",
		"metadata":[{"preferred_network":"login.microsoftonline.com","preferred_cache":"login.microsoftonline.com","aliases":["login.microsoftonline.com"]}]}`))
	tenant.HandleFunc("/tenant/v2.0/.well-known/openid-configuration", answer(`{"token_endpoint":"https://login.microsoftonline.com/tenant/oauth2/v2.0/token",
		"issuer":"https://login.microsoftonline.com/tenant/v2.0","authorization_endpoint":"https://login.microsoftonline.com/tenant/oauth2/v2.0/authorize"}`))
	tenant.HandleFunc("/tenant/oauth2/v2.0/token", answer(`{"token_type":"Bearer","expires_in":3600,"access_token":"entra"}`))
	return map[string]http.Handler{
		"sts.eu-west-1.amazonaws.com": answer(`<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
			<Credentials><AccessKeyId>id</AccessKeyId><SecretAccessKey>key</SecretAccessKey><SessionToken>session</SessionToken><Expiration>%s</Expiration></Credentials>
			</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`, soon.UTC().Format(time.RFC3339)),
		"api.ecr.eu-west-1.amazonaws.com": counted(answer(`{"authorizationData":[{"authorizationToken":%q,"expiresAt":%d}]}`,
			base64.StdEncoding.EncodeToString([]byte("AWS:"+token)), soon.Unix())),
		"login.microsoftonline.com": tenant,
		"azure-exchange":            counted(answer(`{"refresh_token":%q}`, refresh)),
		"sts.googleapis.com":        counted(answer(`{"access_token":%q,"token_type":"Bearer","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","expires_in":3600}`, token)),
	}
}

// registryOf is a registry with the component in it, that one user may read.
func registryOf(t *testing.T, user string, password func(string) bool) http.Handler {
	t.Helper()
	server := ocmtest.Start(t)
	app := ocmtest.Component{Name: component, Version: "1.0.0", Resources: []ocmtest.Resource{{Name: "data", Content: []byte("data")}}}
	if _, err := app.Publish(t.Context(), server.URL+"/ocm", ocm.Options{}); err != nil {
		t.Fatal(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if u, p, ok := req.BasicAuth(); !ok || u != user || !password(p) {
			w.Header().Set("Www-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		server.ServeHTTP(w, req)
	})
}

func proxySecret(n *internet) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: reconcilertest.Named("proxy"), Data: map[string][]byte{"address": []byte(n.Address)}}
}

func annotated(name string, annotations map[string]string) *corev1.ServiceAccount {
	meta := reconcilertest.Named(name)
	meta.Annotations = annotations
	return &corev1.ServiceAccount{ObjectMeta: meta}
}

var workloads = map[string]struct {
	host, user  string
	annotations map[string]string
}{
	v1alpha1.AWSProvider: {ecr, "AWS", map[string]string{"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/reader"}},
	v1alpha1.AzureProvider: {acr, "00000000-0000-0000-0000-000000000000", map[string]string{
		"azure.workload.identity/tenant-id": "tenant", "azure.workload.identity/client-id": "client",
	}},
	v1alpha1.GCPProvider: {gar, "oauth2accesstoken", map[string]string{
		"gcp.auth.fluxcd.io/workload-identity-provider": "projects/1/locations/global/workloadIdentityPools/pool/providers/cluster",
	}},
}

// identified returns a ComponentVersion that logs in at a cloud through the proxy.
func identified(provider, url, account string) *v1alpha1.ComponentVersion {
	cv := follow(url, "", account)
	cv.Spec.Repository.Provider = provider
	cv.Spec.Repository.ProxySecretRef = &meta.LocalObjectReference{Name: "proxy"}
	return cv
}

// TestWorkloadIdentity logs in with the clients of the clouds, which talk to clouds of this test.
func TestWorkloadIdentity(t *testing.T) {
	t.Parallel()
	for provider, workload := range workloads {
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			var tokens atomic.Int64
			hosts := clouds(t, &tokens)
			registry := registryOf(t, workload.user, func(password string) bool { return password == token || strings.HasPrefix(password, "eyJ") })
			exchange := hosts["azure-exchange"]
			hosts[workload.host] = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if req.URL.Path == "/oauth2/exchange" {
					exchange.ServeHTTP(w, req)
					return
				}
				registry.ServeHTTP(w, req)
			})
			n := newInternet(t, hosts)
			w := reconcilertest.New(t, proxySecret(n), annotated("reader", workload.annotations), annotated("nobody", nil))
			provide, err := access.New(access.Options{Live: w.Client, Identities: w.Client})
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				repository := open(t, provide, identified(provider, workload.host+"/ocm", "reader"))
				if _, err := repository.Get(t.Context(), component, "1.0.0"); err != nil {
					t.Fatal(err)
				}
			}
			if got := tokens.Load(); got != 1 {
				t.Errorf("%d tokens were asked for, want one until it expires", got)
			}
			var unusable *access.UnusableError
			_, err = provide.Source(t.Context(), identified(provider, workload.host+"/ocm", "nobody"))
			if provider == v1alpha1.GCPProvider { // without annotations, an account of a cluster of Google
				var failed *access.LoginError
				if !errors.As(err, &failed) || failed.Account != "default/nobody" {
					t.Errorf("error is %v, want that the log-in failed", err)
				}
			} else if !errors.As(err, &unusable) || unusable.Name != "nobody" {
				t.Errorf("error is %v, want what the ServiceAccount lacks", err)
			}
		})
	}
}

// throughProxy sends what knows no proxy of its own through one. It is for tests that are not parallel.
func throughProxy(t *testing.T, address string) {
	t.Helper()
	proxy, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	usual, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		t.Fatalf("default transport is a %T", http.DefaultTransport)
	}
	before := usual.Proxy
	t.Cleanup(func() { usual.Proxy = before })
	usual.Proxy = http.ProxyURL(proxy)
}

// TestIdentityOfTheOperator logs in with what the environment of the process holds, and shows nothing of it to the proxy that
// an object names.
func TestIdentityOfTheOperator(t *testing.T) {
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_REGION": "eu-west-1", "AWS_EC2_METADATA_DISABLED": "true", "AWS_CA_BUNDLE": ""} {
		t.Setenv(name, value)
	}
	var tokens atomic.Int64
	hosts := clouds(t, &tokens)
	registry := registryOf(t, "AWS", func(password string) bool { return password == token })
	throughProxy(t, newInternet(t, hosts).Address)
	n := newInternet(t, map[string]http.Handler{ecr: registry})
	w := reconcilertest.New(t, proxySecret(n), account("puller", "elsewhere"), dockerConfig("elsewhere", "registry.example.com", "user", "word"))
	repository := open(t, w.Repositories, identified(v1alpha1.AWSProvider, ecr+"/ocm", ""))
	if asked := n.Asked(); len(asked) > 0 || tokens.Load() == 0 {
		t.Errorf("the proxy of the object was asked for %v while the operator logged in", asked)
	}
	if _, err := repository.Get(t.Context(), component, "1.0.0"); err != nil {
		t.Error(err)
	}
	// Whoever chooses the proxy and whom to trust would read the token.
	cv := identified(v1alpha1.AWSProvider, ecr+"/ocm", "")
	cv.Spec.Repository.CertSecretRef = &meta.LocalObjectReference{Name: "trust"}
	w.Create(&corev1.Secret{ObjectMeta: reconcilertest.Named("trust"), Data: map[string][]byte{"ca.crt": world.pem}})
	var unusable *access.UnusableError
	if _, err := w.Repositories.Source(t.Context(), cv); !errors.As(err, &unusable) || unusable.Name != "trust" {
		t.Errorf("error is %v, want that the Secret can't be used with the identity of the operator", err)
	}
	// What is static wins: nobody is asked.
	w.Create(dockerConfig("static", ecr, "AWS", token))
	w.Create(account("static", "static"))
	before := len(n.Asked())
	repository = open(t, w.Repositories, identified(v1alpha1.AWSProvider, ecr+"/ocm", "static"))
	if asked := n.Asked(); len(asked) != before {
		t.Errorf("%v were asked although an image pull secret is for this registry", asked[before:])
	}
	if _, err := repository.Get(t.Context(), component, "1.0.0"); err != nil {
		t.Error(err)
	}
	// A ServiceAccount without one logs in itself, which has to be switched on.
	_, err := w.Repositories.Source(t.Context(), identified(v1alpha1.AWSProvider, ecr+"/ocm", "puller"))
	if outcome, _ := reconcilertest.Judge(t, access.Verdict("Reason", err)); outcome != reconcilertest.Stalls || !strings.Contains(err.Error(), "--object-level-workload-identity") {
		t.Errorf("it %s with %v, want a stall that names the flag", outcome, err)
	}
}

// TestNoOperatorIdentity has objects that want a registry of a cloud, where the operator's own identity isn't theirs.
func TestNoOperatorIdentity(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t, annotated("reader", nil), secret("proxy", map[string]string{"address": "http://proxy.example.com:3128"}))
	provide, err := access.New(access.Options{Live: w.Client, NoOperatorIdentity: true})
	if err != nil {
		t.Fatal(err)
	}
	for account, want := range map[string]string{"": "spec.serviceAccountName", "reader": "--object-level-workload-identity"} {
		_, err := provide.Source(t.Context(), identified(v1alpha1.AWSProvider, ecr+"/ocm", account))
		if outcome, _ := reconcilertest.Judge(t, access.Verdict("Reason", err)); outcome != reconcilertest.Stalls || !strings.Contains(err.Error(), want) {
			t.Errorf("ServiceAccount %q: it %s with %v, want a stall that names %s", account, outcome, err, want)
		}
	}
	if _, err := provide.Source(t.Context(), identified(v1alpha1.GenericProvider, "ghcr.io/ocm", "")); err != nil {
		t.Errorf("without an identity: %v", err)
	}
}

func TestRefusedIdentities(t *testing.T) {
	t.Parallel()
	denied := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not authorized to perform sts:AssumeRoleWithWebIdentity eyJhbGciOi.eyJzdWI.c2ln</Message></Error>
			<RequestId>%d</RequestId></ErrorResponse>`, time.Now().UnixNano())
	})
	n := newInternet(t, map[string]http.Handler{"sts.eu-west-1.amazonaws.com": denied})
	w := reconcilertest.New(t, proxySecret(n), annotated("reader", workloads[v1alpha1.AWSProvider].annotations))
	provide, err := access.New(access.Options{Live: w.Client, Identities: w.Client})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		provider, url string
		outcome       string
		want          []string
	}{
		"other registry": {v1alpha1.AWSProvider, "ghcr.io/acme", reconcilertest.Stalls, []string{"repository.provider aws", "ghcr.io", "dkr.ecr"}},
		"no TLS":         {v1alpha1.AzureProvider, "http://" + acr + "/acme", reconcilertest.Stalls, []string{"without TLS", "azure"}},
		"other cloud":    {"alibaba", "ghcr.io/acme", reconcilertest.Stalls, []string{`"alibaba"`, "generic, aws, azure or gcp"}},
		"denied":         {v1alpha1.AWSProvider, ecr + "/acme", reconcilertest.Retries, []string{ecr, "ServiceAccount default/reader", "provider aws", "AccessDenied", "eks.amazonaws.com/role-arn"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cv := identified(tc.provider, tc.url, "reader")
			_, err := provide.Source(t.Context(), cv)
			if outcome, _ := reconcilertest.Judge(t, access.Verdict("Reason", err)); outcome != tc.outcome {
				t.Fatalf("it %s (%v), want that it %s", outcome, err, tc.outcome)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("message %q lacks %q", err, want)
				}
			}
			_, again := provide.Source(t.Context(), cv)
			if again == nil || again.Error() != err.Error() || strings.Contains(err.Error(), "eyJ") {
				t.Errorf("message %q then %q: want the same, and no token in it", err, again)
			}
		})
	}
}

// TestTokenIsNotShared is about tenants: the memory of one identity is not that of another.
func TestTokenIsNotShared(t *testing.T) {
	t.Parallel()
	var tokens atomic.Int64
	hosts := clouds(t, &tokens)
	hosts[ecr] = registryOf(t, "AWS", func(password string) bool { return password == token })
	n := newInternet(t, hosts)
	theirs := annotated("reader", workloads[v1alpha1.AWSProvider].annotations)
	theirs.Namespace = "team"
	proxy := proxySecret(n)
	proxy.Namespace = "team"
	w := reconcilertest.New(t, proxySecret(n), proxy, annotated("reader", workloads[v1alpha1.AWSProvider].annotations), theirs)
	provide, err := access.New(access.Options{Live: w.Client, Identities: w.Client})
	if err != nil {
		t.Fatal(err)
	}
	for _, namespace := range []string{metav1.NamespaceDefault, "team"} {
		cv := identified(v1alpha1.AWSProvider, ecr+"/ocm", "reader")
		cv.Namespace = namespace
		open(t, provide, cv)
	}
	if got := tokens.Load(); got != 2 {
		t.Errorf("%d tokens for two ServiceAccounts, want one each", got)
	}
}
