package server

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

// client talks to a registry.
type client struct {
	*http.Client
	url            string
	user, password string
}

// do sends a request and returns the body of an answer with the status.
func (c *client) do(t *testing.T, status int, method, path, mediaType string, body []byte) (http.Header, []byte) {
	t.Helper()
	url := path
	if strings.HasPrefix(path, "/") {
		url = c.url + path
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if mediaType != "" {
		r.Header.Set("Content-Type", mediaType)
	}
	// Without it distribution has no OCI manifests.
	r.Header.Set("Accept", "application/vnd.oci.image.manifest.v1+json")
	if c.user != "" {
		r.SetBasicAuth(c.user, c.password)
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != status {
		t.Fatalf("%s %s: got %s, want %d\n%s", method, path, resp.Status, status, got)
	}
	return resp.Header, got
}

// push pushes an artifact and returns the digest of its blob.
func (c *client) push(t *testing.T, content []byte) digest.Digest {
	t.Helper()
	d := digest.FromBytes(content)
	header, _ := c.do(t, http.StatusAccepted, http.MethodPost, "/v2/team/app/blobs/uploads/", "", nil)
	location := header.Get("Location")
	separator := "?"
	if strings.Contains(location, "?") {
		separator = "&"
	}
	c.do(t, http.StatusCreated, http.MethodPut, location+separator+"digest="+d.String(), "application/octet-stream", content)
	const manifest = "application/vnd.oci.image.manifest.v1+json"
	blob := fmt.Sprintf(`{"mediaType":"application/vnd.oci.empty.v1+json","digest":%q,"size":%d}`, d, len(content))
	body := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":%s,"layers":[%s]}`, manifest, blob, blob)
	c.do(t, http.StatusCreated, http.MethodPut, "/v2/team/app/manifests/v1", manifest, []byte(body))
	return d
}

// certificate writes a certificate for loopback and its key, and returns their files and a client that trusts it.
func certificate(t *testing.T) (cert, key string, trusting *http.Client) {
	t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	server.Close()
	pair := server.TLS.Certificates[0]
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(t.TempDir(), "tls.crt"), filepath.Join(t.TempDir(), "tls.key")
	for path, block := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, key: {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	return cert, key, &http.Client{Transport: transport}
}

func start(t *testing.T, r Registry) *Process {
	t.Helper()
	r.Progress = os.Stderr
	p, err := StartRegistry(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func TestRegistriesServe(t *testing.T) {
	t.Parallel()
	for _, kind := range []Kind{Distribution, ContainerRegistryDisk, ContainerRegistryMemory} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			p := start(t, Registry{Kind: kind, Dir: t.TempDir(), Delete: true})
			c := &client{Client: http.DefaultClient, url: "http://" + p.Address()}
			content := []byte("content of " + kind)
			d := c.push(t, content)
			if _, got := c.do(t, http.StatusOK, http.MethodGet, "/v2/team/app/blobs/"+d.String(), "", nil); !bytes.Equal(got, content) {
				t.Errorf("got %q, want %q", got, content)
			}
			header, _ := c.do(t, http.StatusOK, http.MethodHead, "/v2/team/app/manifests/v1", "", nil)
			c.do(t, http.StatusAccepted, http.MethodDelete, "/v2/team/app/manifests/"+header.Get("Docker-Content-Digest"), "", nil)
			c.do(t, http.StatusNotFound, http.MethodGet, "/v2/team/app/manifests/"+header.Get("Docker-Content-Digest"), "", nil)
		})
	}
}

func TestRegistriesWithLoginAndTLS(t *testing.T) {
	t.Parallel()
	cert, key, trusting := certificate(t)
	for _, kind := range []Kind{Distribution, ContainerRegistryDisk} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			p := start(t, Registry{Kind: kind, Dir: t.TempDir(), Cert: cert, Key: key, User: "writer", Password: "secret"})
			c := &client{Client: trusting, url: "https://" + p.Address(), user: "writer", password: "secret"}
			d := c.push(t, []byte("content"))
			for name, stranger := range map[string]*client{
				"nobody":         {Client: trusting, url: c.url},
				"wrong password": {Client: trusting, url: c.url, user: "writer", password: "guess"},
				"wrong user":     {Client: trusting, url: c.url, user: "reader", password: "secret"},
			} {
				header, _ := stranger.do(t, http.StatusUnauthorized, http.MethodGet, "/v2/team/app/blobs/"+d.String(), "", nil)
				if !strings.HasPrefix(header.Get("WWW-Authenticate"), "Basic ") {
					t.Errorf("%s: got the challenge %q, want Basic", name, header.Get("WWW-Authenticate"))
				}
			}
		})
	}
}

func TestDistributionIsThereAfterKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, Registry{Kind: Distribution, Dir: dir})
	c := &client{Client: http.DefaultClient, url: "http://" + first.Address()}
	d := c.push(t, []byte("content"))
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	second := start(t, Registry{Kind: Distribution, Dir: dir, Listen: first.Address()})
	if second.Address() != first.Address() {
		t.Errorf("it listens at %s, want %s", second.Address(), first.Address())
	}
	c.do(t, http.StatusOK, http.MethodGet, "/v2/team/app/blobs/"+d.String(), "", nil)
	// Without the flag nothing is deleted.
	c.do(t, http.StatusMethodNotAllowed, http.MethodDelete, "/v2/team/app/blobs/"+d.String(), "", nil)
}

func TestStartTellsWhatTheProgramSaid(t *testing.T) {
	t.Parallel()
	if _, err := StartRegistry(t.Context(), Registry{Kind: "another", Dir: t.TempDir(), Progress: os.Stderr}); err == nil || !strings.Contains(err.Error(), `no server is of kind "another"`) {
		t.Errorf("got %v, want what the program complained about", err)
	}
	if _, err := Start(t.Context(), Command{Path: filepath.Join(t.TempDir(), "missing")}); err == nil {
		t.Error("want an error for a program that is not there")
	}
}

func TestStopOfAnEndedServer(t *testing.T) {
	t.Parallel()
	p := start(t, Registry{Kind: ContainerRegistryMemory})
	for range 2 {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	}
	if err := p.Kill(); err != nil {
		t.Error(err)
	}
}
