package resource

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/snapshot"
	"github.com/ocm-operator/ocm-operator/snapshot/archive"
)

const (
	// peekBytes is how much of a resource is looked at to tell what it is.
	peekBytes = 64 << 10
	// chartPeekBytes is how far into a packed chart its metadata is looked for; Helm writes it first.
	chartPeekBytes = 1 << 20
	// maxChartUnpacked bounds what the beginning of a chart may unpack to while its metadata is looked for.
	maxChartUnpacked = 16 << 20
	// maxChartMetadata bounds Chart.yaml.
	maxChartMetadata = 256 << 10
)

// content is a resource on its way into a snapshot.
type content struct {
	kind snapshot.Kind
	// chartConfig is the metadata of a chart as JSON, and chartVersion the version in it.
	chartConfig  []byte
	chartVersion string

	reader *bufio.Reader
}

// inspect finds out what a resource is by its type and its first bytes. A tree of files becomes a directory, a packed
// chart a chart, and everything else stays as it is.
func inspect(resource *descriptor.Resource, blob *ocm.Blob) (*content, error) {
	if resource.Type == access.ChartType || blob.MediaType == snapshot.MediaTypeChart {
		return inspectChart(blob)
	}
	c := &content{kind: snapshot.Opaque, reader: bufio.NewReaderSize(blob, peekBytes)}
	head, err := c.reader.Peek(peekBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if isArchive(head) {
		c.kind = snapshot.Directory
	}
	return c, nil
}

func inspectChart(blob *ocm.Blob) (*content, error) {
	c := &content{kind: snapshot.Chart, reader: bufio.NewReaderSize(blob, chartPeekBytes)}
	head, err := c.reader.Peek(chartPeekBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := c.readMetadata(head); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoChart, err)
	}
	return c, nil
}

// errNoChart is matched when a resource that calls itself a chart is none.
var errNoChart = errors.New("resource is no packed Helm chart")

// readMetadata takes the metadata of a chart from its beginning.
func (c *content) readMetadata(head []byte) error {
	raw, err := chartMetadata(head)
	if err != nil {
		return err
	}
	if c.chartConfig, err = yaml.YAMLToJSON(raw); err != nil {
		return fmt.Errorf("read Chart.yaml: %w", err)
	}
	var metadata struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	if err := json.Unmarshal(c.chartConfig, &metadata); err != nil {
		return fmt.Errorf("read Chart.yaml: %w", err)
	}
	if metadata.Name == "" || metadata.Version == "" {
		return errors.New("its Chart.yaml has no name or no version")
	}
	c.chartVersion = metadata.Version
	return nil
}

// chartMetadata returns the chart's own Chart.yaml, not those of charts below it.
func chartMetadata(head []byte) ([]byte, error) {
	unpacked, err := gzip.NewReader(bytes.NewReader(head))
	if err != nil {
		return nil, err
	}
	files := tar.NewReader(io.LimitReader(unpacked, maxChartUnpacked))
	for {
		header, err := files.Next()
		if err != nil {
			return nil, fmt.Errorf("no Chart.yaml in the first %d bytes: %w", len(head), err)
		}
		name := path.Clean(header.Name)
		if path.Base(name) != "Chart.yaml" || strings.Count(name, "/") != 1 {
			continue
		}
		if header.Size > maxChartMetadata {
			return nil, fmt.Errorf("its Chart.yaml has %d bytes, more than %d", header.Size, maxChartMetadata)
		}
		return io.ReadAll(io.LimitReader(files, maxChartMetadata))
	}
}

// isArchive tells whether content that begins like this is a tar archive, gzipped or not.
func isArchive(head []byte) bool {
	if unpacked, err := gzip.NewReader(bytes.NewReader(head)); err == nil {
		block := make([]byte, 512)
		if _, err := io.ReadFull(unpacked, block); err != nil {
			return false
		}
		head = block
	}
	const magic, at = "ustar", 257
	return len(head) >= at+len(magic) && string(head[at:at+len(magic)]) == magic
}

// copy writes the content, reading the resource to its end and so checking its digest.
func (c *content) copy(w io.Writer, limits archive.Limits) error {
	if c.kind == snapshot.Directory {
		_, err := archive.Copy(w, c.reader, nil, limits)
		return err
	}
	_, err := io.Copy(w, c.reader)
	return err
}
