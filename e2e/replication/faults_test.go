package replication

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

// registries are those that the tests share; each test has gates of its own in front of them.
type registries struct {
	// ours is open to everybody and guarded wants credentials; theirs and lockedTheirs likewise.
	ours, guarded        *embedded
	theirs, lockedTheirs *gate
}

// place is a path of one of them, behind a gate of its own.
func place(t *testing.T, registry *gate, path string) at {
	t.Helper()
	return at{gate: newGate(t, registry.direct), path: path}
}

// TestReplication replicates beside what goes wrong. In each case the status says what it is, and the replication is
// completed, by itself, as soon as it can be.
func TestReplication(t *testing.T) {
	w := newWorld(t)
	all := &registries{ours: newEmbedded(t, false, 0), guarded: newEmbedded(t, true, 0), theirs: newDistribution(t, false), lockedTheirs: newDistribution(t, true)}
	t.Run("all", func(t *testing.T) {
		for name, test := range map[string]func(t *testing.T, w *world, all *registries){
			"lost tags at distribution": func(t *testing.T, w *world, all *registries) {
				lostTags(t, w, place(t, all.ours.gate, "lost-source"), place(t, all.theirs, "lost-mirror"))
			},
			"lost tags at the embedded one": func(t *testing.T, w *world, all *registries) {
				lostTags(t, w, place(t, all.theirs, "lost-source"), place(t, all.ours.gate, "lost-mirror"))
			},
			"other content at distribution": func(t *testing.T, w *world, all *registries) {
				otherContent(t, w, place(t, all.ours.gate, "other-source"), place(t, all.theirs, "other-mirror"))
			},
			"other content at the embedded one": func(t *testing.T, w *world, all *registries) {
				otherContent(t, w, place(t, all.theirs, "other-source"), place(t, all.ours.gate, "other-mirror"))
			},
			"one host, two credentials":  oneHost,
			"wrong credentials":          wrongCredentials,
			"missing Secrets":            missingSecrets,
			"missing key":                missingKey,
			"read-only credential":       readOnlyCredential,
			"read-only registry":         readOnlyRegistry,
			"full":                       full,
			"ComponentVersion":           componentVersion,
			"ComponentVersion, repaired": componentVersionRepaired,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, w.forTest(t), all)
			})
		}
	})
	// Alone, as it fills the pool that all others would wait for.
	t.Run("slow source", func(t *testing.T) { slowSource(t, w.forTest(t), all) })
}

// oneHost replicates within one registry, of which each side has a credential that is good for nothing on the other side.
func oneHost(t *testing.T, w *world, all *registries) {
	const source, target = "tenant-a", "tenant-b"
	from := place(t, all.guarded.gate, source)
	to := at{gate: from.gate, path: target}
	publisher, sealed := all.guarded.credential(t, source, true)
	from.access = login(from.gate.direct, publisher, sealed)
	c := component{name: "acme.org/tenant", version: "1.0.0"}
	c.publish(t, from)
	reader, readerPassword := all.guarded.credential(t, source, false)
	writer, writerPassword := all.guarded.credential(t, target, true)
	w.secret("reader", "username", reader, "password", readerPassword)
	w.secret("writer", "username", writer, "password", writerPassword)
	w.subscribe(subscription{
		name: "tenant", component: c.name, from: from.gate.url(source), to: to.gate.url(target), fromKey: "reader", toKey: "writer", verify: byValue(t),
	})
	w.replicated("tenant", c.version)
	for segment, own := range map[string]string{source: reader, target: writer} {
		for came := range from.gate.seen().users[segment] {
			if came != own && came != "" {
				t.Errorf("%q came to %s with a credential of the other side", came, segment)
			}
		}
	}
	to.access = login(to.gate.host, writer, writerPassword)
	c.proves(t, to)
}

// wrongCredentials are refused by the source, then by the destination; each is told apart, and corrected.
func wrongCredentials(t *testing.T, w *world, all *registries) {
	from, to := place(t, all.lockedTheirs, "wrong-source"), place(t, all.lockedTheirs, "wrong-mirror")
	from.access = login(from.gate.direct, user, password)
	c := component{name: "acme.org/wrong", version: "1.0.0"}
	c.publish(t, from)
	w.secret("reader", "username", user, "password", "wrong")
	w.secret("writer", "username", user, "password", "wrong")
	w.subscribe(subscription{name: "wrong", component: c.name, from: from.gate.url(from.path), to: to.gate.url(to.path), fromKey: "reader", toKey: "writer"})
	w.fails("wrong", v1alpha1.AuthenticationFailedReason, from.gate.host, fmt.Sprintf("user %q", user))
	if n := to.gate.seen().writes(); n > 0 {
		t.Errorf("%d requests would have changed the destination before the source was read", n)
	}
	w.secret("reader", "username", user, "password", password)
	w.fails("wrong", v1alpha1.AuthenticationFailedReason, to.gate.host, fmt.Sprintf("user %q", user))
	w.secret("writer", "username", user, "password", password)
	w.replicated("wrong", c.version)
	to.access = login(to.gate.host, user, password)
	c.proves(t, to)
}

// missingSecrets are named, one after the other, and made later.
func missingSecrets(t *testing.T, w *world, all *registries) {
	from, to := place(t, all.lockedTheirs, "missing-source"), place(t, all.lockedTheirs, "missing-mirror")
	from.access = login(from.gate.direct, user, password)
	c := component{name: "acme.org/missing", version: "1.0.0"}
	c.publish(t, from)
	w.subscribe(subscription{
		name: "missing", component: c.name, from: from.gate.url(from.path), to: to.gate.url(to.path), fromKey: "reader", toKey: "writer", interval: "1h",
	})
	w.fails("missing", v1alpha1.AuthenticationFailedReason, "spec.source.secretRef", "reader")
	w.secret("reader", "username", user, "password", password)
	w.fails("missing", v1alpha1.AuthenticationFailedReason, "spec.destination.secretRef", "writer")
	w.secret("writer", "username", user, "password", password)
	w.replicated("missing", c.version)
	to.access = login(to.gate.host, user, password)
	c.proves(t, to)
}

// missingKey is the key of a signature that is made later. Nothing is copied before.
func missingKey(t *testing.T, w *world, all *registries) {
	from, to := place(t, all.ours.gate, "key-source"), place(t, all.theirs, "key-mirror")
	c := component{name: "acme.org/key", version: "1.0.0"}
	c.publish(t, from)
	w.subscribe(subscription{
		name: "key", component: c.name, from: from.gate.url(from.path), to: to.gate.url(to.path), interval: "1h",
		verify: "[{signature: {name: " + signature + ", key: {name: signing-keys}}}]",
	})
	w.fails("key", v1alpha1.ComponentVerificationFailedReason, "signing-keys")
	if seen := to.gate.seen(); seen.writes() > 0 {
		t.Errorf("requests to the destination before the key is known: %v", seen.requests)
	}
	_, public := ocmtest.SignerOf(t, signer)
	w.secret("signing-keys", signature, string(public))
	obj := w.replicated("key", c.version)
	if verified, _, err := unstructured.NestedBool(obj.Object, "status", "verified"); err != nil || !verified {
		t.Errorf("status.verified is %v, %v; want true", verified, err)
	}
	c.proves(t, to)
}

// readOnlyCredential may read at the destination only; then it may write.
func readOnlyCredential(t *testing.T, w *world, all *registries) {
	from, to := place(t, all.theirs, "reader-source"), place(t, all.guarded.gate, "reader-mirror")
	c := component{name: "acme.org/reader", version: "1.0.0"}
	c.publish(t, from)
	reader, readerPassword := all.guarded.credential(t, to.path, false)
	w.secret("writer", "username", reader, "password", readerPassword)
	w.subscribe(subscription{name: "reader", component: c.name, from: from.gate.url(from.path), to: to.gate.url(to.path), toKey: "writer"})
	obj := w.Wait(v1alpha1.ComponentSubscriptionKind, "reader", unready(to.gate.host))
	t.Logf("the message is %q", message(t, obj))
	writer, writerPassword := all.guarded.credential(t, to.path, true)
	w.secret("writer", "username", writer, "password", writerPassword)
	w.replicated("reader", c.version)
	to.access = login(to.gate.host, writer, writerPassword)
	c.proves(t, to)
}

// readOnlyRegistry takes nothing for a while, at first and again for the next version. What is there meanwhile is not forgotten.
func readOnlyRegistry(t *testing.T, w *world, all *registries) {
	from, to := place(t, all.ours.gate, "closed-source"), place(t, all.theirs, "closed-mirror")
	first := component{name: "acme.org/closed", version: "1.0.0"}
	next := component{name: first.name, version: "1.1.0"}
	w.subscribe(subscription{name: "closed", component: first.name, from: from.gate.url(from.path), to: to.gate.url(to.path), verify: byValue(t)})
	for _, c := range []component{first, next} {
		to.gate.breaks(answers(http.StatusMethodNotAllowed, "UNSUPPORTED", writing))
		c.publish(t, from)
		obj := w.Wait(v1alpha1.ComponentSubscriptionKind, "closed", unready(to.gate.host, "read-only", c.version),
			e2etest.Field(c.version, "status", "latestVersion"), e2etest.Field(c.version, "status", "lastAttemptedVersion"),
			e2etest.Field(v1alpha1.TransferFailedReason, "status", "lastFailure", "reason"))
		t.Logf("the message is %q", message(t, obj))
		if c == next {
			for _, field := range []string{"replicatedVersion", "lastAppliedVersion"} {
				if err := e2etest.Field(first.version, "status", field)(obj); err != nil {
					t.Errorf("while %s can't be copied: %v", next.version, err)
				}
			}
		}
		to.gate.breaks(nil)
		w.replicated("closed", c.version)
		c.proves(t, to)
	}
	first.proves(t, to)
}

// unready wants a subscription not to be ready because a transfer failed, and the message to have each of the parts.
func unready(parts ...string) e2etest.Check {
	return e2etest.NotReady(v1alpha1.TransferFailedReason, parts...)
}

func message(t *testing.T, obj *unstructured.Unstructured) string {
	t.Helper()
	condition, err := e2etest.Condition(obj, "Ready")
	if err != nil {
		t.Fatal(err)
	}
	return condition.Message
}

// full is a destination without room. When somebody makes some, the replication completes by itself.
func full(t *testing.T, w *world, all *registries) {
	const room, filler = 4 << 20, 3 << 20
	target := newEmbedded(t, false, room)
	from, to := place(t, all.theirs, "full-source"), at{gate: target.gate, path: targetPath}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	collected := make(chan error, 1)
	collector := &store.Collector{Store: target.store, Roots: tagsKeep{}, Interval: time.Second}
	go func() { collected <- collector.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-collected; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("collect: %v", err)
		}
	}()
	fill(t, to, filler)
	c := component{name: "acme.org/full", version: "1.0.0", size: 192 << 10}
	c.publish(t, from)
	w.subscribe(subscription{name: "full", component: c.name, from: from.gate.url(from.path), to: to.gate.url(to.path), verify: byValue(t)})
	obj := w.fails("full", v1alpha1.DestinationFullReason, to.gate.host)
	t.Logf("the message is %q", message(t, obj))
	untag(t.Context(), t, to.gate.direct, to.path+"/filler", "1.0.0")
	w.replicated("full", c.version)
	c.proves(t, to)
}

// tagsKeep are roots of a registry in which tags keep content.
type tagsKeep struct{}

// Roots implements store.Roots.
func (tagsKeep) Roots(context.Context) (store.RootSet, error) {
	return store.RootSet{Complete: true}, nil
}

// fill pushes an artifact of a size.
func fill(t *testing.T, to at, size int) {
	t.Helper()
	content := component{name: "filler", size: size}.bytes("filler")
	artifact := ocmtest.Artifact{Layers: []ocmtest.Layer{{MediaType: ocispec.MediaTypeImageLayer, Content: content}}}
	if _, err := artifact.Publish(t.Context(), to.reference(to.gate.direct, "filler", "1.0.0"), to.access); err != nil {
		t.Fatal(err)
	}
	r, err := to.repository("filler")
	if err != nil {
		t.Fatal(err)
	}
	body, _, err := r.Blob(t.Context(), digest.FromBytes(content), int64(size))
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if read, err := io.ReadAll(body); err != nil || !bytes.Equal(read, content) {
		t.Fatalf("read the filler: %d bytes, %v", len(read), err)
	}
}
