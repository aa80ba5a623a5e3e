package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/hack/image/scratch"
)

// user is the number that distroless images have given to "nonroot", so that it is the same in both kinds of images.
const user = "65532"

// builder knows the clone and the commit that an image is of.
type builder struct {
	root    string
	version string
	commit  string
	created time.Time
}

func newBuilder(ctx context.Context) (*builder, error) {
	root, err := output(exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}"))
	if err != nil {
		return nil, err
	}
	b := &builder{root: root}
	stamps := map[string]string{}
	for _, name := range []string{"version", "commit", "date"} {
		if stamps[name], err = output(exec.CommandContext(ctx, filepath.Join(root, "hack", "build.sh"), name)); err != nil {
			return nil, err
		}
	}
	b.version, b.commit = stamps["version"], stamps["commit"]
	b.created, err = createdAt(stamps["date"])
	return b, err
}

// archive makes the image for all platforms. What it builds is gone when it returns, so it is read at once.
func (b *builder) archive(ctx context.Context, o options) (scratch.Archive, error) {
	roots, err := b.roots(ctx)
	if err != nil {
		return scratch.Archive{}, err
	}
	a := scratch.Archive{Names: o.names, Annotations: b.labels()}
	for _, platform := range o.platforms {
		program, err := b.program(ctx, platform, o.binary)
		if err != nil {
			return scratch.Archive{}, fmt.Errorf("image for %s: %w", platform, err)
		}
		a.Images = append(a.Images, scratch.Image{
			Platform: platform,
			Files: []scratch.File{
				{Name: "/ocm-operator", Mode: 0o755, Content: program},
				{Name: "/etc/ssl/certs/ca-certificates.crt", Content: roots},
				{Name: "/etc/passwd", Content: []byte("nonroot:x:" + user + ":" + user + ":nonroot:/:/sbin/nologin\n")},
				{Name: "/etc/group", Content: []byte("nonroot:x:" + user + ":\n")},
			},
			Entrypoint: []string{"/ocm-operator"},
			User:       user + ":" + user,
			WorkingDir: "/",
			Labels:     b.labels(),
			Created:    b.created,
		})
	}
	return a, nil
}

func (b *builder) labels() map[string]string {
	labels := map[string]string{
		ocispec.AnnotationTitle:       "ocm-operator",
		ocispec.AnnotationDescription: "Delivers OCM component versions to Kubernetes through Flux",
		ocispec.AnnotationSource:      "https://github.com/ocm-operator/ocm-operator",
		ocispec.AnnotationLicenses:    "Apache-2.0",
		ocispec.AnnotationVersion:     b.version,
		ocispec.AnnotationRevision:    b.commit,
	}
	if !b.created.IsZero() {
		labels[ocispec.AnnotationCreated] = b.created.UTC().Format(time.RFC3339)
	}
	return labels
}

// program builds the operator for a platform, as `make build` does, unless it is there already.
func (b *builder) program(ctx context.Context, platform scratch.Platform, built string) ([]byte, error) {
	path := strings.ReplaceAll(built, "{arch}", platform.Architecture)
	if path == "" {
		dir, err := os.MkdirTemp("", "image-*")
		if err != nil {
			return nil, fmt.Errorf("make a folder for the program: %w", err)
		}
		defer os.RemoveAll(dir) //nolint:errcheck // In the temporary folder of the system.
		path = filepath.Join(dir, "ocm-operator")
		build := exec.CommandContext(ctx, filepath.Join(b.root, "hack", "build.sh"), path)
		build.Env = append(os.Environ(), "GOOS="+platform.OS, "GOARCH="+platform.Architecture)
		if platform.Architecture == "arm" {
			build.Env = append(build.Env, "GOARM="+strings.TrimPrefix(platform.Variant, "v"))
		}
		if _, err := output(build); err != nil {
			return nil, err
		}
	}
	if err := checkProgram(path, platform); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// checkProgram refuses a program that would not start on the platform: nobody would notice before a pod fails.
func checkProgram(path string, platform scratch.Platform) error {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read what %s was built for: %w", path, err)
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	switch {
	case settings["GOOS"] != platform.OS || settings["GOARCH"] != platform.Architecture:
		return fmt.Errorf("%s was built for %s/%s", path, settings["GOOS"], settings["GOARCH"])
	case settings["CGO_ENABLED"] != "0":
		return fmt.Errorf("%s was built with cgo and needs libraries that the image has not; build it with hack/build.sh", path)
	}
	return nil
}

// roots are the certificate authorities, from a module of their own that nothing else depends on.
func (b *builder) roots(ctx context.Context) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", "-C", filepath.Join(b.root, "hack", "image", "roots"), "run", ".")
	text, err := output(cmd)
	return []byte(text + "\n"), err
}

// output runs a command and returns what it prints, without white space at the end.
func output(cmd *exec.Cmd) (string, error) {
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("run %s: %w\n%s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(log.Bytes()))
	}
	return strings.TrimSpace(out.String()), nil
}
