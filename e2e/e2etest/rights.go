package e2etest

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/e2e/operator"
	"github.com/ocm-operator/ocm-operator/registry/auth"
)

// RegistryRights returns what makes credentials for the embedded registry as the operator does, by its own key, and what the
// registry is trusted by. What FluxDeployers hand out is for one repository only.
func (e *Env) RegistryRights() (*auth.Issuer, *x509.CertPool) {
	e.tb.Helper()
	secret := func(name, key string) []byte {
		found := &corev1.Secret{}
		if err := e.Client.Get(e.tb.Context(), client.ObjectKey{Namespace: operator.Namespace, Name: name}, found); err != nil {
			e.tb.Fatalf("get Secret %s: %v", name, err)
		}
		return found.Data[key]
	}
	issuer, err := auth.NewIssuer(secret("ocm-registry-key", "key"), nil)
	if err != nil {
		e.tb.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(secret("ocm-registry-tls-certs", "ca.crt")) {
		e.tb.Fatal("the operator's Secret has no certificate to trust the embedded registry by")
	}
	return issuer, roots
}

// RegistryClient returns a client that trusts the embedded registry, and a credential by the operator's own key that may pull
// everything there for an hour.
func (e *Env) RegistryClient() (*http.Client, auth.Credential) {
	e.tb.Helper()
	issuer, roots := e.RegistryRights()
	credential, err := issuer.Issue(auth.Scope{}, time.Hour)
	if err != nil {
		e.tb.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	e.tb.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: pullTimeout}, credential
}
