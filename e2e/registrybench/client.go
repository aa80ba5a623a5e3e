package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/e2e/measure"
)

const namespace = "bench"

// Names of servers. All are compared with ours.
const (
	ours    = measure.Ours
	other   = measure.Distribution
	machine = measure.Machine
)

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
	measure.Fill(layer, seed, owner, n)
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
	return fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":%s,"layers":[%s]}`, measure.ManifestType,
		describe("application/vnd.oci.image.config.v1+json", a.config), describe("application/vnd.oci.image.layer.v1.tar+gzip", a.layer))
}

// push pushes the artifact with five requests, and its tag.
func (a artifact) push(ctx context.Context, c *measure.Contestant) error {
	for _, content := range [][]byte{a.layer, a.config} {
		if err := c.PushBlob(ctx, a.repository, digest.FromBytes(content), measure.Bytes(content)); err != nil {
			return err
		}
	}
	manifest := measure.Bytes(a.manifest())
	manifest.MediaType = measure.ManifestType
	_, _, err := c.Do(ctx, http.StatusCreated, http.MethodPut, "/v2/"+a.repository+"/manifests/v1", manifest)
	return err
}
