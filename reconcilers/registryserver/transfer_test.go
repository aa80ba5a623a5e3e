package registryserver

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/snapshot"
	"github.com/ocm-operator/ocm-operator/snapshot/snapshottest"
)

const (
	// transferBytes is more than the buffers of a connection hold.
	transferBytes = 256 << 20
	// chunkBytes is one part of an upload.
	chunkBytes = 1 << 20
)

// allRotations are one of each, and what of before is forgotten in the end.
var allRotations = []struct{ secret, what string }{
	{"certs", "certificate"}, {"certs", "authority"}, {"key", "key"}, {"certs", "authority"}, {"certs", "forget"}, {"key", "forget"},
}

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
	for _, rotation := range allRotations {
		if _, err := io.CopyN(read.Hash(), response.Body, transferBytes/int64(len(allRotations)+1)); err != nil {
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

// TestUploadsOutliveRotations writes a blob in chunks, each over a connection of its own and with what the Secrets have then, while
// everything is rotated in between.
func TestUploadsOutliveRotations(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	r := newRegistry(t, w.Client, withWriter(optionsOf(t)))
	address := serve(t, r)
	content := make([]byte, chunkBytes*len(allRotations))
	if _, err := rand.Read(content); err != nil {
		t.Fatal(err)
	}
	send := func(method, location string, body []byte, want int) string {
		t.Helper()
		if _, err := r.provideWriter(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		username, password, _ := writerOf(t, w)
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(r.CA())
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}
		request, err := http.NewRequestWithContext(t.Context(), method, "https://"+address+location, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.SetBasicAuth(username, password)
		response, err := (&http.Client{Transport: transport}).Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil || response.StatusCode != want {
			t.Fatalf("%s: status %d, want %d (%v)", method, response.StatusCode, want, err)
		}
		next, err := response.Location()
		if err != nil {
			t.Fatal(err)
		}
		return next.RequestURI()
	}
	location := send(http.MethodPost, "/v2/team/app/blobs/uploads/", nil, http.StatusAccepted)
	for n, rotation := range allRotations {
		location = send(http.MethodPatch, location, content[n*chunkBytes:(n+1)*chunkBytes], http.StatusAccepted)
		annotate(w, rotation.secret, rotation.what)
		if err := r.look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	whole := digest.FromBytes(content)
	end, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	query := end.Query()
	query.Set("digest", whole.String())
	end.RawQuery = query.Encode()
	send(http.MethodPut, end.RequestURI(), nil, http.StatusCreated)
	repository, err := r.store.Repository("team/app")
	if err != nil {
		t.Fatal(err)
	}
	blob, size, err := repository.OpenBlob(t.Context(), whole)
	if err != nil || size != int64(len(content)) {
		t.Fatalf("%d bytes are stored, want %d (%v)", size, len(content), err)
	}
	if err := blob.Close(); err != nil {
		t.Error(err)
	}
}
