package e2etest

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/e2e/operator"
)

// AloneOptions say how the operator of one test is run.
type AloneOptions struct {
	// Args are its further arguments. ${NAMESPACE} in them is the namespace of the test.
	Args []string
	// Prepare is called with the operator's folder before it starts, unless it is nil.
	Prepare func(dir string)
	// Cleared are kinds whose objects go when the test ends: the operator of the next test would see to them.
	Cleared []string
}

// Alone returns an environment in the cluster that the tests of the package share, with an operator for this test alone: what it
// counts is what the test has caused. Tests that call it are not parallel to each other, unless their operators see to their own
// namespaces only.
func Alone(t *testing.T, o AloneOptions) *Env {
	t.Helper()
	c := clustertest.Shared(t)
	dir := filepath.Join(c.Dir(), "operators")
	binary, err := program.build(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	run := operator.Options{Binary: binary, Dir: filepath.Join(dir, t.Name())}
	namespace := clustertest.Namespace(t, c.Config())
	for _, arg := range o.Args {
		run.Args = append(run.Args, strings.ReplaceAll(arg, "${NAMESPACE}", namespace))
	}
	if o.Prepare != nil {
		o.Prepare(run.Dir)
	}
	op, err := start(t.Context(), c, run)
	if err != nil {
		t.Fatalf("start the operator: %v", err)
	}
	t.Cleanup(func() { stop(t, op) })
	return newEnv(t, c, op).In(t, namespace, o.Cleared...)
}

// program is what the operators of single tests run. The folder of the shared cluster has it, which outlives them all.
var program once

// once is a program that is built when it is first asked for.
type once struct {
	sync.Once

	path string
	err  error
}

func (o *once) build(t *testing.T, dir string) (string, error) {
	t.Helper()
	o.Do(func() {
		// Not the context of the test that happens to be first: the others use the program too.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), startTimeout)
		defer cancel()
		if o.err = os.MkdirAll(dir, 0o700); o.err == nil {
			o.path, o.err = operator.Built(ctx, dir)
		}
	})
	return o.path, o.err
}

// KillOperator ends the operator as a crash does. One that has crashed by itself is a failure.
func (e *Env) KillOperator() {
	e.tb.Helper()
	if err := e.Operator.Err(); err != nil {
		e.tb.Fatalf("the operator was to be killed: %v", err)
	}
	if err := e.Operator.Kill(); err != nil {
		e.tb.Fatal(err)
	}
}

// RestartOperator starts the operator again, at the same addresses, after stopping it if it runs.
func (e *Env) RestartOperator() {
	e.tb.Helper()
	ctx, cancel := context.WithTimeout(e.tb.Context(), startTimeout)
	defer cancel()
	if err := e.Operator.Restart(ctx); err != nil {
		e.tb.Fatalf("restart the operator: %v", err)
	}
}
