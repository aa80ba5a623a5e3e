package mutation

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"

	"github.com/Masterminds/semver/v3"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/publish"
	"github.com/ocm-operator/ocm-operator/snapshot"
	"github.com/ocm-operator/ocm-operator/snapshot/chart"
	"github.com/ocm-operator/ocm-operator/transform"
)

// transfer streams the source through the changes into the snapshot.
func (e *engine) transfer(ctx context.Context, r *Run) (publish.Published, error) {
	content, err := e.open(ctx, r.source)
	if err != nil {
		return publish.Published{}, judged(v1alpha1.SourceRefNotReadyWithErrorReason, err)
	}
	defer content.Close()
	artifact := publish.Artifact{Identity: r.identity(), Origins: r.origins, Meta: content.meta}
	artifact.Meta.SourceDigest = content.digest
	artifact.Meta.Tag = r.tag(artifact.Identity)
	reader := io.Reader(content)
	if content.chart {
		if reader, err = e.openChart(ctx, r, content, &artifact); err != nil {
			return publish.Published{}, err
		}
	}
	var editErr error
	artifact.Content = func(w io.Writer) error {
		_, editErr = transform.Run(ctx, w, reader, r.changes, e.limits.Archives)
		return editErr
	}
	published, err := e.publisher.Publish(ctx, r.owner(), artifact)
	return published, publish.Verdict(err, editErr, func(error) error { return r.discreet(judgedEdits(editErr)) })
}

// openChart finds out what a chart will say of itself once it is changed, which is stored before the chart itself. The
// returned reader reads the whole chart.
func (e *engine) openChart(ctx context.Context, r *Run, content *stream, artifact *publish.Artifact) (io.Reader, error) {
	reader := bufio.NewReaderSize(content, chart.HeadBytes)
	head, err := reader.Peek(chart.HeadBytes)
	if err != nil && err != io.EOF { //nolint:errorlint // an error that wraps io.EOF is no end
		return nil, judgedEdits(err)
	}
	before, err := chart.Find(head)
	if err != nil {
		return nil, lifecycle.Fail(v1alpha1.ReconcileMutationObjectFailedReason, fmt.Errorf("content of %s is no packed Helm chart: %w", r.source, err))
	}
	r.changes.Root = before.Root
	text, err := r.changes.File(ctx, before.File(), before.Text)
	if err != nil {
		return nil, r.discreet(judgedEdits(err))
	}
	after, err := parseChart(text)
	if err != nil {
		return nil, r.discreet(lifecycle.Fail(v1alpha1.ReconcileMutationObjectFailedReason,
			fmt.Errorf("the chart of %s would not be one with what the rules make of %q: %w", r.source, before.File(), err)))
	}
	artifact.Meta.Kind = snapshot.Chart
	artifact.Meta.ChartConfig = after.JSON
	artifact.Meta.Tag = snapshot.ChartTag(after.Version)
	artifact.Identity[v1alpha1.ChartVersionKey] = after.Version
	return reader, nil
}

// parseChart demands of a Chart.yaml what Helm demands.
func parseChart(text []byte) (*chart.Metadata, error) {
	metadata, err := chart.Parse(text)
	if err != nil {
		return nil, err
	}
	if _, err := semver.NewVersion(metadata.Version); err != nil {
		return nil, fmt.Errorf("version %q: %w", metadata.Version, err)
	}
	return metadata, nil
}

// identity names what the snapshot comes from: the configuration and the object that applied it, and the file that a patch
// was merged over.
func (r *Run) identity() map[string]string {
	identity := map[string]string{}
	if r.config != nil {
		identity = r.config.identity()
		identity[v1alpha1.MutationObjectUUIDKey] = string(r.obj.GetUID())
	}
	if r.patch != nil {
		maps.Copy(identity, r.patch.identity)
	}
	return identity
}

// tag is the version that the snapshot is known under, empty for that of the source's resource.
func (r *Run) tag(identity map[string]string) string {
	if version := identity[v1alpha1.ChartVersionKey]; version != "" {
		return snapshot.ChartTag(version)
	}
	if version := identity[v1alpha1.ResourceVersionKey]; version != "" {
		return snapshot.Tag(version)
	}
	return ""
}
