package ocm_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/credentials"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// selfSigned returns a certificate for the loopback address, and its key.
func selfSigned(t *testing.T) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

func ocmConfig(t *testing.T, host string, properties map[string]string) *credentials.Store {
	t.Helper()
	hostname, port, err := net.SplitHostPort(host)
	if err != nil {
		t.Fatal(err)
	}
	config, err := json.Marshal(map[string]any{
		"type": "credentials.config.ocm.software/v1",
		"consumers": []any{map[string]any{
			"identity":    map[string]string{"type": "OCIRegistry", "hostname": hostname, "port": port},
			"credentials": []any{map[string]any{"type": "Credentials", "properties": properties}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	store, err := credentials.FromOCMConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// TestCertificates talks to a registry with a certificate of its own that wants
// to see one of the client.
func TestCertificates(t *testing.T) {
	t.Parallel()
	certificate, key := selfSigned(t)
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(certificate)
	server := httptest.NewUnstartedServer(ocmtest.NewRegistry())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: clients, MinVersion: tls.VersionTLS12}
	inner := server.Config.Handler
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if len(req.TLS.PeerCertificates) == 0 {
			http.Error(w, "show a certificate", http.StatusForbidden)
			return
		}
		inner.ServeHTTP(w, req)
	})
	server.StartTLS()
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "https://")
	good := map[string]string{"certificateAuthority": string(certificate), "certificate": string(certificate), "privateKey": string(key)}
	if _, err := (ocmtest.Component{Name: shop, Version: "1.0.0"}).Publish(t.Context(), server.URL, ocm.Options{Credentials: ocmConfig(t, host, good)}); err != nil {
		t.Errorf("Publish with certificates = %v", err)
	}
	custom := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}}
	for name, tc := range map[string]struct {
		properties map[string]string
		transport  http.RoundTripper
		is         error
	}{
		"all of them":        {properties: good},
		"another transport":  {properties: good, transport: custom},
		"not trusted":        {properties: map[string]string{}, is: ocm.ErrUnreachable},
		"no certificate":     {properties: map[string]string{"certificateAuthority": string(certificate)}, is: ocm.ErrUnauthorized},
		"no PEM":             {properties: map[string]string{"certificateAuthority": "x"}, is: errAny},
		"wrong key":          {properties: map[string]string{"certificate": string(certificate), "privateKey": "x"}, is: errAny},
		"unusual transport":  {properties: good, transport: redirect{}, is: errAny},
		"no TLS, no problem": {properties: map[string]string{"username": "u"}, transport: redirect{}, is: ocm.ErrUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			repo := open(t, server.URL, ocm.Options{Credentials: ocmConfig(t, host, tc.properties), Transport: tc.transport})
			_, err := repo.Get(t.Context(), shop, "1.0.0")
			switch {
			case errors.Is(tc.is, errAny) && err == nil:
				t.Error("no error")
			case !errors.Is(tc.is, errAny) && !errors.Is(err, tc.is):
				t.Errorf("Get = %v, want %v", err, tc.is)
			case err != nil && bytes.Contains([]byte(err.Error()), key):
				t.Error("the error contains the key")
			}
		})
	}
}
