package lifecycle_test

import (
	"context"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/panics"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// TestPanicIsLogged with the place where it was, which is not in the message that users see.
func TestPanicIsLogged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.step = func(context.Context, *v1alpha1.Resource) (err error) {
		defer panics.Recover(&err, "read it")
		panic("odd content")
	}
	var log strings.Builder
	ctx := ctrl.LoggerInto(t.Context(), funcr.New(func(_, args string) { log.WriteString(args) }, funcr.Options{}))
	if _, err := b.reconciler.Reconcile(ctx, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(b.obj)}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "TestPanicIsLogged.func") || !strings.Contains(log.String(), "A panic was recovered") {
		t.Errorf("the log has no stack: %s", log.String())
	}
	b.Get(b.obj)
	if message := reconcilertest.Message(b.obj, "Ready"); !strings.Contains(message, "read it: panic: odd content") || strings.Contains(message, "goroutine") {
		t.Errorf("Ready says %q", message)
	}
}
