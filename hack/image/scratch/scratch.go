// Package scratch makes container images of nothing but the files they are given: no base image, no docker, no network. The
// same files give the same bytes, so an image can be rebuilt and compared. What it writes is one archive in two forms at once: an
// image layout as the OCI specifies it, with all platforms, and for older tools an archive of docker's, with the first one.
// It runs no command inside of an image, and reads no other image.
package scratch

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry"
)

// Platform is what an image runs on.
type Platform struct {
	OS           string
	Architecture string
	// Variant is that of the architecture, such as v7 of arm. Usually empty.
	Variant string
}

// ParsePlatform reads a platform as "linux/arm64" or "linux/arm/v7".
func ParsePlatform(text string) (Platform, error) {
	parts := strings.Split(text, "/")
	if len(parts) < 2 || len(parts) > 3 || parts[0] != "linux" || slices.Contains(parts, "") {
		return Platform{}, fmt.Errorf("platform %q: write it as linux/amd64 or linux/arm/v7; there are no images for others than linux", text)
	}
	platform := Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 3 {
		platform.Variant = parts[2]
	}
	return platform, nil
}

// String is the platform as ParsePlatform reads it.
func (p Platform) String() string {
	return strings.TrimSuffix(p.OS+"/"+p.Architecture+"/"+p.Variant, "/")
}

// File is one file, directory or link of an image. Directories above it need not be given; they belong to root and all may
// read them.
type File struct {
	// Name is the absolute path in the image, such as /etc/passwd.
	Name string
	// Mode has the permissions, by default those of files and directories that everybody may read. A directory has fs.ModeDir
	// and, where everybody may write, fs.ModeSticky.
	Mode fs.FileMode
	// Content is what is in the file, unless Path names a file of this machine that has it.
	Content []byte
	Path    string
	// Link makes it a symbolic link to this path.
	Link string
	// UID and GID are the owner; 0 is root.
	UID, GID int
}

// Image is what runs on one platform.
type Image struct {
	Platform   Platform
	Files      []File
	Entrypoint []string
	Cmd        []string
	Env        []string
	// User is "65532:65532", by number so that Kubernetes can prove that it is not root.
	User       string
	WorkingDir string
	// Ports are documentation, such as "8080/tcp".
	Ports []string
	// Labels are part of the configuration of the image, and annotations of its manifest.
	Labels map[string]string
	// Created is the time that the configuration shows. Files have none (1970), so that equal files are equal layers.
	Created time.Time
}

// Archive is an image for one or several platforms under all of its names.
type Archive struct {
	// Names are complete, with a registry and a tag: "ghcr.io/ocm-operator/ocm-operator:v0.1.0".
	Names []string
	// Digests gives it the name with its digest, too, for each name, which is how pods ask for an image that is pinned. Tools of
	// docker don't see it.
	Digests bool
	// Images are the platforms. A single one is written as an image, several as an index of images.
	Images []Image
	// Annotations are those of the index, if there is one.
	Annotations map[string]string
}

// nobody is the user of programs that don't care who they are: a number that needs no name.
const nobody = "65532:65532"

// Program is the image of one static program for this machine, with nothing else in it.
func Program(name, path string) Archive {
	inside := "/" + filepath.Base(path)
	return Archive{Names: []string{name}, Images: []Image{{
		Platform:   Platform{OS: "linux", Architecture: runtime.GOARCH},
		Files:      []File{{Name: inside, Mode: 0o755, Path: path}},
		Entrypoint: []string{inside},
		User:       nobody,
	}}}
}

// Write writes the archive and returns what its names lead to.
func (a Archive) Write(w io.Writer) (ocispec.Descriptor, error) {
	if err := a.check(); err != nil {
		return ocispec.Descriptor{}, err
	}
	l := layout{blobs: map[string][]byte{}}
	root, err := l.addAll(a)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	names := a.Names
	if a.Digests {
		names = append(slices.Clone(names), a.pinned(root.Digest)...)
	}
	l.first.RepoTags = a.Names
	return root, l.write(w, names, root)
}

// WriteFile is Write to a file, which appears when it is complete.
func (a Archive) WriteFile(path string) (ocispec.Descriptor, error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".image-*")
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("create %s: %w", path, err)
	}
	defer os.Remove(f.Name()) //nolint:errcheck // Gone after the rename.
	root, err := a.Write(f)
	if err := errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("write %s: %w", path, err)
	}
	return root, os.Rename(f.Name(), path)
}

// pinned are the names with a digest in place of the tag.
func (a Archive) pinned(d digest.Digest) []string {
	var names []string
	for _, name := range a.Names {
		repository := name[:strings.LastIndex(name, ":")]
		names = append(names, repository+"@"+d.String())
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (a Archive) check() error {
	if len(a.Images) == 0 || len(a.Names) == 0 {
		return errors.New("an archive needs an image and a name")
	}
	for _, name := range a.Names {
		if err := CheckName(name); err != nil {
			return err
		}
	}
	seen := map[Platform]bool{}
	for _, img := range a.Images {
		if img.Platform.OS == "" || img.Platform.Architecture == "" {
			return fmt.Errorf("image %s has no platform", a.Names[0])
		}
		if seen[img.Platform] {
			return fmt.Errorf("image %s has two images for %s", a.Names[0], img.Platform)
		}
		seen[img.Platform] = true
	}
	return nil
}

// CheckName returns an error unless a name is complete. Short names are refused because containerd doesn't complete them.
func CheckName(name string) error {
	ref, err := registry.ParseReference(name)
	if err != nil {
		return fmt.Errorf("name %q of an image: write it with its registry and tag, as ghcr.io/owner/name:v1: %w", name, err)
	}
	if ref.ValidateReferenceAsTag() != nil {
		return fmt.Errorf("name %q of an image has no tag; write it as ghcr.io/owner/name:v1", name)
	}
	return nil
}
