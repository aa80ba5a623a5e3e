package registryserver

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/go-logr/logr"
	"github.com/opencontainers/go-digest"
	"k8s.io/client-go/util/workqueue"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/options"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/registry/replica"
	"github.com/ocm-operator/ocm-operator/snapshot"
	"github.com/ocm-operator/ocm-operator/snapshot/snapshottest"
)

// pair is a replica that leads and one that does not, with one set of Secrets.
type pair struct {
	w                *reconcilertest.World
	leader, follower *Registry
	// address is where the leader is, for the follower; empty when that isn't known.
	address atomic.Pointer[string]
}

func newPair(t *testing.T, adjust func(options.Registry) options.Registry) *pair {
	t.Helper()
	p := &pair{w: reconcilertest.New(t)}
	common := func() options.Registry {
		o := optionsOf(t)
		o.Address = "registry.example.com:5000" // the name that certificates are for, whatever address a replica has
		return adjust(o)
	}
	p.leader, p.follower = newRegistry(t, p.w.Client, common()), newRegistry(t, p.w.Client, common())
	t.Cleanup(p.follower.replica.Close)
	address := serve(t, p.leader)
	p.address.Store(&address)
	p.follower.Follow(func() replica.Leader { return replica.Leader{Address: *p.address.Load()} })
	return p
}

func (p *pair) mirror() *mirror {
	return &mirror{registry: p.follower, roots: roots{reader: p.w.Client, history: 2}, log: logr.Discard()}
}

// TestMirrorCopiesWhatSnapshotsName by the queue of the controller, with the certificates and credentials that replicas share.
func TestMirrorCopiesWhatSnapshotsName(t *testing.T) {
	t.Parallel()
	for name, plain := range map[string]bool{"TLS": false, "plain HTTP": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, func(o options.Registry) options.Registry {
				o.PlainHTTP = plain
				return o
			})
			written := snapshottest.Write(t, snapshottest.Repository(t, snapshot.Embedded(p.leader.store), "default/app"), []byte("content"))
			s := &v1alpha1.Snapshot{
				ObjectMeta: reconcilertest.Named("app"),
				Spec:       v1alpha1.SnapshotSpec{ManifestDigest: written.ManifestDigest.String(), Digest: written.LayerDigest.String(), Tag: "1.0.0"},
			}
			p.w.Create(s)
			queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[wanted]())
			t.Cleanup(queue.ShutDown)
			m := p.mirror()
			if missing, err := m.missing(t.Context(), queue); err != nil || missing != 1 {
				t.Fatalf("%d are missing (%v), want 1", missing, err)
			}
			m.enqueue(s, queue)
			for queue.Len() > 0 {
				next, _ := queue.Get()
				if _, err := m.Reconcile(t.Context(), next); err != nil {
					t.Fatal(err)
				}
				queue.Done(next)
			}
			if !p.follower.replica.Has(t.Context(), "default/app", written.ManifestDigest, "1.0.0") {
				t.Error("it was not copied with its tag")
			}
			if missing, err := m.missing(t.Context(), queue); err != nil || missing != 0 {
				t.Errorf("%d are missing (%v), want none", missing, err)
			}
		})
	}
}

// TestMirrorComesAgain when the leader can't be asked, and not when there is nothing to copy.
func TestMirrorComesAgain(t *testing.T) {
	t.Parallel()
	p := newPair(t, func(o options.Registry) options.Registry { return o })
	m := p.mirror()
	nothing := wanted{repository: "default/app", manifest: digest.FromString("nothing")}
	if _, err := m.Reconcile(t.Context(), nothing); err != nil {
		t.Errorf("content that the leader does not have: %v", err)
	}
	unknown := ""
	p.address.Store(&unknown)
	if _, err := m.Reconcile(t.Context(), nothing); !errors.Is(err, replica.ErrNoLeader) || !m.failing.Load() {
		t.Errorf("nobody leads: %v", err)
	}
	p.follower.Follow(func() replica.Leader { return replica.Leader{Self: true} })
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[wanted]())
	t.Cleanup(queue.ShutDown)
	m.enqueue(&v1alpha1.Snapshot{Spec: v1alpha1.SnapshotSpec{ManifestDigest: nothing.manifest.String()}}, queue)
	if missing, err := m.missing(t.Context(), queue); err != nil || missing != 0 || queue.Len() != 0 {
		t.Errorf("a leader lacks %d (%v), and has %d to copy", missing, err, queue.Len())
	}
}

// TestMirrorReadsTheTagLast: an older copy that waited, or took long, leaves the tag where the Snapshot has it by now.
func TestMirrorReadsTheTagLast(t *testing.T) {
	t.Parallel()
	p := newPair(t, func(o options.Registry) options.Registry { return o })
	repo := snapshottest.Repository(t, snapshot.Embedded(p.leader.store), "default/app")
	before, after := snapshottest.Write(t, repo, []byte("before")), snapshottest.Write(t, repo, []byte("after"))
	s := &v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named("app"), Spec: v1alpha1.SnapshotSpec{
		ManifestDigest: before.ManifestDigest.String(), Digest: before.LayerDigest.String(), Tag: "1.0.0",
	}}
	p.w.Create(s)
	m := p.mirror()
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[wanted]())
	t.Cleanup(queue.ShutDown)
	m.enqueue(s, queue)
	old, _ := queue.Get()
	s.Spec.ManifestDigest, s.Spec.Digest = after.ManifestDigest.String(), after.LayerDigest.String()
	if err := p.w.Client.Update(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	m.enqueue(s, queue)
	current, _ := queue.Get()
	for _, one := range []wanted{current, old} {
		if _, err := m.Reconcile(t.Context(), one); err != nil {
			t.Fatal(err)
		}
	}
	if !p.follower.replica.Has(t.Context(), "default/app", after.ManifestDigest, "1.0.0") {
		t.Error("the tag was moved back")
	}
	// A tag that is wrong all the same is found by the next look.
	local, err := p.follower.store.Repository("default/app")
	if err != nil {
		t.Fatal(err)
	}
	desc, body, err := local.Manifest(t.Context(), before.ManifestDigest.String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := local.PutManifest(t.Context(), desc.MediaType, body, "1.0.0"); err != nil {
		t.Fatal(err)
	}
	if missing, err := m.missing(t.Context(), queue); err != nil || missing != 1 {
		t.Errorf("%d are missing (%v), want the one with a wrong tag", missing, err)
	}
}

// TestMirrorWithoutRoom waits for the next look at everything, and says so.
func TestMirrorWithoutRoom(t *testing.T) {
	t.Parallel()
	made := 0
	p := newPair(t, func(o options.Registry) options.Registry {
		if made++; made == 2 {
			o.MaxBlobBytes = 1 << 10 // the one that follows
		}
		return o
	})
	written := snapshottest.Write(t, snapshottest.Repository(t, snapshot.Embedded(p.leader.store), "default/app"), bytes.Repeat([]byte("content"), 1<<10))
	m := p.mirror()
	if result, err := m.Reconcile(t.Context(), wanted{repository: "default/app", manifest: written.ManifestDigest}); err != nil || result.RequeueAfter != 0 || !m.failing.Load() {
		t.Errorf("it asks again: %v, %v", result, err)
	}
}

// TestArtifactsOfAFollower are fetched as well.
func TestArtifactsOfAFollower(t *testing.T) {
	t.Parallel()
	p := newPair(t, withArtifacts)
	written := snapshottest.Write(t, snapshottest.Repository(t, snapshot.Embedded(p.leader.store), "team/app"), []byte("content"))
	artifact, err := p.leader.Artifact(t.Context(), "team/app", written.ManifestDigest.String())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(p.follower.artifacts.handler)
	t.Cleanup(server.Close)
	for path, want := range map[string]int{artifact.Path: http.StatusOK, "team/app/nothing": http.StatusNotFound} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/"+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != want || want == http.StatusOK && string(body) != "content" {
			t.Errorf("%s: %d, %q (%v)", path, response.StatusCode, body, err)
		}
	}
}
