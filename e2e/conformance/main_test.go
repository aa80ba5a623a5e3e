package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.uber.org/goleak"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/memory"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestPrintedEnvironment pushes and pulls with nothing but what is printed.
func TestPrintedEnvironment(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	in, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"-access-log"}, out, io.Discard)
		ended <- err
		_ = out.Close()
	}()
	env := map[string]string{}
	lines := bufio.NewScanner(in)
	for lines.Scan() && strings.HasPrefix(lines.Text(), "export ") {
		name, value, _ := strings.Cut(strings.TrimPrefix(lines.Text(), "export "), "=")
		env[name] = strings.Trim(value, "'")
	}
	if env["OCI_ROOT_URL"] != "http://"+env["OCI_REGISTRY"] || env["OCI_TLS"] != "disabled" || env["OCI_NAMESPACE"] != env["OCI_REPO1"] {
		t.Fatalf("environment %v", env)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	repo, err := remote.NewRepository(env["OCI_REGISTRY"] + "/" + env["OCI_REPO1"])
	if err != nil {
		t.Fatal(err)
	}
	repo.PlainHTTP = true
	repo.Client = &auth.Client{
		Client:     &http.Client{Transport: transport},
		Credential: auth.StaticCredential(env["OCI_REGISTRY"], auth.Credential{Username: env["OCI_USERNAME"], Password: env["OCI_PASSWORD"]}),
	}
	local := memory.New()
	layer, err := oras.PushBytes(ctx, local, "application/vnd.example", []byte("layer"))
	if err != nil {
		t.Fatal(err)
	}
	desc, err := oras.PackManifest(ctx, local, oras.PackManifestVersion1_1, "application/vnd.example", oras.PackManifestOptions{Layers: []ocispec.Descriptor{layer}})
	if err != nil {
		t.Fatal(err)
	}
	if err := oras.CopyGraph(ctx, local, repo, desc, oras.DefaultCopyGraphOptions); err != nil {
		t.Fatal(err)
	}
	if got, err := repo.Resolve(ctx, desc.Digest.String()); err != nil || got.Digest != desc.Digest {
		t.Errorf("got %v, %v", got, err)
	}
	transport.CloseIdleConnections()
	cancel()
	if _, err := io.Copy(io.Discard, in); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
