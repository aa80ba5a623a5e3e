package mutation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/snapshot/archive"
)

// maxArtifact bounds a Flux artifact that values are read from.
const maxArtifact = 512 << 20

// fluxKind is a kind of Flux sources.
type fluxKind = schema.GroupVersionKind

// fluxSources are the kinds of Flux that have an artifact.
func fluxSources() []fluxKind {
	var kinds []fluxKind
	for _, kind := range []string{"GitRepository", "OCIRepository", "Bucket", "ExternalArtifact"} {
		kinds = append(kinds, fluxKind{Group: "source.toolkit.fluxcd.io", Version: "v1", Kind: kind})
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

// fluxValues reads values from a file in the artifact of a Flux source.
func (e *engine) fluxValues(ctx context.Context, ref source.Ref, from v1alpha1.FluxValuesSource) (valuesInput, error) {
	in := valuesInput{Input: source.Input{Ref: ref}}
	kind := fluxKind{Group: "source.toolkit.fluxcd.io", Version: "v1", Kind: ref.Kind}
	if !e.foreign.Served(kind) {
		return in, lifecycle.Wait(v1alpha1.FluxNotInstalledReason, 0, fmt.Errorf(
			"the cluster has no kind %s: install Flux's source-controller, or take the values from elsewhere", ref.Kind))
	}
	obj := newFluxSource(kind)
	err := e.cached.Get(ctx, ref.Key(), obj)
	if apierrors.IsNotFound(err) {
		return in, &source.NotReadyError{Ref: ref, Why: "does not exist"}
	}
	if err != nil {
		return in, fmt.Errorf("get %s: %w", ref, err)
	}
	at, ok := artifactOf(obj)
	if !ok {
		return in, &source.NotReadyError{Ref: ref, Why: "has no artifact yet"}
	}
	in.key = []string{at.digest, from.Path, from.SubPath}
	in.load = func(ctx context.Context) (map[string]any, error) {
		raw, err := e.fileOf(ctx, at, from.Path)
		if err != nil {
			return nil, fmt.Errorf("values from %s at %s: %w", ref, at.revision, err)
		}
		return decodeValues(raw, fmt.Sprintf("%s, file %s", ref, from.Path), from.SubPath)
	}
	return in, nil
}

// fileOf fetches an artifact, checks it against its digest, and returns one file of it.
func (e *engine) fileOf(ctx context.Context, at artifact, name string) ([]byte, error) {
	want, err := digest.Parse(at.digest)
	if err != nil {
		return nil, fmt.Errorf("digest of the artifact: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.url, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := e.artifacts.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch %s: %s", at.url, response.Status)
	}
	verifier := want.Verifier()
	limited := &io.LimitedReader{R: response.Body, N: maxArtifact + 1}
	body := io.TeeReader(limited, verifier)
	raw, findErr := findFile(body, name, e.archives)
	if _, err := io.Copy(io.Discard, body); err != nil {
		return nil, err
	}
	switch {
	case limited.N == 0:
		return nil, lifecycle.Fail(v1alpha1.InvalidValuesReason, fmt.Errorf("artifact %s is larger than %d bytes", at.url, maxArtifact))
	case findErr != nil:
		return nil, judgedArtifact(findErr)
	case !verifier.Verified():
		return nil, fmt.Errorf("artifact %s is not what its digest %s says", at.url, want)
	}
	return raw, nil
}

// judgedArtifact judges the errors of reading an artifact. What Flux offers under a digest is the same at the next try.
func judgedArtifact(err error) error {
	var (
		entry *archive.EntryError
		limit *archive.LimitError
	)
	if errors.Is(err, archive.ErrNotArchive) || errors.As(err, &entry) || errors.As(err, &limit) {
		return lifecycle.Fail(v1alpha1.InvalidValuesReason, err)
	}
	return err
}

// findFile reads the whole archive, so that its digest can be checked, and returns one file of it.
func findFile(r io.Reader, name string, limits archive.Limits) ([]byte, error) {
	want := strings.TrimPrefix(path.Clean("/"+name), "/")
	var found []byte
	for file, err := range archive.Files(r, limits) {
		if err != nil {
			return nil, err
		}
		if file.Path != want || !file.Mode.IsRegular() {
			continue
		}
		if file.Size > maxSmall {
			return nil, lifecycle.Fail(v1alpha1.InvalidValuesReason, fmt.Errorf("file %q is larger than %d bytes", want, maxSmall))
		}
		var content bytes.Buffer
		if _, err := io.Copy(&content, file); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		found = content.Bytes()
		if found == nil {
			found = []byte{}
		}
	}
	if found == nil {
		return nil, lifecycle.Fail(v1alpha1.InvalidValuesReason, fmt.Errorf("there is no file %q", want))
	}
	return found, nil
}
