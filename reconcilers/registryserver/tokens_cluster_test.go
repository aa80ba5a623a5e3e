package registryserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/reconcilers/options"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/registry/auth"
)

const tokenAudience = "ocm-registry"

func withTokens(o options.Registry) options.Registry {
	o.TokenAuth, o.TokenAudience = true, tokenAudience
	return o
}

// people are ServiceAccounts of a real API server.
type people struct {
	client.Client
	t *testing.T
}

// account creates a ServiceAccount and returns it.
func (p people) account(namespace, name string) *corev1.ServiceAccount {
	p.t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	p.create(account)
	return account
}

func (p people) create(objects ...client.Object) {
	p.t.Helper()
	for _, obj := range objects {
		if err := p.Create(p.t.Context(), obj); err != nil {
			p.t.Fatal(err)
		}
	}
}

// token returns a token of an account for audiences.
func (p people) token(account *corev1.ServiceAccount, audiences ...string) string {
	p.t.Helper()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}
	if err := p.SubResource("token").Create(p.t.Context(), account, request); err != nil {
		p.t.Fatal(err)
	}
	return request.Status.Token
}

// allow lets an account read the content of Snapshots of a namespace: those of the names, or all.
func (p people) allow(account *corev1.ServiceAccount, namespace string, names ...string) {
	p.t.Helper()
	p.permit(account, namespace, "snapshots/content", names...)
}

// permit lets an account get a resource in a namespace.
func (p people) permit(account *corev1.ServiceAccount, namespace, resource string, names ...string) {
	p.t.Helper()
	meta := metav1.ObjectMeta{Namespace: namespace, GenerateName: "reader-"}
	role := &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"delivery.ocm.software"}, Resources: []string{resource}, Verbs: []string{"get"}, ResourceNames: names},
	}}
	p.create(role)
	p.create(&rbacv1.RoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: account.Namespace, Name: account.Name}},
	})
}

// reviewing keeps everything but reviews away from the real API server.
type reviewing struct {
	client.Client
	server client.Client
}

// Create implements client.Client.
func (r reviewing) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	switch obj.(type) {
	case *authenticationv1.TokenReview, *authorizationv1.SubjectAccessReview:
		return r.server.Create(ctx, obj, opts...)
	}
	return r.Client.Create(ctx, obj, opts...)
}

// TestTokensOfServiceAccounts asks a real API server who they are, and what they may read.
func TestTokensOfServiceAccounts(t *testing.T) {
	t.Parallel()
	access := clustertest.APIServer(t)
	c, err := client.New(access, client.Options{Scheme: reconcilertest.Scheme(t)})
	if err != nil {
		t.Fatal(err)
	}
	p := people{c, t}
	team, other := clustertest.Namespace(t, access), clustertest.Namespace(t, access)
	reader, guest, limited, auditor := p.account(team, "reader"), p.account(other, "guest"), p.account(team, "limited"), p.account(team, "auditor")
	p.allow(reader, team)
	p.allow(guest, other)
	p.allow(guest, team, "shared")
	p.allow(limited, team, "app")
	viewer := p.account(team, "viewer")
	p.permit(viewer, team, "snapshots")
	meta := metav1.ObjectMeta{GenerateName: "auditor-"}
	role := &rbacv1.ClusterRole{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"delivery.ocm.software"}, Resources: []string{"snapshots"}, Verbs: []string{"list"}},
	}}
	p.create(role)
	p.create(&rbacv1.ClusterRoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: team, Name: auditor.Name}},
	})

	r := newRegistry(t, reviewing{reconcilertest.New(t).Client, c}, withTokens(optionsOf(t)))
	address := serve(t, r)
	const yes, no, unknown = http.StatusNotFound, http.StatusForbidden, http.StatusUnauthorized // nothing is there to be found
	mine := p.token(reader, tokenAudience)
	for name, tc := range map[string]struct {
		token, repository string
		want              int
	}{
		"own namespace":             {mine, team + "/app", yes},
		"own, deeper":               {mine, team + "/app/more", yes},
		"other namespace":           {mine, other + "/app", no},
		"namespace that begins so":  {mine, team + "-b/app", no},
		"no namespace":              {mine, "app", no},
		"empty namespace":           {mine, "/app", no},
		"several audiences":         {p.token(reader, "https://example.com", tokenAudience), team + "/app", yes},
		"token for the API server":  {p.token(reader), team + "/app", unknown},
		"token for somebody else":   {p.token(reader, "https://example.com"), team + "/app", unknown},
		"forged":                    {mine[:len(mine)-8] + "AAAAAAAA", team + "/app", unknown},
		"let in by RBAC":            {p.token(guest, tokenAudience), team + "/shared", yes},
		"let in to one of them":     {p.token(guest, tokenAudience), team + "/app", no},
		"of one name":               {p.token(limited, tokenAudience), team + "/app", yes},
		"of another name":           {p.token(limited, tokenAudience), team + "/other", no},
		"of one name, and below it": {p.token(limited, tokenAudience), team + "/app/more", no},
		"may see, not read":         {p.token(viewer, tokenAudience), team + "/app", no},
		"may list, not get":         {p.token(auditor, tokenAudience), team + "/app", no},
	} {
		for _, username := range []string{"token", ""} {
			// Without a user name it is a bearer token.
			if got := p.status(r, address, "/v2/"+tc.repository+"/tags/list", username, tc.token); got != tc.want {
				t.Errorf("%s, user name %q: status %d, want %d", name, username, got, tc.want)
			}
		}
	}
	for name, tc := range map[string]struct {
		account *corev1.ServiceAccount
		want    int
	}{"auditor": {auditor, http.StatusOK}, "reader": {reader, no}} {
		if got := p.status(r, address, "/v2/_catalog", "token", p.token(tc.account, tokenAudience)); got != tc.want {
			t.Errorf("%s lists the catalog: status %d, want %d", name, got, tc.want)
		}
	}
	if got := p.status(r, address, "/v2/", "token", mine); got != http.StatusOK {
		t.Errorf("log-in: status %d", got)
	}

	// Who is gone can't read what nobody has asked for since, even if the token is good for an hour.
	if err := c.Delete(t.Context(), reader); err != nil {
		t.Fatal(err)
	}
	fresh := &reviewer{client: c, log: logr.Discard()}
	// The API server itself remembers a token for ten seconds.
	if err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		_, err := fresh.Identify(ctx, mine, tokenAudience)
		return errors.Is(err, auth.ErrUnauthenticated), nil
	}); err != nil {
		t.Error("the token of an account that is gone is good")
	}
	if _, err := fresh.Identify(t.Context(), p.token(guest), tokenAudience); err == nil {
		t.Error("the API server takes a token for another audience")
	}
	if allowed, err := fresh.Allowed(t.Context(), nil, team+"/app"); allowed || err != nil {
		t.Errorf("nobody may read (%v)", err)
	}
	for _, repository := range []string{"/", "//app", "-/app", "a.b/app", "Team/app"} {
		if _, exists := attributesOf(repository); exists {
			t.Errorf("%q has a namespace", repository)
		}
	}
}

// status asks as a client does that has basic authentication, or a bearer token when there is no user name.
func (p people) status(r *Registry, address, path, username, token string) int {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, "https://"+address+path, http.NoBody)
	if err != nil {
		p.t.Fatal(err)
	}
	if username == "" {
		request.Header.Set("Authorization", "Bearer "+token)
	} else {
		request.SetBasicAuth(username, token)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(r.CA())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		p.t.Fatal(err)
	}
	return response.StatusCode
}

// TestNoReviews: an operator that may not ask has not refused anybody, and says so once.
func TestNoReviews(t *testing.T) {
	t.Parallel()
	access := clustertest.APIServer(t)
	c, err := client.New(access, client.Options{Scheme: reconcilertest.Scheme(t)})
	if err != nil {
		t.Fatal(err)
	}
	p := people{c, t}
	account := p.account(clustertest.Namespace(t, access), "reader")
	weak := *access
	weak.Impersonate.UserName = "system:serviceaccount:" + account.Namespace + ":operator"
	restricted, err := client.New(&weak, client.Options{Scheme: reconcilertest.Scheme(t)})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	review := &reviewer{client: restricted, log: funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{})}
	tokens := auth.NewTokens(review, tokenAudience, nil, nil, nil)
	token := p.token(account, tokenAudience)
	for range 3 {
		err := tokens.Authorize(t.Context(), auth.Request{Bearer: token, Repository: account.Namespace + "/app"})
		if !errors.Is(err, auth.ErrUnavailable) || errors.Is(err, auth.ErrUnauthenticated) {
			t.Fatalf("got %v", err)
		}
	}
	if len(lines) != 1 {
		t.Errorf("the log has %q", lines)
	}
	review.client = c
	if err := tokens.Authorize(t.Context(), auth.Request{Bearer: token}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if len(lines) != 2 {
		t.Errorf("the log has %q", lines)
	}
}
