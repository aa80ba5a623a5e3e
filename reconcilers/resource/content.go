package resource

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/snapshot"
	"github.com/ocm-operator/ocm-operator/snapshot/archive"
	"github.com/ocm-operator/ocm-operator/snapshot/chart"
)

// peekBytes is how much of a resource is looked at to tell what it is.
const peekBytes = 64 << 10

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
	c := &content{kind: snapshot.Chart, reader: bufio.NewReaderSize(blob, chart.HeadBytes)}
	head, err := c.reader.Peek(chart.HeadBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	metadata, err := chart.Find(head)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoChart, err)
	}
	c.chartConfig, c.chartVersion = metadata.JSON, metadata.Version
	return c, nil
}

// errNoChart is matched when a resource that calls itself a chart is none.
var errNoChart = errors.New("resource is no packed Helm chart")

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
