package mutation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	configv1 "github.com/ocm-operator/ocm-operator/apis/config/v1alpha1"
	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/transform/configure"
)

// valuesInput is one place that values come from.
type valuesInput struct {
	source.Input
	// key decides, together with those of the other inputs, whether there is anything to do.
	key any
	// secret is set when the values must not be shown.
	secret bool
	// load reads the values.
	load func(ctx context.Context) (map[string]any, error)
}

// resolveValues finds the place, without fetching what Flux or a registry holds.
func (e *engine) resolveValues(ctx context.Context, namespace, field string, from v1alpha1.ValuesSource) (valuesInput, error) {
	ref, ok := valuesRef(namespace, from)
	if !ok {
		return valuesInput{}, lifecycle.Stall(v1alpha1.InvalidSpecReason, errors.New(
			field+" names no source: use fluxSource, configMapSource, secretSource or sourceRef"))
	}
	if err := e.resolver.Allow(namespace, ref); err != nil {
		return valuesInput{}, err
	}
	switch {
	case from.FluxSource != nil:
		return e.fluxValues(ctx, ref, *from.FluxSource)
	case from.ConfigMapSource != nil:
		f := from.ConfigMapSource
		return e.dataValues(ctx, ref, &corev1.ConfigMap{}, dataKey{f.Key, f.SubPath, f.Optional})
	case from.SecretSource != nil:
		f := from.SecretSource
		return e.dataValues(ctx, ref, &corev1.Secret{}, dataKey{f.Key, f.SubPath, f.Optional})
	}
	in, err := e.resolve(ctx, namespace, *from.SourceRef)
	if err != nil {
		return valuesInput{}, err
	}
	return valuesInput{Input: in.Input, key: in.key, load: func(ctx context.Context) (map[string]any, error) {
		raw, err := e.readSmall(ctx, in, wanted{title: "the values", field: field + ".sourceRef", limit: e.valuesFile()})
		if err != nil {
			return nil, judgedFile(v1alpha1.InvalidValuesReason, err)
		}
		return e.decodeValues(ctx, raw, in.String(), "")
	}}, nil
}

// dataKey selects values in a ConfigMap or Secret.
type dataKey struct {
	key, subPath string
	optional     bool
}

// dataValues reads values from a ConfigMap or a Secret. They are read past the cache: neither is cached.
func (e *engine) dataValues(ctx context.Context, ref source.Ref, obj client.Object, at dataKey) (valuesInput, error) {
	in := valuesInput{Input: source.Input{Ref: ref}}
	err := e.live.Get(ctx, ref.Key(), obj)
	if apierrors.IsNotFound(err) {
		if !at.optional {
			return in, &source.NotReadyError{Ref: ref, Why: "does not exist: create it, or mark it optional"}
		}
		in.load = func(context.Context) (map[string]any, error) { return map[string]any{}, nil }
		return in, nil
	}
	if err != nil {
		return in, fmt.Errorf("get %s: %w", ref, err)
	}
	data := dataOf(obj)
	raw, ok := data[at.key]
	if !ok {
		return in, lifecycle.Fail(v1alpha1.InvalidValuesReason, fmt.Errorf("%s has no key %q; it has: %s",
			ref, at.key, strings.Join(slices.Sorted(maps.Keys(data)), ", ")))
	}
	in.key = []string{keyOf(obj, raw), at.subPath}
	_, in.secret = obj.(*corev1.Secret)
	in.load = func(ctx context.Context) (map[string]any, error) {
		values, err := e.decodeValues(ctx, raw, fmt.Sprintf("%s, key %s", ref, at.key), at.subPath)
		if stopped := ctx.Err(); err != nil && stopped != nil {
			return nil, stopped // not the fault of the values
		}
		if err != nil && in.secret {
			// The parser quotes what it doesn't understand.
			return nil, lifecycle.Fail(v1alpha1.InvalidValuesReason, fmt.Errorf(
				"%s, key %s is not a YAML or JSON map, or has none at sub-path %q", ref, at.key, at.subPath))
		}
		return values, err
	}
	return in, nil
}

// keyOf tells one state of the data from another. Nothing of a Secret goes into it, not even as part of a digest.
func keyOf(obj client.Object, raw []byte) string {
	if _, ok := obj.(*corev1.Secret); ok {
		return string(obj.GetUID()) + "/" + obj.GetResourceVersion()
	}
	return string(raw)
}

func dataOf(obj client.Object) map[string][]byte {
	data := map[string][]byte{}
	switch o := obj.(type) {
	case *corev1.ConfigMap:
		for key, value := range o.Data {
			data[key] = []byte(value)
		}
		maps.Copy(data, o.BinaryData)
	case *corev1.Secret:
		maps.Copy(data, o.Data)
	}
	return data
}

// loadValues reads all values; of several places the later wins.
func (e *engine) loadValues(ctx context.Context, r *Run) (map[string]any, error) {
	if r.spec.Values != nil {
		return e.decodeValues(ctx, r.spec.Values.Raw, "spec.values", "")
	}
	var merged map[string]any
	for _, from := range r.values {
		values, err := from.load(ctx)
		if err != nil {
			return nil, err
		}
		if from.secret {
			r.hide(values)
		}
		if merged == nil {
			merged = map[string]any{}
		}
		merged = configure.Merge(merged, values)
	}
	return merged, nil
}

// decodeValues reads values from YAML or JSON and goes down to the sub-path, whose keys are separated by dots.
func (e *engine) decodeValues(ctx context.Context, raw []byte, origin, subPath string) (map[string]any, error) {
	if int64(len(raw)) > e.limits.ValuesBytes {
		return nil, lifecycle.Fail(v1alpha1.InvalidValuesReason, e.valuesFile().error(fmt.Sprintf("the text of values in %s", origin)))
	}
	done, err := e.turn.Take(ctx, len(raw))
	if err != nil {
		return nil, err
	}
	values, err := configv1.ParseValues(raw)
	done()
	if err != nil {
		return nil, lifecycle.Fail(v1alpha1.InvalidValuesReason, fmt.Errorf("values of %s are not a YAML or JSON map: %w", origin, err))
	}
	if subPath == "" {
		return values, nil
	}
	at := values
	for key := range strings.SplitSeq(subPath, ".") {
		next, ok := at[key].(map[string]any)
		if !ok {
			return nil, lifecycle.Fail(v1alpha1.InvalidValuesReason, fmt.Errorf(
				"values of %s have no map at sub-path %q: key %q is missing or something else; there are: %s",
				origin, subPath, key, strings.Join(slices.Sorted(maps.Keys(at)), ", ")))
		}
		at = next
	}
	return at, nil
}
