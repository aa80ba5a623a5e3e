package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/ocm-operator/ocm-operator/e2e/measure"
)

// pipe is a client that does what HTTP needs and no more: nothing is asked for before it is sent, nothing is compared on the
// way, and nothing is tried again.
type pipe struct {
	http *http.Client
	job
}

func newPipe(j job) *pipe { return &pipe{http: &http.Client{Transport: newTransport(j)}, job: j} }

// newTransport is tuned for long bodies: who copies otherwise shall not be slower for want of that.
func newTransport(j job) *http.Transport {
	return &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 2 * j.Concurrency, WriteBufferSize: 128 << 10, ReadBufferSize: 128 << 10}
}

// copyPlain copies by HTTP alone: each manifest, then all blobs by GET, POST and PUT, then the manifests.
func copyPlain(ctx context.Context, j job) error {
	p := newPipe(j)
	defer p.http.CloseIdleConnections()
	type piece struct {
		repository string
		ocispec.Descriptor
	}
	var pieces []piece
	manifests := make([][]byte, len(j.Artifacts))
	for i, repository := range j.Artifacts {
		raw, err := p.manifest(ctx, repository)
		if err != nil {
			return err
		}
		manifests[i] = raw
		var m ocispec.Manifest
		if err := json.Unmarshal(raw, &m); err != nil {
			return fmt.Errorf("manifest of %s: %w", repository, err)
		}
		for _, d := range append(m.Layers, m.Config) {
			pieces = append(pieces, piece{repository, d})
		}
	}
	if err := inParallel(ctx, j.Concurrency, pieces, func(ctx context.Context, x piece) error { return p.copyBlob(ctx, x.repository, x.Descriptor) }); err != nil {
		return err
	}
	for i, repository := range j.Artifacts {
		if err := p.pushManifest(ctx, repository, manifests[i]); err != nil {
			return err
		}
	}
	if !j.ReadBack {
		return nil
	}
	return inParallel(ctx, j.Concurrency, pieces, func(ctx context.Context, x piece) error {
		if x.repository != j.Artifacts[len(j.Artifacts)-1] {
			return nil // a layer of an image
		}
		return p.readBack(ctx, x.repository, x.Descriptor)
	})
}

func inParallel[T any](ctx context.Context, limit int, all []T, work func(context.Context, T) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(limit)
	for _, x := range all {
		group.Go(func() error { return work(ctx, x) })
	}
	return group.Wait()
}

// send sends a request, and returns the answer if it has the status. The caller closes its body.
func (p *pipe) send(ctx context.Context, to end, status int, method, url string, body measure.Body) (*http.Response, error) {
	if body.Reader == nil {
		body.Reader = http.NoBody
	}
	r, err := http.NewRequestWithContext(ctx, method, url, body.Reader)
	if err != nil {
		return nil, err
	}
	r.ContentLength = body.Size
	r.Header.Set("Accept", measure.ManifestType)
	if body.MediaType != "" {
		r.Header.Set("Content-Type", body.MediaType)
	}
	if to.Username != "" {
		r.SetBasicAuth(to.Username, to.Password)
	}
	resp, err := p.http.Do(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != status {
		return nil, errors.Join(fmt.Errorf("%s %s: %s, want %d", method, url, resp.Status, status), resp.Body.Close())
	}
	return resp, nil
}

// finish is for answers whose body does not matter; it is read so that the connection can be used again.
func finish(resp *http.Response, err error) (http.Header, error) {
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.Header, errors.Join(err, resp.Body.Close())
}

func (p *pipe) manifest(ctx context.Context, repository string) ([]byte, error) {
	resp, err := p.send(ctx, p.Source, http.StatusOK, http.MethodGet, p.Source.URL+"/v2/"+repository+"/manifests/"+version, measure.Body{})
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(resp.Body)
	return raw, errors.Join(err, resp.Body.Close())
}

func (p *pipe) copyBlob(ctx context.Context, repository string, d ocispec.Descriptor) error {
	header, err := finish(p.send(ctx, p.Target, http.StatusAccepted, http.MethodPost, p.Target.URL+"/v2/"+target(repository)+"/blobs/uploads/", measure.Body{}))
	if err != nil {
		return err
	}
	upload := measure.UploadOf(header, d.Digest)
	if upload[0] == '/' {
		upload = p.Target.URL + upload
	}
	resp, err := p.send(ctx, p.Source, http.StatusOK, http.MethodGet, p.Source.URL+"/v2/"+repository+"/blobs/"+d.Digest.String(), measure.Body{})
	if err != nil {
		return err
	}
	_, err = finish(p.send(ctx, p.Target, http.StatusCreated, http.MethodPut, upload,
		measure.Body{Reader: resp.Body, Size: d.Size, MediaType: "application/octet-stream"}))
	return errors.Join(err, resp.Body.Close())
}

func (p *pipe) pushManifest(ctx context.Context, repository string, raw []byte) error {
	_, err := finish(p.send(ctx, p.Target, http.StatusCreated, http.MethodPut, p.Target.URL+"/v2/"+target(repository)+"/manifests/"+version,
		measure.Body{Reader: bytes.NewReader(raw), Size: int64(len(raw)), MediaType: measure.ManifestType}))
	return err
}

// windows are what is read into to be hashed.
var windows = sync.Pool{New: func() any { b := make([]byte, 128<<10); return &b }}

// readBack compares what the target has with the digest: to read it for nothing else would prove nothing.
func (p *pipe) readBack(ctx context.Context, repository string, d ocispec.Descriptor) error {
	resp, err := p.send(ctx, p.Target, http.StatusOK, http.MethodGet, p.Target.URL+"/v2/"+target(repository)+"/blobs/"+d.Digest.String(), measure.Body{})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	buffer, _ := windows.Get().(*[]byte)
	defer windows.Put(buffer)
	digester := digest.SHA256.Digester()
	// The hash has no ReadFrom, and the body no WriteTo: the buffer is used.
	if _, err := io.CopyBuffer(digester.Hash(), resp.Body, *buffer); err != nil {
		return err
	}
	if digester.Digest() != d.Digest {
		return fmt.Errorf("%s of %s came back as %s", d.Digest, repository, digester.Digest())
	}
	return nil
}
