package replication

import (
	"fmt"
	"net/http"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
)

// componentVersion has a destination with a Secret of its own. What follows is read from there: the source may be gone.
func componentVersion(t *testing.T, w *world, all *registries) {
	from, to := place(t, all.lockedTheirs, "version-source"), place(t, all.guarded.gate, "version-mirror")
	from.access = login(from.gate.direct, user, password)
	c := component{name: "acme.org/version", version: "1.0.0"}
	c.publish(t, from)
	writer, writerPassword := all.guarded.credential(t, to.path, true)
	w.secret("reader", "username", user, "password", password)
	w.Apply(withDestination, "${COMPONENT}", c.name, "${SOURCE}", from.gate.url(from.path), "${DESTINATION}", to.gate.url(to.path), "${KEY}", publicKey(t))
	// There are more reasons than one for a Secret that is missing; all of them name it.
	w.Eventually("the missing Secret is named", func() error {
		return mentions(w.Get(v1alpha1.ComponentVersionKind, "version"), "spec.destination.secretRef", "writer")
	})
	w.secret("writer", "username", writer, "password", writerPassword)
	w.Wait(v1alpha1.ComponentVersionKind, "version", e2etest.Ready,
		e2etest.Field(c.version, "status", "reconciledVersion"),
		e2etest.Field(to.gate.url(to.path), "status", "replicatedRepositoryURL"),
		e2etest.Field(from.gate.url(from.path), "status", "sourceRepositoryURL"),
		e2etest.Field(from.leadsTo(t, descriptors[1:]+c.name, c.version), "status", "sourceManifestDigest"),
		func(obj *unstructured.Unstructured) error {
			to := to
			to.access = login(to.gate.direct, writer, writerPassword)
			return e2etest.Field(to.leadsTo(t, descriptors[1:]+c.name, c.version), "status", "manifestDigest")(obj)
		})
	from.gate.breaks(answers(http.StatusServiceUnavailable, "UNAVAILABLE", func(*http.Request) bool { return true }))
	w.Apply(resourceOf, "${NAME}", "first")
	w.Wait(v1alpha1.ResourceKind, "first", e2etest.Ready)
	to.access = login(to.gate.host, writer, writerPassword)
	c.proves(t, to)
}

// componentVersionRepaired loses its copy, which comes back; then it has another destination, and none.
func componentVersionRepaired(t *testing.T, w *world, all *registries) {
	from, to, elsewhere := place(t, all.theirs, "moved-source"), place(t, all.ours.gate, "moved-mirror"), place(t, all.ours.gate, "moved-again")
	c := component{name: "acme.org/moved", version: "1.0.0"}
	c.publish(t, from)
	apply := func(destination at) {
		w.Apply(withDestination, "    secretRef: {name: reader}\n", "", "    secretRef: {name: writer}\n", "",
			"${COMPONENT}", c.name, "${SOURCE}", from.gate.url(from.path), "${DESTINATION}", destination.gate.url(destination.path), "${KEY}", publicKey(t))
	}
	apply(to)
	w.Wait(v1alpha1.ComponentVersionKind, "version", e2etest.Ready, e2etest.Field(to.gate.url(to.path), "status", "replicatedRepositoryURL"))
	before := to.leadsTo(t, descriptors[1:]+c.name, c.version)
	to.gate.forget()
	untag(t.Context(), t, to.gate.direct, to.path+descriptors+c.name, c.version)
	w.Eventually("the tag is repaired", func() error {
		if now := to.leadsTo(t, descriptors[1:]+c.name, c.version); now != before {
			return fmt.Errorf("it leads to %q, want %s", now, before)
		}
		return nil
	})
	if uploads := to.gate.seen().uploads; len(uploads) > 0 {
		t.Errorf("blobs were sent again: %v", uploads)
	}
	w.Wait(v1alpha1.ComponentVersionKind, "version", e2etest.Ready)
	apply(elsewhere)
	w.Wait(v1alpha1.ComponentVersionKind, "version", e2etest.Ready, e2etest.Field(elsewhere.gate.url(elsewhere.path), "status", "replicatedRepositoryURL"))
	c.proves(t, elsewhere)
}

// mentions wants some condition to name each of the parts.
func mentions(obj *unstructured.Unstructured, parts ...string) error {
	ready, err := e2etest.Condition(obj, "Ready")
	if err != nil {
		return err
	}
	return e2etest.NotReady(ready.Reason, parts...)(obj)
}

const withDestination = `
apiVersion: delivery.ocm.software/v1alpha1
kind: ComponentVersion
metadata:
  name: version
spec:
  interval: 1s
  component: ${COMPONENT}
  repository:
    url: ${SOURCE}
    secretRef: {name: reader}
  destination:
    url: ${DESTINATION}
    secretRef: {name: writer}
  version:
    semver: ">=1.0.0"
  verify:
  - name: release
    publicKey:
      value: ${KEY}
`

const resourceOf = `
apiVersion: delivery.ocm.software/v1alpha1
kind: Resource
metadata:
  name: ${NAME}
spec:
  interval: 10m
  sourceRef:
    kind: ComponentVersion
    name: version
    resourceRef:
      name: ${NAME}
`
