package access

import (
	"net/http"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
)

const accounts = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: stranger}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: viewer}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: snapshot-reader}
rules:
- apiGroups: [delivery.ocm.software]
  resources: [snapshots/content]
  verbs: [get]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: snapshot-reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: snapshot-reader}
subjects: [{kind: ServiceAccount, name: reader, namespace: "${NAMESPACE}"}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: snapshot-viewer}
rules:
- apiGroups: [delivery.ocm.software]
  resources: [snapshots]
  verbs: [get, list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: snapshot-viewer}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: snapshot-viewer}
subjects: [{kind: ServiceAccount, name: viewer, namespace: "${NAMESPACE}"}]
`

// TestWhoMayRead tries the credentials that there are at what is deployed, and looks for them in the log of the operator,
// which says everything that it can say.
func TestWhoMayRead(t *testing.T) {
	e := e2etest.Own(t, cluster.Options{ControllerManager: true, Flux: true}, "--log-level=trace")
	deliver(t, e)
	e.Apply(accounts)
	token := func(account, audience string) string {
		return strings.TrimSpace(e.Kubectl("create", "token", account, "--audience", audience))
	}
	p := e.Puller("podinfo")
	secrets := []string{p.Password}
	manifest := "/v2/" + p.Repository + "/manifests/" + p.Manifest
	for name, tc := range map[string]struct {
		username, password, path string
		want                     int
	}{
		"pull Secret":                       {p.Username, p.Password, manifest, http.StatusOK},
		"stolen pull Secret":                {p.Username, p.Password, "/v2/other/app/tags/list", http.StatusForbidden},
		"stolen for a neighbour":            {p.Username, p.Password, "/v2/" + p.Repository + "-2/tags/list", http.StatusForbidden},
		"stolen for the catalog":            {p.Username, p.Password, "/v2/_catalog", http.StatusForbidden},
		"nobody":                            {"", "", manifest, http.StatusUnauthorized},
		"wrong password":                    {p.Username, "guess-of-a-password", manifest, http.StatusUnauthorized},
		"reader":                            {"token", token("reader", "ocm-registry"), manifest, http.StatusOK},
		"reader of another namespace":       {"token", token("reader", "ocm-registry"), "/v2/other/app/tags/list", http.StatusForbidden},
		"viewer, as the role view has it":   {"token", token("viewer", "ocm-registry"), manifest, http.StatusForbidden},
		"account that may not":              {"token", token("stranger", "ocm-registry"), manifest, http.StatusForbidden},
		"token for the API server":          {"token", token("reader", "https://kubernetes.default.svc"), manifest, http.StatusUnauthorized},
		"token as the name, nothing behind": {token("reader", "ocm-registry"), "x", manifest, http.StatusUnauthorized},
	} {
		p.Username, p.Password = tc.username, tc.password
		if status, body := p.Request(t.Context(), http.MethodGet, tc.path); status != tc.want {
			t.Errorf("%s: status %d, want %d: %s", name, status, tc.want, body)
		} else if tc.password != "" && strings.Contains(string(body), tc.password) {
			t.Errorf("%s: the answer has the credential", name)
		}
		secrets = append(secrets, tc.password)
	}
	log := e.Log()
	if !strings.Contains(log, "registry request") {
		t.Error("the log doesn't say everything")
	}
	for _, secret := range secrets {
		if len(secret) > 1 && strings.Contains(log, secret) {
			t.Errorf("a credential is in the log: %d characters", len(secret))
		}
	}
	metrics, err := e.Operator.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, labels := range [][]string{
		{`method="sealed"`, `result="allowed"`},
		{`method="sealed"`, `result="denied"`},
		{`method="token"`, `result="allowed"`},
		{`method="token"`, `result="denied"`},
		{`method="token"`, `result="unauthenticated"`},
		{`method="anonymous"`, `result="unauthenticated"`},
	} {
		if metrics.Sum("ocm_registry_auth_total", labels...) == 0 {
			t.Errorf("no request is counted as %v", labels)
		}
	}
}

// TestAnonymousPull lets everybody read by a flag, and nobody with a wrong credential.
func TestAnonymousPull(t *testing.T) {
	e := e2etest.Own(t, cluster.Options{ControllerManager: true, Flux: true}, "--registry-anonymous-pull")
	deliver(t, e)
	p := e.Puller("podinfo")
	manifest := "/v2/" + p.Repository + "/manifests/" + p.Manifest
	for name, tc := range map[string]struct {
		username, password, method, path string
		want                             int
	}{
		"anybody":          {"", "", http.MethodGet, manifest, http.StatusOK},
		"anybody deletes":  {"", "", http.MethodDelete, manifest, http.StatusUnauthorized},
		"anybody lists":    {"", "", http.MethodGet, "/v2/_catalog", http.StatusUnauthorized},
		"wrong credential": {"token", "guess", http.MethodGet, manifest, http.StatusUnauthorized},
	} {
		p.Username, p.Password = tc.username, tc.password
		if status, body := p.Request(t.Context(), tc.method, tc.path); status != tc.want {
			t.Errorf("%s: status %d, want %d: %s", name, status, tc.want, body)
		}
	}
}
