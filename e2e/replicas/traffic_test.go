package replicas_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/registry/auth"
)

const (
	requestTimeout = 30 * time.Second
	// patience is how often a pull may fail in a row: connections to a replica that is killed break, and the next one goes to
	// another replica.
	patience = 10
	pushed   = "pushes/app"
)

// registry is a client of the registry of the operator, at any address.
type registry struct {
	http   *http.Client
	issuer *auth.Issuer
}

// newRegistry has the rights of the operator itself.
func newRegistry(t *testing.T, e *e2etest.Env) *registry {
	t.Helper()
	issuer, roots := e.RegistryRights()
	// Each request has a connection of its own, and so the next replica.
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	return &registry{http: &http.Client{Transport: transport, Timeout: requestTimeout}, issuer: issuer}
}

// ask returns status and body. An answer that breaks off is an error.
func (r *registry) ask(ctx context.Context, scope auth.Scope, method, url string, body []byte, mediaType string) (int, http.Header, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	credential, err := r.issuer.Issue(scope, time.Hour)
	if err != nil {
		return 0, nil, nil, err
	}
	request.SetBasicAuth(credential.Username, credential.Password)
	request.Header.Set("Content-Type", mediaType)
	response, err := r.http.Do(request)
	if err != nil {
		return 0, nil, nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return response.StatusCode, response.Header, content, err
}

// errWrong is the one thing that must never happen.
var errWrong = errors.New("wrong bytes")

// pull reads something by its digest.
func (r *registry) pull(ctx context.Context, address, repository, what string, want digest.Digest) ([]byte, int, error) {
	url := "https://" + address + "/v2/" + repository + "/" + what + "/" + want.String()
	status, _, body, err := r.ask(ctx, auth.Scope{Prefix: repository + "/"}, http.MethodGet, url, nil, "")
	switch {
	case err != nil:
		return nil, status, err
	case status != http.StatusOK:
		return nil, status, fmt.Errorf("%s answers %d: %.200s", url, status, body)
	case digest.FromBytes(body) != want:
		return nil, status, fmt.Errorf("%w: %s has %d bytes with digest %s", errWrong, url, len(body), digest.FromBytes(body))
	}
	return body, status, nil
}

// push writes an artifact, and returns the digest of its manifest when all of it was acknowledged.
func (r *registry) push(ctx context.Context, address string, n int) (digest.Digest, error) {
	scope, begin := auth.Scope{Prefix: "pushes/", Push: true}, "https://"+address+"/v2/"+pushed
	sum := sha256.Sum256(fmt.Append(nil, n))
	layer := bytes.Repeat(sum[:], 32<<10)
	manifest := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
	for _, content := range [][]byte{layer, []byte("{}")} {
		d := digest.FromBytes(content)
		desc := ocispec.Descriptor{MediaType: "application/octet-stream", Digest: d, Size: int64(len(content))}
		manifest.Layers, manifest.Config = append(manifest.Layers, desc), desc
		status, header, _, err := r.ask(ctx, scope, http.MethodPost, begin+"/blobs/uploads/", nil, "")
		if err != nil || status != http.StatusAccepted {
			return "", fmt.Errorf("begin of an upload: %d: %w", status, err)
		}
		status, _, _, err = r.ask(ctx, scope, http.MethodPut, "https://"+address+header.Get("Location")+"?digest="+d.String(), content, "application/octet-stream")
		if err != nil || status != http.StatusCreated {
			return "", fmt.Errorf("upload: %d: %w", status, err)
		}
	}
	body, err := json.Marshal(manifest)
	if err != nil {
		return "", err
	}
	d := digest.FromBytes(body)
	status, _, _, err := r.ask(ctx, scope, http.MethodPut, begin+"/manifests/"+d.String(), body, ocispec.MediaTypeImageManifest)
	if err != nil || status != http.StatusCreated {
		return "", fmt.Errorf("manifest: %d: %w", status, err)
	}
	return d, nil
}

// traffic goes on in the background.
type traffic struct {
	registry *registry
	address  string

	pulls, broken, pushes, refused, gone atomic.Int64
	// turns is odd while a leader ends.
	turns atomic.Int64

	mu   sync.Mutex
	errs []error
	done sync.WaitGroup
}

func (f *traffic) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.errs) < 10 {
		f.errs = append(f.errs, err)
	}
}

// pulling reads the same content until the context is over. It is in every replica, so it never has to wait.
func (f *traffic) pulling(ctx context.Context, repository string, want map[digest.Digest]string) {
	for ctx.Err() == nil {
		for d, what := range want {
			f.persist(ctx, repository, what, d)
		}
	}
}

func (f *traffic) persist(ctx context.Context, repository, what string, d digest.Digest) {
	for attempt := 1; ctx.Err() == nil; attempt++ {
		_, status, err := f.registry.pull(ctx, f.address, repository, what, d)
		switch {
		case err == nil:
			f.pulls.Add(1)
			return
		case ctx.Err() != nil:
			return
		case errors.Is(err, errWrong), status == http.StatusNotFound, attempt == patience:
			f.fail(fmt.Errorf("attempt %d: %w", attempt, err))
			return
		}
		f.broken.Add(1)
	}
}

// pushing writes artifacts over HTTP until the context is over, each to whatever replica comes, and reads them again.
func (f *traffic) pushing(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		turns := f.turns.Load()
		d, err := f.registry.push(ctx, f.address, n)
		if err != nil {
			f.refused.Add(1)
			continue
		}
		f.pushes.Add(1)
		_, status, err := f.registry.pull(ctx, f.address, pushed, "manifests", d)
		switch {
		case errors.Is(err, errWrong):
			f.fail(err)
		case status == http.StatusNotFound && turns%2 == 0 && f.turns.Load() == turns:
			f.fail(fmt.Errorf("%s was acknowledged, and is not there though the same replica leads: %w", d, err))
		case status == http.StatusNotFound:
			// It was in the replica that has ended, and no Snapshot names it.
			f.gone.Add(1)
		}
	}
}
