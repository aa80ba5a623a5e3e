package fluxdeployer

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/fluxcd/pkg/apis/meta"
)

// state is how far a Flux object is.
type state int

const (
	statePending state = iota
	stateReady
	stateFailed
)

// readiness reads the conditions of a Flux object. An object that is ready with other content than the wanted one is
// pending.
func readiness(obj *unstructured.Unstructured, digest string) (state, string) {
	if obj == nil {
		return statePending, "does not exist yet"
	}
	observed, _, _ := unstructured.NestedInt64(obj.Object, "status", "observedGeneration")
	ready, _, message := readyOf(obj)
	switch {
	case observed != obj.GetGeneration() && obj.GetKind() != externalArtifactKind.Kind: // which has none
		return statePending, "is being reconciled"
	case ready == "False":
		return stateFailed, message
	case ready != "True":
		return statePending, message
	case !appliesTo(obj, digest):
		return statePending, "has other content still"
	}
	return stateReady, message
}

// again tells an object that Flux merely looks at again, as it does at every interval, from one that is on its way to
// something new.
func again(obj *unstructured.Unstructured, digest string) bool {
	if obj == nil {
		return false
	}
	o := outcomeOf(obj)
	return o.ready == "Unknown" && o.observed == o.generation && appliesTo(obj, digest)
}

// outcome is what a deployer wants to know of a Flux object.
type outcome struct {
	generation, observed              int64
	ready, message, revision, applied string
	deleted, owned                    bool
	adopt, url                        string
}

func outcomeOf(obj *unstructured.Unstructured) outcome {
	o := outcome{
		generation: obj.GetGeneration(), deleted: obj.GetDeletionTimestamp() != nil, owned: len(obj.GetOwnerReferences()) > 0,
		applied: obj.GetAnnotations()[appliedAnnotation], adopt: obj.GetAnnotations()[adoptAnnotation],
	}
	o.observed, _, _ = unstructured.NestedInt64(obj.Object, "status", "observedGeneration")
	o.ready, _, o.message = readyOf(obj)
	o.revision, _ = revisionOf(obj)
	o.url, _, _ = unstructured.NestedString(obj.Object, "status", "artifact", "url")
	return o
}

// appliesTo tells whether an object's status is about the content with that digest.
func appliesTo(obj *unstructured.Unstructured, digest string) bool {
	revision, found := revisionOf(obj)
	return !found && obj.GetKind() == helmReleaseKind.Kind || strings.HasSuffix(revision, digest)
}

// revisionOf returns which content an object's status is about.
func revisionOf(obj *unstructured.Unstructured) (string, bool) {
	path := []string{"status", "artifact", "revision"}
	switch obj.GetKind() {
	case kustomizationKind.Kind:
		path = []string{"status", "lastAppliedRevision"}
	case helmReleaseKind.Kind:
		path = []string{"status", "lastAttemptedRevisionDigest"}
	}
	revision, found, _ := unstructured.NestedString(obj.Object, path...)
	return revision, found
}

// readyOf returns what an object of Flux says about itself.
func readyOf(obj *unstructured.Unstructured) (status, reason, message string) {
	conditions, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	for _, c := range conditions {
		fields, ok := c.(map[string]any)
		if ok && fields["type"] == meta.ReadyCondition {
			status, _ = fields["status"].(string)
			reason, _ = fields["reason"].(string)
			message, _ = fields["message"].(string)
		}
	}
	return status, reason, message
}
