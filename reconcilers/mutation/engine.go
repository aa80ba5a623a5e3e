package mutation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/ocm-operator/ocm-operator/apis/config/v1alpha1"
	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/publish"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/snapshot"
	"github.com/ocm-operator/ocm-operator/snapshot/archive"
	"github.com/ocm-operator/ocm-operator/transform"
	"github.com/ocm-operator/ocm-operator/transform/configure"
)

// version changes when the same inputs would give other bytes.
const version = "mutation/v1"

// artifactTimeout bounds the fetching of a Flux artifact.
const artifactTimeout = time.Minute

// engine holds what the steps of every run share.
type engine struct {
	live         client.Reader
	cached       client.Reader
	foreign      *source.Foreign
	artifacts    *http.Client
	repositories *access.Provider
	resolver     source.Resolver
	publisher    publish.Publisher
	store        snapshot.Store
	mappings     Mappings
	archives     archive.Limits
	maxBytes     int64
}

func newEngine(cached client.Client, live client.Reader, foreign *source.Foreign, o Options) *engine {
	artifacts := o.Artifacts
	if artifacts == nil {
		artifacts = &http.Client{Timeout: artifactTimeout}
	}
	return &engine{
		live:         live,
		cached:       cached,
		foreign:      foreign,
		artifacts:    artifacts,
		repositories: o.Repositories,
		resolver:     source.Resolver{Reader: cached, NoCrossNamespaceRefs: o.NoCrossNamespaceRefs},
		publisher:    publish.Publisher{Client: cached, Store: o.Store},
		store:        o.Store,
		mappings:     o.Mappings,
		archives:     o.Archives,
		maxBytes:     o.MaxBytes,
	}
}

// Run is what the steps of one reconciliation hand to each other.
type Run struct {
	// Config is the ConfigData with the rules. It is nil when the object has none.
	Config *configv1.ConfigData
	// Values are those of the object, merged. They are nil when it has none.
	Values map[string]any

	obj    client.Object
	kind   string
	spec   *v1alpha1.MutationSpec
	status *v1alpha1.MutationStatus

	mappings Mappings

	source *input
	config *input
	values []valuesInput
	// hidden are the texts that must not be shown in messages.
	hidden []string

	origins     []v1alpha1.Origin
	fingerprint string
	// held is set when the snapshot holds what it should already.
	held  bool
	edits []transform.Substitution
}

func (r *Run) owner() publish.Owner { return publish.Owner{Object: r.obj, Kind: r.kind} }

// HasValues tells whether the object names values, be they empty.
func (r *Run) HasValues() bool { return r.spec.Values != nil || len(r.spec.GetValuesSources()) > 0 }

// resolveInputs finds everything that the object combines, and checks that it belongs together.
func (e *engine) resolveInputs(ctx context.Context, r *Run) error {
	r.mappings = e.mappings
	namespace := r.obj.GetNamespace()
	if r.spec.PatchStrategicMerge != nil {
		return lifecycle.Stall(v1alpha1.InvalidSpecReason, errors.New("spec.patchStrategicMerge is not supported by this version of the operator: remove it"))
	}
	if r.spec.ConfigRef == nil {
		return lifecycle.Stall(v1alpha1.InvalidSpecReason, errors.New("spec.configRef is missing: name the resource that holds the ConfigData"))
	}
	var err error
	if r.source, err = e.resolve(ctx, namespace, r.spec.SourceRef); err != nil {
		return judged(v1alpha1.SourceRefNotReadyReason, err)
	}
	if r.config, err = e.resolve(ctx, namespace, *r.spec.ConfigRef); err != nil {
		return judged(v1alpha1.ConfigRefNotReadyReason, err)
	}
	inputs := []source.Input{r.source.Input, r.config.Input}
	for _, from := range r.spec.GetValuesSources() {
		values, err := e.resolveValues(ctx, namespace, from)
		if err != nil {
			return judged(v1alpha1.ValuesNotReadyReason, err)
		}
		r.values = append(r.values, values)
		inputs = append(inputs, values.Input)
	}
	r.origins, err = source.Combine(inputs...)
	return source.Verdict(v1alpha1.SourceRefNotReadyReason, err)
}

// compare finds out, without asking any registry, whether there is anything to do.
func (e *engine) compare(ctx context.Context, r *Run) error {
	parts := []any{version, r.kind, r.source.key, r.config.key, r.spec.Values}
	for _, values := range r.values {
		parts = append(parts, values.key)
	}
	fingerprint, err := source.Fingerprint(parts...)
	if err != nil {
		return err
	}
	r.fingerprint = fingerprint
	if fingerprint != r.status.Fingerprint {
		return nil
	}
	writer, ok := r.obj.(v1alpha1.SnapshotWriter)
	if !ok {
		return fmt.Errorf("kind %s writes no snapshots", r.kind)
	}
	r.held, err = e.publisher.Holds(ctx, r.owner(), writer)
	return err
}

// readConfig reads the ConfigData and the values.
func (e *engine) readConfig(ctx context.Context, r *Run) error {
	if r.held {
		return nil
	}
	raw, err := e.readSmall(ctx, r.config)
	if err != nil {
		return judged(v1alpha1.ConfigRefNotReadyWithErrorReason, err)
	}
	if r.Config, err = configv1.Parse(raw); err != nil {
		return lifecycle.Fail(v1alpha1.InvalidConfigDataReason, fmt.Errorf("configuration data of %s: %w", r.config.Ref, err))
	}
	r.Values, err = e.loadValues(ctx, r)
	return judged(v1alpha1.InvalidValuesReason, err)
}

// plan turns rules into edits.
func (e *engine) plan(ctx context.Context, r *Run, plan func(context.Context, *Run) ([]transform.Substitution, error)) error {
	if r.held {
		return nil
	}
	var err error
	r.edits, err = plan(ctx, r)
	return r.discreet(judgedRules(err))
}

// publish streams the source through the edits into the snapshot.
func (e *engine) publish(ctx context.Context, r *Run) error {
	if !r.held {
		published, err := e.transfer(ctx, r)
		if err != nil {
			return err
		}
		r.status.SnapshotName = published.SnapshotName
		r.status.LatestSnapshotDigest = published.LayerDigest.String()
		r.status.LatestManifestDigest = published.ManifestDigest.String()
		r.status.Fingerprint = r.fingerprint
	}
	r.status.Origins = r.origins
	r.status.LatestSourceVersion = r.source.version
	r.status.LatestConfigVersion = r.config.version
	return nil
}

func (e *engine) transfer(ctx context.Context, r *Run) (publish.Published, error) {
	content, err := e.open(ctx, r.source)
	if err != nil {
		return publish.Published{}, judged(v1alpha1.SourceRefNotReadyWithErrorReason, err)
	}
	defer content.Close()
	if content.chart {
		return publish.Published{}, lifecycle.Stall(v1alpha1.InvalidSpecReason,
			fmt.Errorf("content of %s is a Helm chart, which this version of the operator can't change: configure it by the values of its HelmRelease", r.source.Ref))
	}
	identity := r.config.identity()
	identity[v1alpha1.MutationObjectUUIDKey] = string(r.obj.GetUID())
	meta := content.meta
	meta.SourceDigest = content.digest
	meta.Tag = snapshot.Tag(identity[v1alpha1.ResourceVersionKey])
	var editErr error
	published, err := e.publisher.Publish(ctx, r.owner(), publish.Artifact{
		Identity: identity,
		Meta:     meta,
		Content: func(w io.Writer) error {
			_, editErr = transform.Apply(ctx, w, content, r.edits, e.archives)
			return editErr
		},
	})
	switch {
	case err == nil:
		return published, nil
	case errors.Is(err, publish.ErrForeignSnapshot):
		return published, lifecycle.Stall(v1alpha1.CreateOrUpdateSnapshotFailedReason, err)
	case editErr != nil:
		return published, r.discreet(judgedEdits(editErr))
	}
	return published, lifecycle.Retry(v1alpha1.CreateOrUpdateSnapshotFailedReason, err)
}

// Rules returns the configuration rules of the ConfigData.
func (r *Run) Rules() (*configv1.Configuration, error) {
	if r.Config.Configuration == nil {
		return nil, lifecycle.Fail(v1alpha1.InvalidConfigDataReason, fmt.Errorf(
			"the ConfigData has no configuration rules: add some, or leave the %s out", r.kind))
	}
	return r.Config.Configuration, nil
}

// Image resolves the image reference of a resource of the component that the ConfigData belongs to.
func (r *Run) Image(_ context.Context, name string, extraIdentity map[string]string) (string, error) {
	c := r.config.component
	if c == nil {
		return "", lifecycle.Stall(v1alpha1.InvalidSpecReason, fmt.Errorf(
			"spec.configRef is %s, but images are looked up in the component of the ConfigData: refer to it in its ComponentVersion", r.config.Ref))
	}
	resource, err := c.version.Descriptor().FindResource(access.Selector(v1alpha1.ResourceReference{Name: name, ExtraIdentity: extraIdentity}))
	if err != nil {
		return "", err
	}
	return c.version.ImageReference(resource)
}

// judged keeps verdicts, and judges the errors of references and of access.
func judged(reason string, err error) error {
	var verdict *lifecycle.Verdict
	if err == nil || errors.As(err, &verdict) {
		return err
	}
	if judged := source.Verdict(reason, err); errors.As(judged, &verdict) && !verdict.Passing() {
		return judged
	}
	return access.Verdict(reason, err)
}

// judgedRules judges the errors of evaluating rules. All that they need was read by then, so the same rules fail again.
func judgedRules(err error) error {
	var (
		verdict *lifecycle.Verdict
		values  *configure.ValuesError
		schema  *configure.SchemaError
	)
	switch {
	case err == nil || errors.As(err, &verdict), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &values):
		return lifecycle.Fail(v1alpha1.InvalidValuesReason, err)
	case errors.As(err, &schema):
		return lifecycle.Fail(v1alpha1.InvalidConfigDataReason, err)
	}
	return lifecycle.Fail(v1alpha1.ReconcileMutationObjectFailedReason, err)
}

// judgedEdits judges the errors of carrying rules out while the source is read.
func judgedEdits(err error) error {
	var (
		rule     *transform.RuleError
		entry    *archive.EntryError
		limit    *archive.LimitError
		mismatch *ocm.DigestMismatchError
		damaged  *snapshot.DigestMismatchError
	)
	switch {
	case errors.Is(err, archive.ErrNotArchive):
		return lifecycle.Fail(v1alpha1.SourceNotATarArchiveReason, fmt.Errorf("files of the source can't be changed: %w", err))
	case errors.As(err, &mismatch), errors.As(err, &damaged):
		return lifecycle.Fail(v1alpha1.ContentMismatchReason, err)
	case errors.As(err, &rule), errors.As(err, &entry), errors.As(err, &limit):
		return lifecycle.Fail(v1alpha1.ReconcileMutationObjectFailedReason, err)
	}
	return lifecycle.Retry(v1alpha1.ReconcileMutationObjectFailedReason, err)
}
