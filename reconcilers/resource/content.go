package resource

import (
	"bufio"
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

// content is a resource on its way into a snapshot.
type content struct {
	kind snapshot.Kind
	// chartConfig is the metadata of a chart as JSON, and chartVersion the version in it.
	chartConfig  []byte
	chartVersion string

	reader io.Reader
}

// inspect finds out what a resource is by its type and its first bytes. A tree of files becomes a directory, a packed
// chart a chart, and everything else stays as it is.
func inspect(resource *descriptor.Resource, blob *ocm.Blob) (*content, error) {
	if resource.Type == access.ChartType || blob.MediaType == snapshot.MediaTypeChart {
		return inspectChart(blob)
	}
	archived, all, err := archive.Sniff(blob)
	if err != nil {
		return nil, err
	}
	c := &content{kind: snapshot.Opaque, reader: all}
	if archived {
		c.kind = snapshot.Directory
	}
	return c, nil
}

func inspectChart(blob *ocm.Blob) (*content, error) {
	all := bufio.NewReaderSize(blob, chart.HeadBytes)
	c := &content{kind: snapshot.Chart, reader: all}
	head, err := all.Peek(chart.HeadBytes)
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

// copy writes the content, reading the resource to its end and so checking its digest.
func (c *content) copy(w io.Writer, limits archive.Limits) error {
	if c.kind == snapshot.Directory {
		_, err := archive.Copy(w, c.reader, nil, limits)
		return err
	}
	_, err := io.Copy(w, c.reader)
	return err
}
