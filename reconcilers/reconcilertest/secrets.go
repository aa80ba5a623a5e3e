package reconcilertest

import (
	"testing"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/reconcilers/secrets"
)

// Lookout returns what looks at Secrets so often that nobody waits for it. It is to be added to a manager.
func Lookout(t testing.TB, live client.Reader) *secrets.Lookout {
	t.Helper()
	lookout, err := secrets.New(secrets.Options{Live: live, Interval: 200 * time.Millisecond, PerSecond: 1000, Log: logr.Discard()})
	if err != nil {
		t.Fatalf("make the lookout: %v", err)
	}
	return lookout
}
