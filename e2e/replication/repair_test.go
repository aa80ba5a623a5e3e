package replication

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
)

// lostTags deletes tags at the destination, one after the other: each comes back, with what it led to, and no blob is sent again.
func lostTags(t *testing.T, w *world, from, to at) {
	c := component{name: "acme.org/lost", version: "1.0.0"}
	c.publish(t, from)
	w.subscribe(subscription{name: "lost", component: c.name, from: from.gate.url(from.path), to: to.gate.url(to.path), verify: byValue(t)})
	w.replicated("lost", c.version)
	for _, repository := range []string{descriptors[1:] + c.name, descriptors[1:] + c.library(), from.path + "/" + c.image(), from.path + "/" + c.chart()} {
		before := to.leadsTo(t, repository, c.version)
		if before == "" {
			t.Fatalf("%s:%s is not at the destination", repository, c.version)
		}
		to.gate.forget()
		untag(t.Context(), t, to.gate.direct, to.path+"/"+repository, c.version)
		w.Eventually(repository+" is repaired", func() error {
			if now := to.leadsTo(t, repository, c.version); now != before {
				return fmt.Errorf("%s:%s leads to %q, want %s", repository, c.version, now, before)
			}
			return nil
		})
		if uploads := to.gate.seen().uploads; len(uploads) > 0 {
			t.Errorf("%s: blobs were sent again: %v", repository, uploads)
		}
		w.replicated("lost", c.version, func(obj *unstructured.Unstructured) error {
			history, _, err := unstructured.NestedSlice(obj.Object, "status", "history")
			if err != nil || len(history) == 0 {
				return fmt.Errorf("history %v: %w", history, err)
			}
			if last, _ := history[0].(map[string]any); last["result"] != v1alpha1.ReplicationRepaired {
				return fmt.Errorf("the last of history is %v, want it to be %s", last, v1alpha1.ReplicationRepaired)
			}
			return nil
		})
	}
	c.proves(t, to)
}

// otherContent publishes other content under the version that was replicated: that is a conflict, at the destination nothing changes.
// It changes when the spec says so.
func otherContent(t *testing.T, w *world, from, to at) {
	c := component{name: "acme.org/other", version: "1.0.0"}
	c.publish(t, from)
	s := subscription{name: "other", component: c.name, from: from.gate.url(from.path), to: to.gate.url(to.path), verify: byValue(t)}
	w.subscribe(s)
	before, _, err := unstructured.NestedString(w.replicated("other", c.version).Object, "status", "replicatedDigest")
	if err != nil {
		t.Fatal(err)
	}
	to.gate.forget()

	other := c
	other.seed = 1
	other.publish(t, from)
	w.conflicts(c, to, before)

	s.policy = v1alpha1.OverwriteAllow
	w.subscribe(s)
	w.replicated("other", c.version, func(obj *unstructured.Unstructured) error {
		now, _, err := unstructured.NestedString(obj.Object, "status", "replicatedDigest")
		if err == nil && (now == before || now != to.leadsTo(t, descriptors[1:]+c.name, c.version)) {
			err = fmt.Errorf("the digest is %s, it was %s", now, before)
		}
		return err
	})
	other.proves(t, to)
}

// conflicts waits until a replication says that the destination has something else, and wants that to have stayed as it was.
func (w *world) conflicts(c component, to at, before string) {
	w.t.Helper()
	obj := w.fails("other", v1alpha1.TransferConflictReason, c.name, c.version)
	w.t.Logf("the message is %q", message(w.t, obj))
	for _, field := range []string{"replicatedVersion", "lastAppliedVersion"} {
		if err := e2etest.Field(c.version, "status", field)(obj); err != nil {
			w.t.Error(err)
		}
	}
	if now := to.leadsTo(w.t, descriptors[1:]+c.name, c.version); now != before {
		w.t.Errorf("the destination has %s after the conflict, want %s", now, before)
	}
	if seen := to.gate.seen(); seen.writes() > 0 {
		w.t.Errorf("%d requests would have changed the destination in spite of the conflict, want none: %v", seen.writes(), seen.requests)
	}
	c.proves(w.t, to)
}

// leadsTo returns the digest that a tag leads to, past the gate; it is empty when there is no such tag.
func (to at) leadsTo(t *testing.T, repository, tag string) string {
	t.Helper()
	r, err := to.repository(repository)
	if err != nil {
		t.Fatal(err)
	}
	found, err := r.Resolve(t.Context(), tag)
	if err != nil && !strings.Contains(err.Error(), "not found") {
		t.Fatal(err)
	}
	return found.String()
}
