package gitsync_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/git/gittest"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// TestSilentHost keeps workers for others while a server doesn't answer.
func TestSilentHost(t *testing.T) {
	t.Parallel()
	s := newStage(t, map[string]string{"README.md": "fleet"})
	s.options.Concurrent = 2
	s.install()
	s.provide("1.0.0", map[string]string{"a": "1"})
	second, elsewhere := s.sync.DeepCopy(), s.sync.DeepCopy()
	second.Name, elsewhere.Name = "second", "elsewhere"
	other := gittest.NewServer(t, gittest.Options{})
	gittest.NewRepository(t, other.Dir("other.git"), map[string]string{"README.md": "other"}, "main")
	elsewhere.Spec.Repository = v1alpha1.GitRepository{URL: other.RepositoryURL("other.git")}
	s.Create(second, elsewhere)
	s.create(nil)

	asked := make(chan struct{})
	hang, tell := gittest.Hang(), sync.OnceFunc(func() { close(asked) })
	s.server.SetFault(func(w http.ResponseWriter, r *http.Request) bool {
		tell()
		return hang(w, r)
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = s.syncs.Try(ctx, s.sync.DeepCopy())
	}()
	<-asked
	s.Change(second, func() { second.Annotations = map[string]string{meta.ReconcileRequestAnnotation: "now"} })
	for most := time.Second; most <= 4*time.Second; most *= 2 {
		if result := s.syncs.Reconcile(second); result.RequeueAfter < most/2 || result.RequeueAfter > most {
			t.Errorf("asked again after %s, want at most %s: %v", result.RequeueAfter, most, reconcilertest.Conditions(second))
		}
	}
	if handled := second.Status.LastHandledReconcileAt; handled != "" || len(s.server.Requests()) > 1 {
		t.Errorf("while it waits, %d requests are sent, and %q is handled", len(s.server.Requests()), handled)
	}
	s.syncs.Reconcile(elsewhere)
	if got := reconcilertest.Conditions(elsewhere)["Ready"]; got != "True Succeeded" {
		t.Errorf("the one elsewhere is %s: %s", got, reconcilertest.Message(elsewhere, "Ready"))
	}
	cancel()
	<-done
	s.server.SetFault(nil)
	s.syncs.Reconcile(second)
	if got := reconcilertest.Conditions(second)["Ready"]; got != "True Succeeded" || second.Status.LastHandledReconcileAt != "now" {
		t.Errorf("when there is a lane again it is %s: %s", got, reconcilertest.Message(second, "Ready"))
	}
}
