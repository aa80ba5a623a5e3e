package mutation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/ocm-operator/ocm-operator/apis/config/v1alpha1"
	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/publish"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/snapshot"
	"github.com/ocm-operator/ocm-operator/transform"
)

// version changes when the same inputs would give other bytes.
const version = "mutation/v1"

// patchField is the field of the spec that asks for a merge.
const patchField = "patchStrategicMerge"

// artifactTimeout bounds the fetching of a Flux artifact.
const artifactTimeout = time.Minute

// engine holds what the steps of every run share.
type engine struct {
	live client.Reader
	// cache reads what is watched of kinds that the client has no type for: the client would ask the server for them.
	cache        client.Reader
	foreign      *source.Foreign
	artifacts    *http.Client
	repositories *access.Provider
	resolver     source.Resolver
	publisher    publish.Publisher
	store        snapshot.Store
	mappings     Mappings
	limits       Limits
	turn         *transform.Turn
	maxBytes     int64
	protection   source.Protection
}

func newEngine(c client.Client, cache, live client.Reader, foreign *source.Foreign, o Options) *engine {
	artifacts := o.Artifacts
	if artifacts == nil {
		artifacts = &http.Client{Timeout: artifactTimeout, Transport: artifactTransport()}
	}
	return &engine{
		live:         live,
		cache:        cache,
		foreign:      foreign,
		artifacts:    artifacts,
		repositories: o.Repositories,
		resolver:     source.Resolver{Reader: c, NoCrossNamespaceRefs: o.NoCrossNamespaceRefs},
		publisher:    publish.Publisher{Client: c, Store: o.Store, Finalizer: o.Finalizer},
		store:        o.Store,
		mappings:     o.Mappings,
		limits:       o.Limits.withDefaults(),
		turn:         cmp.Or(o.Turn, transform.NewTurn()),
		maxBytes:     o.MaxBytes,
		protection:   o.Protection,
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

	mappings   Mappings
	protection source.Protection

	source *input
	// config and patch are nil when the object has none.
	config *input
	patch  *patchInput
	values []valuesInput
	// hidden are the texts that must not be shown in messages.
	hidden []string

	origins     []v1alpha1.Origin
	fingerprint string
	// held is set when the snapshot holds what it should already.
	held    bool
	changes transform.Plan
}

func (r *Run) owner() publish.Owner { return publish.Owner{Object: r.obj, Kind: r.kind} }

// HasValues tells whether the object names values, be they empty.
func (r *Run) HasValues() bool { return r.spec.Values != nil || len(r.spec.GetValuesSources()) > 0 }

// resolveInputs finds everything that the object combines, and checks that it belongs together.
func (e *engine) resolveInputs(ctx context.Context, r *Run) error {
	r.mappings, r.protection = e.mappings, e.protection
	r.changes.Turn = e.turn
	namespace := r.obj.GetNamespace()
	if err := complete(r); err != nil {
		return lifecycle.Stall(v1alpha1.InvalidSpecReason, err)
	}
	var err error
	if r.source, err = e.resolve(ctx, namespace, r.spec.SourceRef); err != nil {
		return judged(v1alpha1.SourceRefNotReadyReason, named("spec.sourceRef", err))
	}
	inputs := []source.Input{r.source.Input}
	if r.spec.ConfigRef != nil {
		if r.config, err = e.resolve(ctx, namespace, *r.spec.ConfigRef); err != nil {
			return judged(v1alpha1.ConfigRefNotReadyReason, named("spec.configRef", err))
		}
		inputs = append(inputs, r.config.Input)
	}
	if r.spec.PatchStrategicMerge != nil {
		if r.patch, err = e.resolvePatch(ctx, namespace, r.spec.PatchStrategicMerge); err != nil {
			return judged(v1alpha1.PatchStrategicMergeSourceRefNotReadyReason, named("spec."+patchField+".source.sourceRef", err))
		}
		inputs = append(inputs, r.patch.Input)
	}
	for i, from := range r.spec.GetValuesSources() {
		field := r.valuesField(i)
		values, err := e.resolveValues(ctx, namespace, field, from)
		if err != nil {
			return judged(v1alpha1.ValuesNotReadyReason, named(field, err))
		}
		r.values = append(r.values, values)
		inputs = append(inputs, values.Input)
	}
	r.origins, err = source.Combine(inputs...)
	return source.Verdict(v1alpha1.SourceRefNotReadyReason, err)
}

// complete checks that the spec has what its other parts need.
func complete(r *Run) error {
	switch {
	case r.spec.ConfigRef != nil:
		return nil
	case r.HasValues():
		return errors.New("spec.configRef is missing: values are put where a ConfigData says, so name the resource that holds it, or remove the values")
	case r.spec.PatchStrategicMerge == nil:
		return errors.New("spec.configRef is missing: name the resource that holds the ConfigData, or give a patch in spec." + patchField)
	}
	return nil
}

// valuesField is the field of the spec that names a place of values.
func (r *Run) valuesField(i int) string {
	if r.spec.ValuesFrom != nil {
		return "spec.valuesFrom"
	}
	return fmt.Sprintf("spec.valuesSources[%d]", i)
}

// compare finds out, without asking any registry, whether there is anything to do.
func (e *engine) compare(ctx context.Context, r *Run) error {
	parts := []any{version, r.kind, r.source.key}
	if r.config != nil {
		parts = append(parts, r.config.key, r.spec.Values)
	}
	for _, values := range r.values {
		parts = append(parts, values.key)
	}
	if r.patch != nil {
		parts = append(parts, patchField, r.patch.key)
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
	if r.held || r.config == nil {
		return nil
	}
	w := wanted{title: "the ConfigData", field: "spec.configRef", limit: fileLimit{e.limits.ConfigBytes, configSizeFlag}}
	raw, err := e.readSmall(ctx, r.config, w)
	if err != nil {
		return judged(v1alpha1.ConfigRefNotReadyWithErrorReason, judgedFile(v1alpha1.InvalidConfigDataReason, err))
	}
	done, err := e.turn.Take(ctx, len(raw))
	if err != nil {
		return err
	}
	r.Config, err = configv1.Parse(raw)
	done()
	if err != nil {
		return lifecycle.Fail(v1alpha1.InvalidConfigDataReason, noConfig(r.config, w, err))
	}
	r.Values, err = e.loadValues(ctx, r)
	return judged(v1alpha1.InvalidValuesReason, err)
}

// noConfig says what is wrong with a ConfigData, or that this is none.
func noConfig(in *input, w wanted, err error) error {
	field := (*configv1.FieldError)(nil)
	if errors.As(err, &field) && field.IsConfigData() {
		return fmt.Errorf("configuration data of %s: %w", in, err)
	}
	return fmt.Errorf("%s holds no ConfigData: %w: %s", in, err, w.instead(in))
}

// readPatch reads the file that the patch is merged over.
func (e *engine) readPatch(ctx context.Context, r *Run) error {
	if r.held || r.patch == nil {
		return nil
	}
	base, err := r.patch.load(ctx)
	if err != nil {
		return judged(v1alpha1.PatchStrategicMergeSourceRefNotReadyWithErrorReason, err)
	}
	r.changes.Merge = &transform.Merger{Rule: patchField, File: r.spec.PatchStrategicMerge.Target.Path, Base: base}
	return nil
}

// plan turns rules into edits.
func (e *engine) plan(ctx context.Context, r *Run, plan func(context.Context, *Run) ([]transform.Substitution, error)) error {
	if r.held || r.Config == nil {
		return nil
	}
	var err error
	r.changes.Substitutions, err = plan(ctx, r)
	return r.discreet(judgedRules(err))
}

// publish streams the source through the edits into the snapshot.
func (e *engine) publish(ctx context.Context, r *Run) error {
	if r.held {
		if err := e.publisher.Trace(ctx, r.owner(), r.origins); err != nil {
			return lifecycle.Retry(v1alpha1.CreateOrUpdateSnapshotFailedReason, err)
		}
	} else {
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
	r.status.LatestConfigVersion, r.status.LatestPatchSourceVersion = "", ""
	if r.config != nil {
		r.status.LatestConfigVersion = r.config.version
	}
	if r.patch != nil {
		r.status.LatestPatchSourceVersion = r.patch.version
	}
	return nil
}

// Rules returns the configuration rules of the ConfigData.
func (r *Run) Rules() (*configv1.Configuration, error) {
	if r.Config.Configuration == nil {
		return nil, lifecycle.Fail(v1alpha1.InvalidConfigDataReason, fmt.Errorf(
			"the ConfigData has no configuration rules: add some, or leave the %s out", r.kind))
	}
	return r.Config.Configuration, nil
}
