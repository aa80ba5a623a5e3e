package publish_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/publish"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/registry/store"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

func foreign() []metav1.OwnerReference {
	return []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Localization", Name: "other", UID: "other"}}
}

func brokenSource(err error) error { return lifecycle.Retry("Broken", err) }

func TestVerdicts(t *testing.T) {
	t.Parallel()
	broken := errors.New("the source is broken")
	for name, tc := range map[string]struct {
		arrange func(*desk) publish.Artifact
		want    string
		reason  string
	}{
		"written": {func(*desk) publish.Artifact { return artifact("one") }, reconcilertest.Waits + " ", "there is nothing to judge"},
		"foreign": {func(d *desk) publish.Artifact {
			s := &v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named(d.owner.SnapshotName())}
			d.Create(s)
			d.Change(s, func() { s.OwnerReferences = foreign() })
			return artifact("one")
		}, "stalls CreateOrUpdateSnapshotFailed", "only the user can change that"},
		"no room": {func(d *desk) publish.Artifact {
			tight := &reconcilertest.Tight{Store: d.Store}
			tight.Full.Store(true)
			d.publisher.Store = tight
			return artifact("one")
		}, "fails StorageFull", "what is to be delivered is not there, though nothing is wrong with its source"},
		"broken source": {func(*desk) publish.Artifact {
			a := artifact("one")
			a.Content = func(io.Writer) error { return broken }
			return a
		}, "retries Broken", "the caller judges its source"},
		"no cluster": {func(d *desk) publish.Artifact {
			d.Refuse("create Snapshot", errors.New("down"))
			return artifact("one")
		}, "retries CreateOrUpdateSnapshotFailed", "it passes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			a := tc.arrange(d)
			var contentErr error
			content := a.Content
			a.Content = func(w io.Writer) error {
				contentErr = content(w)
				return contentErr
			}
			_, err := d.publisher.Publish(t.Context(), d.owner, a)
			outcome, reason := reconcilertest.Judge(t, publish.Verdict(err, contentErr, brokenSource))
			if got := outcome + " " + reason; got != tc.want {
				t.Errorf("it %s, want %q: %s", got, tc.want, tc.reason)
			}
		})
	}
}

// room has there been room for some repositories.
type room []store.Notice

func (r room) Follow(_ context.Context, each func(store.Notice)) {
	for _, n := range r {
		each(n)
	}
}

func TestRoomWakesOwners(t *testing.T) {
	t.Parallel()
	repository := func(namespace, kind, owner string) string {
		return snapshot.RepositoryName(namespace, snapshot.Name(kind, owner))
	}
	long := strings.Repeat("long", 60)
	notices := room{
		{Kind: store.Room, Repository: repository("default", v1alpha1.ResourceKind, "app")},
		{Kind: store.Room, Repository: repository("team", v1alpha1.ResourceKind, "app-with-hyphens")},
		{Kind: store.Room, Repository: repository("default", v1alpha1.LocalizationKind, "other-kind")},
		{Kind: store.Lost, Repository: repository("default", v1alpha1.ResourceKind, "lost")},
		{Kind: store.Refused, Repository: repository("default", v1alpha1.ResourceKind, "refused")},
		{Kind: store.Room, Repository: repository("default", v1alpha1.ResourceKind, long)},
		{Kind: store.Room, Repository: "default/by-hand"},
		{Kind: store.Room, Repository: "deep/er/repository"},
		{Kind: store.Room, Repository: "flat"},
		{},
		{Kind: store.Room, Repository: repository("default", v1alpha1.ResourceKind, "last")},
	}
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer queue.ShutDown()
	if err := publish.Room(notices, v1alpha1.ResourceKind).Start(t.Context(), queue); err != nil {
		t.Fatal(err)
	}
	var got []string
	for range 3 {
		request, _ := queue.Get()
		got = append(got, request.String())
		queue.Done(request)
	}
	if diff := cmp.Diff([]string{"default/app", "team/app-with-hyphens", "default/last"}, got); diff != "" {
		t.Errorf("woken (-want +got):\n%s", diff)
	}
	if err := publish.Room(nil, v1alpha1.ResourceKind).Start(t.Context(), queue); err != nil || queue.Len() > 0 {
		t.Errorf("without notices %d are woken: %v", queue.Len(), err)
	}
}

// settling is a store that is told who has what it wants.
type settling struct {
	snapshot.Store

	settled []string
}

func (s *settling) Settle(repository string) { s.settled = append(s.settled, repository) }

// TestWhoHoldsWhatItWantsIsRefusedNothing: an owner that goes back to what it has writes nothing, so nobody else can tell the store
// that the rest is not wanted any more.
func TestWhoHoldsWhatItWantsIsRefusedNothing(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	told := &settling{Store: d.Store}
	d.publisher.Store = told
	if d.holds(t) {
		t.Fatal("nothing was published")
	}
	if len(told.settled) > 0 {
		t.Errorf("%q are settled without content", told.settled)
	}
	d.publish(t, "one")
	if !d.holds(t) {
		t.Fatal("what was published is not held")
	}
	want := []string{snapshot.RepositoryName(d.owner.Object.GetNamespace(), d.owner.SnapshotName())}
	if diff := cmp.Diff(want, told.settled); diff != "" {
		t.Errorf("settled (-want +got):\n%s", diff)
	}
}
