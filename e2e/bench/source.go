package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// publisher is who publishes components here: its requests are not counted.
const publisher = "ocm-operator-bench"

// source is the registry that components are published to: a real one, with its blobs on the disk, that counts its requests.
type source struct {
	url    string
	server *http.Server

	mu       sync.Mutex
	requests map[string]int // by method and class
}

// serveSource starts a registry on loopback.
func serveSource(ctx context.Context, dir string) (*source, error) {
	if err := os.MkdirAll(filepath.Join(dir, "sha256"), 0o700); err != nil {
		return nil, fmt.Errorf("create the folder of the source registry: %w", err)
	}
	handler, ok := registry.NewDiskBlobHandler(dir).(diskHandler)
	if !ok {
		return nil, errors.New("the source registry can't keep blobs on the disk")
	}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithBlobHandler(&files{diskHandler: handler, dir: dir}))
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the source registry: %w", err)
	}
	s := &source{url: "http://" + listener.Addr().String(), requests: map[string]int{}}
	s.server = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if request.UserAgent() != publisher {
			s.note(request)
		}
		inner.ServeHTTP(w, request)
	})}
	go func() { _ = s.server.Serve(listener) }() // it ends by Close
	return s, nil
}

func (s *source) note(request *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[request.Method+" "+ocmtest.Class(request)]++
}

// counts returns how many requests there were by method and class.
func (s *source) counts() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.requests)
}

// repository is the URL of a place of its own for each of the pipelines, as if each had another publisher.
func (s *source) repository(name string) string { return s.url + "/" + name }

func (s *source) close() error { return s.server.Close() }

// diskHandler is what the registry's handler for blobs on the disk can do.
type diskHandler interface {
	registry.BlobHandler
	registry.BlobStatHandler
	registry.BlobPutHandler
}

// files spares the registry hashing a blob on each request, which a registry in use does not do either.
type files struct {
	diskHandler
	dir string
}

// Stat implements registry.BlobStatHandler.
func (f *files) Stat(ctx context.Context, repository string, hash v1.Hash) (int64, error) {
	if info, err := os.Stat(filepath.Join(f.dir, hash.Algorithm, hash.Hex)); err == nil {
		return info.Size(), nil
	}
	return f.diskHandler.Stat(ctx, repository, hash)
}
