package measure

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

// ManifestType is the media type of manifests that the client asks for.
const ManifestType = "application/vnd.oci.image.manifest.v1+json"

const blobType = "application/octet-stream"

// Body is what a request sends.
type Body struct {
	io.Reader

	// Size is its length, and MediaType what it is, if that matters.
	Size      int64
	MediaType string
}

// Bytes returns a body of bytes.
func Bytes(content []byte) Body {
	return Body{Reader: bytes.NewReader(content), Size: int64(len(content))}
}

// window is what a client reads into; what comes is dropped.
var window = sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}

// Do sends a request, to a path or a URL, and reads its answer to the end. It returns the headers and how many bytes came.
func (c *Contestant) Do(ctx context.Context, status int, method, url string, sent Body) (http.Header, int64, error) {
	if strings.HasPrefix(url, "/") {
		url = c.URL + url
	}
	if sent.Reader == nil {
		sent.Reader = http.NoBody
	}
	r, err := http.NewRequestWithContext(ctx, method, url, sent.Reader)
	if err != nil {
		return nil, 0, err
	}
	r.ContentLength = sent.Size
	r.Header.Set("Accept", ManifestType)
	if sent.MediaType != "" {
		r.Header.Set("Content-Type", sent.MediaType)
	}
	if c.Username != "" {
		r.SetBasicAuth(c.Username, c.Password)
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
			return nil, n, fmt.Errorf("%s: %s %s: %w", c.Name, method, url, err)
		}
	}
	if resp.StatusCode != status {
		return nil, n, fmt.Errorf("%s: %s %s: %s, want %d: %s", c.Name, method, url, resp.Status, status, (*buffer)[:min(n, 1<<10)])
	}
	return resp.Header, n, nil
}

// PushBlob pushes a blob with the two requests that every registry knows.
func (c *Contestant) PushBlob(ctx context.Context, repository string, d digest.Digest, content Body) error {
	header, _, err := c.Do(ctx, http.StatusAccepted, http.MethodPost, "/v2/"+repository+"/blobs/uploads/", Body{})
	if err != nil {
		return err
	}
	content.MediaType = blobType
	_, _, err = c.Do(ctx, http.StatusCreated, http.MethodPut, UploadOf(header, d), content)
	return err
}

// UploadOf returns where the blob goes whose upload was begun.
func UploadOf(header http.Header, d digest.Digest) string {
	location, separator := header.Get("Location"), "?"
	if strings.Contains(location, "?") {
		separator = "&"
	}
	return location + separator + "digest=" + d.String()
}

// Pull reads something and checks how long it was.
func (c *Contestant) Pull(ctx context.Context, url string, want int64) error {
	_, n, err := c.Do(ctx, http.StatusOK, http.MethodGet, url, Body{})
	if err == nil && want >= 0 && n != want {
		err = fmt.Errorf("%s: GET %s: got %d bytes, want %d", c.Name, url, n, want)
	}
	return err
}
