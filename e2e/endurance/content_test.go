package endurance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/snapshot"
	"github.com/ocm-operator/ocm-operator/snapshot/archive"
)

// versionAnnotation is where the Deployment of the component tells its version, beside its image.
const versionAnnotation = "phoban.io/version"

// maxContent bounds what is read of a snapshot.
const maxContent = 64 << 20

// errUnreachable is matched when the embedded registry does not answer at all, because the operator is about to restart.
var errUnreachable = errors.New("the embedded registry is not reached")

// registry is the embedded registry, as a client that trusts its certificate and may pull everything.
type registry struct {
	client     *http.Client
	address    string
	credential auth.Credential
}

// registry returns access to the embedded registry. The credential is sealed with the operator's own key: what FluxDeployers
// hand out is for the snapshot at the end of a pipeline only.
func (w *world) registry() *registry {
	w.t.Helper()
	client, credential := w.RegistryClient()
	return &registry{client: client, address: w.Operator.RegistryAddress(), credential: credential}
}

// get reads a manifest or a blob by its digest, and proves it.
func (r *registry) get(ctx context.Context, repository, class string, dgst digest.Digest) ([]byte, error) {
	body, err := r.fetch(ctx, repository+"/"+class+"/"+dgst.String())
	if err != nil {
		return nil, err
	}
	if got := dgst.Algorithm().FromBytes(body); got != dgst {
		return nil, fmt.Errorf("get %s %s of %s: the bytes have digest %s", class, dgst, repository, got)
	}
	return body, nil
}

// fetch reads what the registry has at a path.
func (r *registry) fetch(ctx context.Context, path string) ([]byte, error) {
	url := "https://" + r.address + "/v2/" + path
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	request.SetBasicAuth(r.credential.Username, r.credential.Password)
	request.Header.Set("Accept", ocispec.MediaTypeImageManifest)
	response, err := r.client.Do(request)
	if err != nil {
		return nil, errors.Join(errUnreachable, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxContent))
	if err != nil {
		return nil, errors.Join(errUnreachable, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get %s: %s: %s", url, response.Status, bytes.TrimSpace(body))
	}
	return body, nil
}

// tags lists the tags of a repository.
func (r *registry) tags(ctx context.Context, repository string) ([]string, error) {
	raw, err := r.fetch(ctx, repository+"/tags/list")
	if err != nil {
		return nil, err
	}
	var list struct {
		Tags []string `json:"tags"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("tags of %s: %w", repository, err)
	}
	return list.Tags, nil
}

// resolve returns the digest of the manifest that a tag names.
func (r *registry) resolve(ctx context.Context, repository, tag string) (string, error) {
	raw, err := r.fetch(ctx, repository+"/manifests/"+tag)
	if err != nil {
		return "", err
	}
	return digest.FromBytes(raw).String(), nil
}

// pulled is what the embedded registry has of a snapshot.
type pulled struct {
	version string // that the manifest tells
	layer   digest.Digest
	files   map[string][]byte
}

// pull reads a snapshot by the digest of its manifest, as Flux does.
func (r *registry) pull(ctx context.Context, repository, manifest string) (*pulled, error) {
	raw, err := r.get(ctx, repository, "manifests", digest.Digest(manifest))
	if err != nil {
		return nil, err
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("manifest %s: %w", manifest, err)
	}
	if len(m.Layers) != 1 {
		return nil, fmt.Errorf("manifest %s has %d layers", manifest, len(m.Layers))
	}
	layer, err := r.get(ctx, repository, "blobs", m.Layers[0].Digest)
	if err != nil {
		return nil, err
	}
	p := &pulled{version: m.Annotations[snapshot.AnnotationComponentVersion], layer: m.Layers[0].Digest, files: map[string][]byte{}}
	for file, err := range archive.Files(bytes.NewReader(layer), archive.Limits{}) {
		if err != nil {
			return nil, fmt.Errorf("content %s: %w", p.layer, err)
		}
		if p.files[file.Path], err = io.ReadAll(file); err != nil {
			return nil, fmt.Errorf("content %s: %s: %w", p.layer, file.Path, err)
		}
	}
	return p, nil
}

// places returns every version that the files of the component tell, by where they tell it.
func (p *pulled) places() (map[string]string, error) {
	found := map[string]string{}
	for path, raw := range p.files {
		if filepath.Ext(path) != ".yaml" {
			continue
		}
		obj := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(raw, &obj.Object); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		for place, version := range places(obj) {
			found[path+" "+place] = version
		}
	}
	return found, nil
}

// places returns the versions that an object of the component tells, by where it tells them.
func places(obj *unstructured.Unstructured) map[string]string {
	found := map[string]string{}
	switch obj.GetKind() {
	case "ConfigMap":
		for _, field := range []string{"version", "configuredVersion"} {
			if version, ok, _ := unstructured.NestedString(obj.Object, "data", field); ok {
				found[field] = version
			}
		}
	case "Deployment":
		found["annotation"] = obj.GetAnnotations()[versionAnnotation]
		containers, _, _ := unstructured.NestedSlice(obj.Object, "spec", "template", "spec", "containers")
		for _, container := range containers {
			fields, _ := container.(map[string]any)
			image, _ := fields["image"].(string)
			// Before the localization it is a placeholder without a version.
			if _, version, ok := strings.Cut(image, ":"); ok {
				found["image"] = version
			}
		}
	}
	return found
}
