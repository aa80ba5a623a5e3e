package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
)

const (
	namespace    = "bench"
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	emptyType    = "application/octet-stream"
)

// body is what a request sends.
type body struct {
	io.Reader
	size      int64
	mediaType string
}

// window is what a client reads into; what comes is dropped.
var window = sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}

// do sends a request and reads its answer to the end. It returns the headers and how many bytes came.
func (c *contestant) do(ctx context.Context, status int, method, url string, sent body) (http.Header, int64, error) {
	if strings.HasPrefix(url, "/") {
		url = c.url + url
	}
	if sent.Reader == nil {
		sent.Reader = http.NoBody
	}
	r, err := http.NewRequestWithContext(ctx, method, url, sent.Reader)
	if err != nil {
		return nil, 0, err
	}
	r.ContentLength = sent.size
	r.Header.Set("Accept", manifestType)
	if sent.mediaType != "" {
		r.Header.Set("Content-Type", sent.mediaType)
	}
	if c.basic != "" {
		r.Header.Set("Authorization", c.basic)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	buffer, _ := window.Get().(*[]byte)
	defer window.Put(buffer)
	var n int64
	for {
		got, err := resp.Body.Read(*buffer)
		n += int64(got)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, n, fmt.Errorf("%s: %s %s: %w", c.name, method, url, err)
		}
	}
	if resp.StatusCode != status {
		return nil, n, fmt.Errorf("%s: %s %s: %s, want %d: %s", c.name, method, url, resp.Status, status, (*buffer)[:min(n, 1<<10)])
	}
	return resp.Header, n, nil
}

// pushBlob pushes a blob with the two requests that every registry knows.
func (c *contestant) pushBlob(ctx context.Context, repository string, d digest.Digest, content body) error {
	header, _, err := c.do(ctx, http.StatusAccepted, http.MethodPost, "/v2/"+repository+"/blobs/uploads/", body{})
	if err != nil {
		return err
	}
	location, separator := header.Get("Location"), "?"
	if strings.Contains(location, "?") {
		separator = "&"
	}
	content.mediaType = emptyType
	_, _, err = c.do(ctx, http.StatusCreated, http.MethodPut, location+separator+"digest="+d.String(), content)
	return err
}

// pull reads something and checks how long it was.
func (c *contestant) pull(ctx context.Context, url string, want int64) error {
	_, n, err := c.do(ctx, http.StatusOK, http.MethodGet, url, body{})
	if err == nil && want >= 0 && n != want {
		err = fmt.Errorf("%s: GET %s: got %d bytes, want %d", c.name, url, n, want)
	}
	return err
}

func bytesBody(content []byte) body {
	return body{Reader: bytes.NewReader(content), size: int64(len(content))}
}

// emptyConfig is what artifacts have that need no configuration, as those of the operator, of Flux and of most tools.
var emptyConfig = []byte("{}")

// artifact is a small artifact. No other one has its layer.
type artifact struct {
	repository string
	layer      []byte
	config     []byte
}

func newArtifact(seed uint64, owner string, n int64) artifact {
	repository := artifactName(n)
	layer := make([]byte, smallBytes)
	fill(layer, seed, owner, n)
	return artifact{repository: repository, layer: layer, config: emptyConfig}
}

// configured gives the artifact a configuration of its own, as images have it.
func (a artifact) configured() artifact {
	a.config = fmt.Appendf(nil, `{"of":%q}`, a.repository)
	return a
}

func artifactName(n int64) string { return fmt.Sprintf("%s/app%d", namespace, n) }

func (a artifact) manifest() []byte {
	describe := func(mediaType string, content []byte) string {
		return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, mediaType, digest.FromBytes(content), len(content))
	}
	return fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":%s,"layers":[%s]}`, manifestType,
		describe("application/vnd.oci.image.config.v1+json", a.config), describe("application/vnd.oci.image.layer.v1.tar+gzip", a.layer))
}

// push pushes the artifact with five requests, and its tag.
func (c *contestant) push(ctx context.Context, a artifact) error {
	for _, content := range [][]byte{a.layer, a.config} {
		if err := c.pushBlob(ctx, a.repository, digest.FromBytes(content), bytesBody(content)); err != nil {
			return err
		}
	}
	manifest := bytesBody(a.manifest())
	manifest.mediaType = manifestType
	_, _, err := c.do(ctx, http.StatusCreated, http.MethodPut, "/v2/"+a.repository+"/manifests/v1", manifest)
	return err
}
