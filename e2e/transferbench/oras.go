package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	orasgo "oras.land/oras-go/v2"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
)

// copyOras copies each artifact with the library that most tools use, one after the other, as those do.
func copyOras(ctx context.Context, j job) error {
	transport := newTransport(j)
	defer transport.CloseIdleConnections()
	source, err := orasClient(transport, j.Source)
	if err != nil {
		return err
	}
	destination, err := orasClient(transport, j.Target)
	if err != nil {
		return err
	}
	options := orasgo.DefaultCopyOptions
	options.Concurrency = j.Concurrency
	for _, repository := range j.Artifacts {
		have, err := source(repository)
		if err != nil {
			return err
		}
		want, err := destination(target(repository))
		if err != nil {
			return err
		}
		if _, err := orasgo.Copy(ctx, have, version, want, version, options); err != nil {
			return fmt.Errorf("copy %s: %w", repository, err)
		}
	}
	return nil
}

// orasClient returns what makes repositories of a registry.
func orasClient(transport *http.Transport, e end) (func(path string) (*remote.Repository, error), error) {
	host, plainHTTP := strings.CutPrefix(e.URL, "http://")
	if !plainHTTP {
		return nil, fmt.Errorf("%s is not http://", e.URL)
	}
	client := &auth.Client{Client: &http.Client{Transport: transport}, Cache: auth.NewCache()}
	if e.Username != "" {
		client.Credential = auth.StaticCredential(host, auth.Credential{Username: e.Username, Password: e.Password})
	}
	return func(path string) (*remote.Repository, error) {
		repository, err := remote.NewRepository(host + "/" + path)
		if err != nil {
			return nil, err
		}
		repository.Client, repository.PlainHTTP = client, true
		return repository, nil
	}, nil
}
