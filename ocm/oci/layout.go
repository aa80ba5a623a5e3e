package oci

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// componentPrefix is the part of the path below which components are kept.
const componentPrefix = "component-descriptors/"

// buildMark stands in for the plus of build metadata, which tags cannot have.
const buildMark = ".build-"

// Media types of configs that mark a component version.
const (
	componentConfig         = "application/vnd.ocm.software.component.config.v1+json"
	componentConfigGardener = "application/vnd.gardener.cloud.cnudie.component.config.v1+json"
	componentConfigOldest   = "application/vnd.oci.gardener.cloud.cnudie.component-descriptor-metadata.config.v2+json"
)

// Media types of layers that hold a component descriptor.
const (
	descriptorYAMLTar = "application/vnd.ocm.software.component-descriptor.v2+yaml+tar"

	descriptorPrefix         = "application/vnd.ocm.software.component-descriptor.v2+"
	descriptorPrefixGardener = "application/vnd.gardener.cloud.cnudie.component-descriptor.v2+"
	descriptorOldestTar      = "application/vnd.oci.gardener.cloud.cnudie.component-descriptor.config.v2+yaml+tar"
)

// Annotations of a component version.
const (
	annotationComponentVersion = "software.ocm.componentversion"
	annotationCreator          = "software.ocm.creator"
	annotationArtifact         = "software.ocm.artifact"
)

// descriptorFile is the name of the descriptor in its archive.
const descriptorFile = "component-descriptor.yaml"

const (
	// maxTarEntries bounds the archive; it has one entry.
	maxTarEntries = 16
	// tarOverhead is what an archive may add to a descriptor.
	tarOverhead = 64 << 10
)

// ComponentPath returns the path of the repository of a component below the
// repository of all components.
func ComponentPath(component string) string { return componentPrefix + component }

// TagOf returns the tag of a version.
func TagOf(version string) (string, error) {
	tag := strings.Replace(version, "+", buildMark, 1)
	if !tagPattern.MatchString(tag) {
		return "", fmt.Errorf("version %q cannot be the tag of an OCI artifact", version)
	}
	return tag, nil
}

// VersionOf returns the version a tag stands for.
func VersionOf(tag string) string {
	if i := strings.LastIndex(tag, buildMark); i >= 0 {
		return tag[:i] + "+" + tag[i+len(buildMark):]
	}
	return tag
}

func isComponentConfig(mediaType string) bool {
	return slices.Contains([]string{componentConfig, componentConfigGardener, componentConfigOldest}, mediaType)
}

// descriptorFormat tells how a layer holds the descriptor.
func descriptorFormat(mediaType string) (isTar, ok bool) {
	if mediaType == descriptorOldestTar {
		return true, true
	}
	for _, prefix := range []string{descriptorPrefix, descriptorPrefixGardener} {
		if format, found := strings.CutPrefix(mediaType, prefix); found {
			switch format {
			case "yaml+tar":
				return true, true
			case "yaml", "json":
				return false, true
			}
		}
	}
	return false, false
}

// ReadDescriptorTar returns the descriptor in an archive as it is stored in a
// layer, unless it has more bytes than the limit.
func ReadDescriptorTar(data []byte, limit int64) ([]byte, error) {
	tr := tar.NewReader(bytes.NewReader(data))
	var found []byte
	for n := 0; ; n++ {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("archive of the component descriptor: %w", err)
		}
		if n >= maxTarEntries {
			return nil, fmt.Errorf("archive of the component descriptor has more than %d entries", maxTarEntries)
		}
		if strings.TrimPrefix(strings.TrimPrefix(h.Name, "."), "/") != descriptorFile {
			continue
		}
		// Two readers could disagree on which of two descriptors counts.
		if h.Typeflag != tar.TypeReg || found != nil {
			return nil, fmt.Errorf("archive of the component descriptor: %s must be one regular file", descriptorFile)
		}
		if found, err = readAll(tr, descriptorFile, limit); err != nil {
			return nil, err
		}
	}
	if found == nil {
		return nil, fmt.Errorf("archive of the component descriptor has no file %s", descriptorFile)
	}
	return found, nil
}

// writeDescriptorTar is deterministic: the archive carries no time of its own.
func writeDescriptorTar(data []byte) ([]byte, error) {
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	header := &tar.Header{Name: descriptorFile, Mode: 0o644, Size: int64(len(data)), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
	if err := tw.WriteHeader(header); err != nil {
		return nil, err
	}
	if _, err := tw.Write(data); err != nil {
		return nil, err
	}
	if err := tw.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}
