package registryserver

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/snapshot"
	"github.com/ocm-operator/ocm-operator/snapshot/snapshottest"
)

// transferBytes is more than the buffers of a connection hold.
const transferBytes = 256 << 20

// TestTransfersOutliveRotations lets a client read a large blob slowly while everything is rotated. Its connection was made,
// and its credential checked, before.
func TestTransfersOutliveRotations(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	r := newRegistry(t, w.Client, optionsOf(t))
	content := make([]byte, transferBytes)
	if _, err := rand.Read(content); err != nil {
		t.Fatal(err)
	}
	written := snapshottest.Write(t, snapshottest.Repository(t, snapshot.Embedded(r.store), "team/app"), content)
	address := serve(t, r)
	username, password, err := r.Issue("team/app", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(r.CA())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("https://%s/v2/team/app/blobs/%s", address, written.LayerDigest), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth(username, password)
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	read := digest.SHA256.Digester()
	rotations := []struct{ secret, what string }{
		{"certs", "certificate"}, {"certs", "authority"}, {"key", "key"}, {"certs", "authority"}, {"certs", "forget"}, {"key", "forget"},
	}
	for _, rotation := range rotations {
		if _, err := io.CopyN(read.Hash(), response.Body, transferBytes/int64(len(rotations)+1)); err != nil {
			t.Fatalf("before %s: %v", rotation.what, err)
		}
		annotate(w, rotation.secret, rotation.what)
		r.look(t.Context())
	}
	if _, err := io.Copy(read.Hash(), response.Body); err != nil || response.StatusCode != http.StatusOK || read.Digest() != written.LayerDigest {
		t.Errorf("status %d, read %s (%v), want %s", response.StatusCode, read.Digest(), err, written.LayerDigest)
	}
	if status, err := ask(t, address, r.CA(), username, password); err != nil || status != http.StatusUnauthorized {
		t.Errorf("the forgotten key: status %d (%v)", status, err)
	}
}
