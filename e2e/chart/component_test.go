package chart_test

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/e2e/operator"
	"github.com/ocm-operator/ocm-operator/hack/image/push"
	"github.com/ocm-operator/ocm-operator/hack/image/scratch"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
)

const (
	componentName = "acme.org/web"
	signature     = "release"
)

//go:embed component
var component embed.FS

// releases makes versions of the component that is delivered: a signed component version in a registry that the nodes reach, and
// an image that they have.
type releases struct {
	// registry is host:port of the registry, which speaks plain HTTP.
	registry string
	// dir is where programs and images are built, and load puts an image onto the nodes.
	dir  string
	load func(ctx context.Context, image string) error

	signer *signing.Signer
	public []byte
}

func newReleases(dir, registry string, load func(ctx context.Context, image string) error) (*releases, error) {
	signer, public, err := ocmtest.NewSigner()
	return &releases{registry: registry, dir: dir, load: load, signer: signer, public: public}, err
}

// url is the repository of the component.
func (r *releases) url() string { return "http://" + r.registry + "/components" }

// publish makes a version.
func (r *releases) publish(ctx context.Context, version string) error {
	image, manifest, err := r.image(ctx, version)
	if err != nil {
		return fmt.Errorf("make the image of version %s: %w", version, err)
	}
	manifests, err := directory("component/manifests")
	if err != nil {
		return err
	}
	config, err := component.ReadFile("component/config.yaml")
	if err != nil {
		return err
	}
	made := ocmtest.Component{
		Name: componentName, Version: version, Provider: "acme.org",
		Resources: []ocmtest.Resource{
			{Name: "manifests", Type: "Directory", MediaType: "application/x-tar", Content: manifests},
			{Name: "config", Type: "PlainText", MediaType: "application/x-yaml", Content: config},
			{Name: "image", Image: "http://" + image, Digest: descriptor.NewArtifactDigest(manifest)},
		},
		Signatures: []ocmtest.Signature{{Name: signature, Signer: r.signer}},
	}
	if _, err := made.Publish(ctx, r.url(), ocm.Options{}); err != nil {
		return fmt.Errorf("publish %s %s: %w", componentName, version, err)
	}
	return nil
}

// image makes the image of a version, puts it onto the nodes, and into the registry, where whoever verifies the version reads it.
func (r *releases) image(ctx context.Context, version string) (string, digest.Digest, error) {
	program := filepath.Join(r.dir, "web")
	if _, err := os.Stat(program); err != nil {
		if err := build(ctx, "./e2e/chart/web", program); err != nil {
			return "", "", err
		}
	}
	name, file := r.registry+"/web:"+version, filepath.Join(r.dir, "web-"+version+".tar")
	archive := scratch.Program(name, program)
	archive.Digests = true
	archive.Images[0].Files = append(archive.Images[0].Files, scratch.File{Name: "/version", Content: []byte(version)})
	root, err := archive.WriteFile(file)
	if err != nil {
		return "", "", err
	}
	if err := r.load(ctx, file); err != nil {
		return "", "", err
	}
	return name, root.Digest, push.Archive(ctx, file, root, name, true)
}

// directory packs a folder of the component.
func directory(name string) ([]byte, error) {
	entries, err := fs.ReadDir(component, name)
	if err != nil {
		return nil, err
	}
	var files []ocmtest.File
	for _, entry := range entries {
		content, err := fs.ReadFile(component, name+"/"+entry.Name())
		if err != nil {
			return nil, err
		}
		files = append(files, ocmtest.File{Name: entry.Name(), Content: content})
	}
	return ocmtest.Tar(files...)
}

// build builds a program of this clone as it is in an image: static, and without anything that is only good for looking into it.
func build(ctx context.Context, pkg, path string) error {
	root, err := operator.ModuleRoot()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", path, pkg)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, bytes.TrimSpace(out))
	}
	return nil
}
