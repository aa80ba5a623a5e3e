package e2etest

import (
	"context"
	"sync"
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/operator"
)

// shared is the operator of the tests of this process, which have no other place to hand it to each other.
var shared lease

// lease is an operator that runs as long as a test needs it. It is not left to the end of the process: the cluster ends
// before that.
type lease struct {
	mu       sync.Mutex
	holders  int
	operator *operator.Operator
	err      error
}

func (l *lease) acquire(t *testing.T, c *cluster.Cluster) *operator.Operator {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.holders == 0 && l.err == nil { // every test would wait for the same failure
		// Not the context of the test that happens to be first: the others use the operator too.
		l.operator, l.err = start(context.WithoutCancel(t.Context()), c, operator.Options{})
	}
	if l.err != nil {
		t.Fatalf("start the operator that the tests share: %v", l.err)
	}
	l.holders++
	t.Cleanup(func() { l.release(t) })
	return l.operator
}

func (l *lease) release(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.operator.Err(); err != nil {
		t.Errorf("the operator has ended: %v", err)
	}
	if l.holders--; l.holders > 0 {
		return
	}
	stop(t, l.operator)
}
