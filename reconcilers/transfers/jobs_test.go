package transfers_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	corev1 "k8s.io/api/core/v1"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/reconcilers/transfers"
)

const app = "acme.org/app"

// route has two registries, and what versions are verified with.
type route struct {
	*reconcilertest.World
	t        *testing.T
	from, to *ocmtest.Server
	policy   *access.Policy
}

func newRoute(t *testing.T) *route {
	t.Helper()
	r := &route{World: reconcilertest.New(t), t: t, from: ocmtest.Start(t), to: ocmtest.Start(t)}
	_, public := ocmtest.SignerOf(t, "dev")
	r.Create(&corev1.Secret{ObjectMeta: reconcilertest.Named("keys"), Data: map[string][]byte{"dev": public}})
	user := access.User{Namespace: reconcilertest.Namespace, Verify: []v1alpha1.Signature{
		{Name: "dev", PublicKey: &v1alpha1.PublicKey{SecretRef: &meta.LocalObjectReference{Name: "keys"}}},
	}}
	var err error
	if r.policy, err = r.Repositories.PolicyOf(t.Context(), user); err != nil {
		t.Fatal(err)
	}
	return r
}

// publish signs and publishes a version with a content in one of the registries.
func (r *route) publish(to *ocmtest.Server, version, content string) digest.Digest {
	r.t.Helper()
	signer, _ := ocmtest.SignerOf(r.t, "dev")
	return r.Publish(to.URL+"/ocm", ocmtest.Component{
		Name: app, Version: version, Signatures: []ocmtest.Signature{{Name: "dev", Signer: signer}},
		Resources: []ocmtest.Resource{{Name: "data", Content: []byte(content)}},
	})
}

func (r *route) open(at *ocmtest.Server) *access.Repository {
	r.t.Helper()
	repository, err := r.Repositories.Open(r.t.Context(), access.User{Namespace: reconcilertest.Namespace}, v1alpha1.Repository{URL: at.URL + "/ocm"}, "spec.source")
	if err != nil {
		r.t.Fatal(err)
	}
	return repository
}

// copy runs the job that copies a version.
func (r *route) copy(version string, o transfer.Options) (*transfer.Result, error) {
	r.t.Helper()
	job := transfers.Copy("key", r.open(r.from), r.open(r.to), app, version, o)
	if job.Key != "key" || len(job.Hosts) != 2 || job.Hosts[0] != r.from.Host || job.Hosts[1] != r.to.Host || job.Alone != "" {
		r.t.Errorf("job is %+v", job)
	}
	return job.Run(r.t.Context(), func(transfer.Progress) {})
}

func TestCopyOfWhatIsPinned(t *testing.T) {
	t.Parallel()
	r := newRoute(t)
	first := r.publish(r.from, "1.0.0", "first")
	pinned := transfers.Pinned([]source.Node{{Component: app, Version: "1.0.0", ManifestDigest: first.String()}})
	if _, ok := pinned(app, "2.0.0"); ok {
		t.Error("a version is pinned that nobody named")
	}
	r.publish(r.from, "1.0.0", "second")
	result, err := r.copy("1.0.0", transfer.Options{Pinned: pinned})
	if err != nil || len(result.Versions) != 1 || result.Versions[0].Source != first {
		t.Fatalf("copied %+v, %v, want what was pinned, %s", result, err, first)
	}
}

func TestConflictStands(t *testing.T) {
	t.Parallel()
	r := newRoute(t)
	r.publish(r.from, "1.0.0", "ours")
	r.publish(r.to, "1.0.0", "theirs")
	_, err := r.copy("1.0.0", transfer.Options{})
	conflict, ok := errors.AsType[*transfer.ConflictError](err)
	if !ok {
		t.Fatalf("copy is %v, want a conflict", err)
	}
	want := func(known, asked bool, when string) {
		t.Helper()
		if got := transfers.Stands(t.Context(), conflict, nil, r.open(r.to)); got != known {
			t.Errorf("%s, it stands is %t by the destination, want %t", when, got, known)
		}
		if got := transfers.Stands(t.Context(), conflict, r.open(r.from), r.open(r.to)); got != asked {
			t.Errorf("%s, it stands is %t by both sides, want %t", when, got, asked)
		}
	}
	want(true, true, "as it was met")
	r.publish(r.from, "1.0.0", "theirs")
	want(true, false, "with the source changed")
	r.from.Inject(func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusForbidden); return true })
	want(true, false, "with a source that denies")
	r.publish(r.to, "1.0.0", "ours")
	want(false, false, "with the destination changed")
}

func TestVerification(t *testing.T) {
	t.Parallel()
	r := newRoute(t)
	node := source.Node{Component: app, Version: "1.0.0", ManifestDigest: r.publish(r.from, "1.0.0", "content").String()}
	held := make(chan struct{})
	r.from.Inject(func(_ http.ResponseWriter, request *http.Request) bool {
		if strings.HasSuffix(request.URL.Path, digest.FromString("content").String()) {
			select {
			case <-held:
			case <-request.Context().Done():
			}
		}
		return false
	})
	at := r.open(r.from)
	if _, late, err := transfers.VerifyAtOnce(t.Context(), at, node, r.policy); !late || err == nil {
		t.Fatalf("late is %t, %v, want that it takes too long", late, err)
	}
	close(held)
	var proof *verify.Proof
	var mu sync.Mutex
	var last transfer.Progress
	job := transfers.Verification("key", at, node, r.policy, func(made *verify.Proof) { proof = made })
	_, err := job.Run(t.Context(), func(p transfer.Progress) {
		mu.Lock()
		defer mu.Unlock()
		last = p
	})
	if err != nil || proof == nil || len(proof.Signatures) != 1 {
		t.Fatalf("proof is %+v, %v", proof, err)
	}
	mu.Lock()
	defer mu.Unlock()
	if last != (transfer.Progress{}) && last.Phase != transfer.Verifying {
		t.Errorf("progress is %+v, want that it verifies", last)
	}
	again, late, err := transfers.VerifyAtOnce(t.Context(), at, node, r.policy)
	if late || err != nil || again == nil {
		t.Errorf("once more it is late %t, %v, want what is remembered", late, err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	r := newRoute(t)
	check := transfers.Check{At: r.open(r.to), Component: app, Version: "1.0.0", Manifest: r.publish(r.to, "1.0.0", "content")}
	if drift, late, err := check.AtOnce(t.Context()); drift != nil || late || err != nil {
		t.Fatalf("what is there is %v, late %t, %v", drift, late, err)
	}
	over, end := context.WithCancel(t.Context())
	end()
	if _, late, err := check.AtOnce(over); late || err == nil {
		t.Errorf("late is %t, %v, want that it was cancelled", late, err)
	}
	held := make(chan struct{})
	r.to.Inject(func(w http.ResponseWriter, request *http.Request) bool {
		if !strings.HasSuffix(request.URL.Path, digest.FromString("content").String()) {
			return false
		}
		select {
		case <-held:
		case <-request.Context().Done():
		}
		w.WriteHeader(http.StatusNotFound)
		return true
	})
	if _, late, err := check.AtOnce(t.Context()); !late || err == nil {
		t.Fatalf("late is %t, %v, want that it takes too long", late, err)
	}
	job := check.Job("key", func(*transfer.Drift) { t.Error("something is kept of a check that was cancelled") })
	if _, err := job.Run(over, func(transfer.Progress) {}); err == nil || job.Key != "key" || len(job.Hosts) != 1 || job.Hosts[0] != r.to.Host {
		t.Errorf("job is %+v, %v", job, err)
	}
	close(held)
	var lost *transfer.Drift
	if _, err := check.Job("key", func(drift *transfer.Drift) { lost = drift }).Run(t.Context(), func(transfer.Progress) {}); err != nil || lost == nil || len(lost.Lost) != 1 {
		t.Errorf("lost is %v, %v, want the content", lost, err)
	}
}
