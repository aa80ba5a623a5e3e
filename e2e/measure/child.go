package measure

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"github.com/ocm-operator/ocm-operator/registry"
	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

const (
	// ServeCommand is the first argument of a program that World has started as a server: what follows is for Serve.
	ServeCommand = "serve"
	// secretVariable has the key of the credentials.
	secretVariable = "MEASURE_SECRET"
)

// Serve is the life of a server: its name, folder, and the files of its certificate and key, which are empty for plain HTTP.
func Serve(ctx context.Context, args []string) (err error) {
	if len(args) != 4 {
		return errors.New("a server is started by this program itself")
	}
	name, dir, cert, key := args[0], args[1], args[2], args[3]
	var config *tls.Config
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return fmt.Errorf("read the certificate: %w", err)
		}
		config = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	if name != Ours {
		return ServeHandler(ctx, &registry.Server{TLS: config, Handler: &bare{dir: dir}})
	}
	content, err := store.Open(dir, store.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	handler, err := handlerOver(content)
	if err != nil {
		return err
	}
	defer handler.Close()
	return ServeHandler(ctx, &registry.Server{TLS: config, Handler: handler, Probe: content.Check})
}

// ServeHandler serves on a free port of loopback until the context ends, and tells its address as the parent wants it.
func ServeHandler(ctx context.Context, s *registry.Server) error {
	s.Addr = "127.0.0.1:0"
	go func() {
		<-s.Ready()
		fmt.Println(s.Address())
	}()
	return s.Run(ctx)
}

// handlerOver is the registry as the operator runs it: every write is made durable, every request is authorized and counted.
func handlerOver(content *store.Store) (*registry.Handler, error) {
	secret, err := hex.DecodeString(os.Getenv(secretVariable))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", secretVariable, err)
	}
	issuer, err := auth.NewIssuer(secret, nil)
	if err != nil {
		return nil, err
	}
	return registry.NewHandler(content, registry.Options{Authorizer: issuer, Metrics: registry.NewMetrics(content)}), nil
}

// bare is the least that a server can do: what the machine and net/http allow.
type bare struct{ dir string }

// ServeHTTP implements http.Handler.
func (s *bare) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := filepath.Join(s.dir, filepath.Base(r.URL.Path))
	var err error
	switch {
	case r.Method == http.MethodPut:
		if err = sink(path, r.Body, r.URL.Query().Has("sync")); err == nil {
			w.WriteHeader(http.StatusCreated)
		}
	case r.URL.Query().Has("bytes"):
		err = answer(w, r.URL.Query().Get("bytes"))
	default:
		http.ServeFile(w, r, path)
	}
	if err == nil {
		return
	}
	http.Error(w, err.Error(), http.StatusInternalServerError)
}

func answer(w io.Writer, bytes string) error {
	n, err := strconv.Atoi(bytes)
	if err != nil {
		return err
	}
	_, err = w.Write(make([]byte, n))
	return err
}

// sink hashes what comes, and writes it to a file that is gone afterwards.
func sink(path string, r io.Reader, sync bool) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(path)) }()
	hash := sha256.New()
	if _, err := io.CopyBuffer(io.MultiWriter(f, hash), onlyReader{r}, make([]byte, 256<<10)); err != nil {
		return err
	}
	_ = hash.Sum(nil)
	if sync {
		return f.Sync()
	}
	return nil
}

// onlyReader keeps a copy to the buffer that it was given.
type onlyReader struct{ io.Reader }
