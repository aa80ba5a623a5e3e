package registryserver

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

// follow follows notices until a number of them has come.
func follow(t *testing.T, n *Notices, begin func(), count int) []store.Notice {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var got []store.Notice
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.Follow(ctx, func(notice store.Notice) {
			if got = append(got, notice); len(got) == count {
				cancel()
			}
		})
	}()
	for following := false; !following; {
		n.mu.Lock()
		following = len(n.followers) > 0
		n.mu.Unlock()
	}
	begin()
	<-done
	cancel()
	if len(n.followers) > 0 {
		t.Error("who has ended to follow is still told")
	}
	return got
}

func TestNoticesAreHandedOn(t *testing.T) {
	t.Parallel()
	n := newNotices(func(string) (string, bool) { return "", false })
	n.notify(store.Notice{Kind: store.Lost, Repository: "default/early"}) // nobody follows, which blocks nobody
	got := follow(t, n, func() {
		n.notify(store.Notice{Kind: store.Lost, Repository: "default/app", Detail: "damaged"})
		n.notify(store.Notice{Kind: store.Room, Repository: "default/app"})
	}, 2)
	want := []store.Notice{{Kind: store.Lost, Repository: "default/app"}, {Kind: store.Room, Repository: "default/app"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("notices (-want +got):\n%s", diff)
	}
}

func TestNoticesThatWaitAreMergedAndBounded(t *testing.T) {
	t.Parallel()
	n := newNotices(func(string) (string, bool) { return "", false })
	f := &follower{wake: make(chan struct{}, 1), pending: map[store.Notice]bool{}}
	n.followers[f] = true
	for range 2 {
		for i := range maxNotices + 10 {
			n.notify(store.Notice{Kind: store.Lost, Repository: fmt.Sprintf("default/app-%d", i)})
		}
	}
	got := n.take(f)
	if len(got) != maxNotices+1 || got[0].Repository != "default/app-0" || got[maxNotices] != (store.Notice{}) {
		t.Errorf("%d notices are handed on, want each once, and in the end one about all", len(got))
	}
	if again := n.take(f); len(again) > 0 {
		t.Errorf("%d notices are handed on twice", len(again))
	}
}

func TestWhyNothingIsTaken(t *testing.T) {
	t.Parallel()
	n := newNotices(func(repository string) (string, bool) { return "no room", repository == "default/app" })
	if got := n.Full("default/app"); got != "no room" {
		t.Errorf("it is full because of %q", got)
	}
	var none *Notices
	none.Follow(t.Context(), func(store.Notice) { t.Error("no notices have one") })
	if got := none.Full("default/app"); got != "" {
		t.Errorf("without notices it is full because of %q", got)
	}
}
