package access_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// woken starts what wakes a kind, and returns where its objects wait.
func woken(ctx context.Context, t *testing.T, p *access.Provider, kind string) workqueue.TypedRateLimitingInterface[reconcile.Request] {
	t.Helper()
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	t.Cleanup(queue.ShutDown)
	if err := p.Woken(kind).Start(ctx, queue); err != nil {
		t.Fatal(err)
	}
	return queue
}

// TestKindsShare: ComponentVersions and ComponentSubscriptions that follow the same component ask once, however they write
// the address, and each of them is woken when there is a new version.
func TestKindsShare(t *testing.T) {
	t.Parallel()
	w, server := reconcilertest.New(t), ocmtest.Start(t)
	publish(t, w, server)
	p := w.Repositories
	versions := woken(t.Context(), t, p, v1alpha1.ComponentVersionKind)
	subscriptions := woken(t.Context(), t, p, v1alpha1.ComponentSubscriptionKind)

	sub := &v1alpha1.ComponentSubscription{ObjectMeta: reconcilertest.Named("mirror")}
	sub.Spec.Source.URL = server.URL + "/ocm/"
	source, err := p.Open(t.Context(), access.SubscriptionUser(sub), sub.Spec.Source, "spec.source")
	if err != nil {
		t.Fatal(err)
	}
	one, other := follow(server.URL+"/ocm", "", ""), follow(server.URL+"/ocm", "", "")
	other.Name = "other"
	first, second := open(t, p, one), open(t, p, other)
	f := access.Freshness{Interval: time.Hour}
	for _, r := range []*access.Repository{first, second, source} {
		if got, err := r.VersionsWithin(t.Context(), component, f); err != nil || !cmp.Equal(got, []string{"1.0.0"}) {
			t.Fatalf("versions are %v, %v", got, err)
		}
	}
	wantRequests(t, server, map[string]int{"GET tags": 1})

	w.Publish(server.URL+"/ocm", ocmtest.Component{Name: component, Version: "2.0.0"})
	if _, err := second.VersionsWithin(t.Context(), component, access.Freshness{Since: time.Now(), Interval: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if a, b := versions.Len(), subscriptions.Len(); a != 1 || b != 1 {
		t.Fatalf("%d ComponentVersions and %d ComponentSubscriptions were woken, want one of each: the other has asked", a, b)
	}
	if got, _ := versions.Get(); got.NamespacedName != client.ObjectKeyFromObject(one) {
		t.Errorf("%s was woken", got)
	}
	if got, _ := subscriptions.Get(); got.NamespacedName != client.ObjectKeyFromObject(sub) {
		t.Errorf("%s was woken", got)
	}
}

// TestWithoutWakingNothingIsShared: an object that nobody wakes gets answers that are new.
func TestWithoutWakingNothingIsShared(t *testing.T) {
	t.Parallel()
	w, server := reconcilertest.New(t), ocmtest.Start(t)
	publish(t, w, server)
	ctx, end := context.WithCancel(t.Context())
	queue := woken(ctx, t, w.Repositories, v1alpha1.ComponentVersionKind)
	repository := open(t, w.Repositories, follow(server.URL+"/ocm", "", ""))
	ask := func() {
		t.Helper()
		if _, err := repository.ResolveWithin(t.Context(), component, "1.0.0", access.Freshness{Interval: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	ask()
	ask()
	wantRequests(t, server, map[string]int{"HEAD manifests": 1})
	end()
	for asked := false; !asked; { // the end of the context is noticed on a goroutine
		ask()
		asked = len(server.Requests()) > 0
	}
	if queue.Len() > 0 {
		t.Error("it was woken")
	}
}
