package mutation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"

	"github.com/go-logr/logr"
	"github.com/opencontainers/go-digest"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

// maxArtifact bounds a Flux artifact that a file is read from.
const maxArtifact = 512 << 20

// fluxKind is a kind of Flux sources.
type fluxKind = schema.GroupVersionKind

// fluxSourceKinds are the kinds of Flux that have an artifact.
var fluxSourceKinds = []string{"GitRepository", "OCIRepository", "Bucket", "ExternalArtifact"}

func isFluxSource(kind string) bool { return slices.Contains(fluxSourceKinds, kind) }

func fluxSource(kind string) fluxKind {
	return fluxKind{Group: "source.toolkit.fluxcd.io", Version: "v1", Kind: kind}
}

func fluxSources() []fluxKind {
	var kinds []fluxKind
	for _, kind := range fluxSourceKinds {
		kinds = append(kinds, fluxSource(kind))
	}
	return kinds
}

func newFluxSource(kind fluxKind) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(kind)
	return obj
}

// artifactChanged passes the events of Flux sources whose artifact is another.
func artifactChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, _ := artifactOf(e.ObjectOld)
		after, _ := artifactOf(e.ObjectNew)
		return before != after
	}}
}

// artifact is where a Flux source offers its content.
type artifact struct {
	url, digest, revision string
}

func artifactOf(obj client.Object) (artifact, bool) {
	u, ok := obj.(*unstructured.Unstructured)
	if !ok {
		return artifact{}, false
	}
	url, _, _ := unstructured.NestedString(u.Object, "status", "artifact", "url")
	sum, _, _ := unstructured.NestedString(u.Object, "status", "artifact", "digest")
	revision, _, _ := unstructured.NestedString(u.Object, "status", "artifact", "revision")
	return artifact{url, sum, revision}, url != "" && sum != ""
}

// artifact returns what a Flux source offers, or says why it offers nothing. Without Flux, instead is what to do.
func (e *engine) artifact(ctx context.Context, ref source.Ref, instead string) (artifact, error) {
	kind := fluxSource(ref.Kind)
	if !e.foreign.Served(kind) {
		return artifact{}, lifecycle.Wait(v1alpha1.FluxNotInstalledReason, 0, fmt.Errorf(
			"the cluster has no kind %s: install Flux's source-controller, or %s", ref.Kind, instead))
	}
	obj := newFluxSource(kind)
	err := e.cache.Get(ctx, ref.Key(), obj)
	if apierrors.IsNotFound(err) {
		return artifact{}, &source.NotReadyError{Ref: ref, Why: "does not exist", Missing: true}
	}
	if err != nil {
		return artifact{}, fmt.Errorf("get %s: %w", ref, err)
	}
	at, ok := artifactOf(obj)
	if !ok {
		return artifact{}, &source.NotReadyError{Ref: ref, Why: "has no artifact yet"}
	}
	return at, nil
}

// fluxValues reads values from a file in the artifact of a Flux source.
func (e *engine) fluxValues(ctx context.Context, ref source.Ref, from v1alpha1.FluxValuesSource) (valuesInput, error) {
	in := valuesInput{Input: source.Input{Ref: ref}}
	at, err := e.artifact(ctx, ref, "take the values from elsewhere")
	if err != nil {
		return in, err
	}
	in.key = []string{at.digest, from.Path, from.SubPath}
	in.load = func(ctx context.Context) (map[string]any, error) {
		raw, err := e.fileOf(ctx, at, from.Path, e.valuesFile())
		if err != nil {
			return nil, judgedFile(v1alpha1.InvalidValuesReason, fmt.Errorf("values from %s at %s: %w", ref, at.revision, err))
		}
		return e.decodeValues(ctx, raw, fmt.Sprintf("%s, file %s", ref, from.Path), from.SubPath)
	}
	return in, nil
}

// artifactTransport never connects to where clouds serve secrets to their machines: an artifact is wherever the status of a
// source says, and not only Flux writes that. A source-controller may well be on this machine.
var artifactTransport = sync.OnceValue(func() *oci.Transport {
	hosts, err := oci.ParseHosts([]string{"localhost", "127.0.0.1", "::1"})
	if err != nil {
		panic(err) // they are hosts
	}
	transport, err := oci.NewTransport(oci.TransportOptions{Hosts: hosts})
	if err != nil {
		panic(err) // nothing in the options can be wrong
	}
	return transport
})

// fetch returns the answer of a server that has the artifact. What else it answers is told to the administrator alone, so
// that nobody learns from a message what there is behind an address.
func (e *engine) fetch(request *http.Request) (*http.Response, error) {
	client := *e.artifacts
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := client.Do(request)
	if host := (*oci.HostError)(nil); errors.As(err, &host) {
		return nil, &fileError{fmt.Errorf(
			"no request is sent to %s: host %s has an address that only a machine itself should reach, and no source-controller has", request.URL.Redacted(), host.Host)}
	}
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		logr.FromContextOrDiscard(request.Context()).Info("No artifact where its source says", "url", request.URL.Redacted(), "answer", response.Status)
		return nil, fmt.Errorf("the server does not answer %s with the artifact: see whether its source is ready; redirects are not followed, "+
			"and the log of the operator has the answer", request.URL.Redacted())
	}
	return response, nil
}

// fileOf fetches an artifact, checks it against its digest, and returns one file of it.
func (e *engine) fileOf(ctx context.Context, at artifact, name string, limit fileLimit) ([]byte, error) {
	want, err := digest.Parse(at.digest)
	if err != nil {
		return nil, fmt.Errorf("digest of the artifact: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.url, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := e.fetch(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	verifier := want.Verifier()
	limited := &io.LimitedReader{R: response.Body, N: maxArtifact + 1}
	body := io.TeeReader(limited, verifier)
	raw, findErr := findFile(body, name, e.limits.Archives, limit)
	if _, err := io.Copy(io.Discard, body); err != nil {
		return nil, err
	}
	switch {
	case limited.N == 0:
		return nil, &fileError{fmt.Errorf("artifact %s is larger than %d bytes: keep the file in a smaller source", at.url, maxArtifact)}
	case !verifier.Verified():
		return nil, fmt.Errorf("artifact %s is not what its digest %s says", at.url, want)
	}
	return raw, findErr
}
