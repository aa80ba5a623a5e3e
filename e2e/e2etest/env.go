package e2etest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/e2e/operator"
)

// startTimeout bounds the start of the operator, with the build of its program.
const startTimeout = 3 * time.Minute

// Env is where one test happens: a namespace of its own, in a cluster with the operator.
type Env struct {
	// Cluster is the cluster, and Operator the operator in it, unless that is a pod.
	Cluster  *cluster.Cluster
	Operator *operator.Operator
	// Client has all rights and knows the types of the operator, core/v1 and apps/v1. Other kinds are unstructured.
	Client client.WithWatch
	// Namespace is the namespace of this test. It is not deleted: the cluster goes first.
	Namespace string

	tb testing.TB
	// podLog returns the log of an operator that is a pod.
	podLog func(ctx context.Context) (string, error)
}

// Shared returns an environment in the cluster and with the operator that the tests of the package share. A test that
// is parallel calls it before t.Parallel: the operator ends with the last test that has asked for it.
func Shared(t *testing.T) *Env {
	t.Helper()
	c := clustertest.Shared(t)
	return newEnv(t, c, shared.acquire(t, c)).In(t, clustertest.Namespace(t, c.Config()))
}

// Own returns an environment in a cluster for this test alone, with an operator that gets further arguments.
func Own(t *testing.T, options cluster.Options, args ...string) *Env {
	t.Helper()
	c := clustertest.Start(t, options)
	op, err := start(t.Context(), c, operator.Options{Args: args})
	if err != nil {
		t.Fatalf("start the operator: %v", err)
	}
	t.Cleanup(func() { stop(t, op) })
	return newEnv(t, c, op).In(t, clustertest.Namespace(t, c.Config()))
}

// Installed returns an environment in a cluster where the operator is a pod, whose log can be asked for.
func Installed(t *testing.T, c *cluster.Cluster, namespace string, log func(ctx context.Context) (string, error)) *Env {
	t.Helper()
	e := newEnv(t, c, nil)
	e.podLog = log
	return e.In(t, namespace)
}

// ForTest returns the environment with failures reported to a subtest.
func (e *Env) ForTest(tb testing.TB) *Env {
	sub := *e
	sub.tb = tb
	return &sub
}

// In returns the environment in another namespace, with failures reported to a test, which shows what is there when it has
// failed. The objects of the kinds go when the test ends.
func (e *Env) In(tb testing.TB, namespace string, cleared ...string) *Env {
	tb.Helper()
	sub := e.ForTest(tb)
	sub.Namespace = namespace
	tb.Cleanup(func() { sub.clear(cleared) })
	tb.Cleanup(sub.dump)
	return sub
}

// Kubectl runs the kubectl of the cluster in the namespace of the test and returns what it has printed. Its failure is
// that of the test.
func (e *Env) Kubectl(args ...string) string {
	e.tb.Helper()
	out, err := e.kubectl(e.tb.Context(), args...)
	if err != nil {
		e.tb.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (e *Env) kubectl(ctx context.Context, args ...string) (string, error) {
	args = append([]string{"--kubeconfig", e.Cluster.Kubeconfig(), "--namespace", e.Namespace}, args...)
	cmd := exec.CommandContext(ctx, e.Cluster.State().Kubectl, args...)
	cmd.Env = append(os.Environ(), "HOME="+e.Cluster.Dir()) // its cache of the API belongs to the cluster
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Log returns what the operator has logged so far.
func (e *Env) Log() string {
	e.tb.Helper()
	log, err := e.log(e.tb.Context())
	if err != nil {
		e.tb.Fatalf("read the operator's log: %v", err)
	}
	return log
}

func (e *Env) log(ctx context.Context) (string, error) {
	if e.Operator == nil {
		return e.podLog(ctx)
	}
	log, err := os.ReadFile(e.Operator.LogFile())
	return string(log), err
}

// exited is closed when the operator has ended that is a process of these tests.
func (e *Env) exited() <-chan struct{} {
	if e.Operator == nil {
		return nil
	}
	return e.Operator.Exited()
}

func newEnv(t *testing.T, c *cluster.Cluster, op *operator.Operator) *Env {
	t.Helper()
	scheme := runtime.NewScheme()
	utilruntime.Must(corev1.AddToScheme(scheme))
	utilruntime.Must(appsv1.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	kubernetes, err := client.NewWithWatch(c.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatalf("create client: %v", err)
	}
	return &Env{Cluster: c, Operator: op, Client: kubernetes, tb: t}
}

// start starts an operator in a cluster. A program and a folder are made unless there are any.
func start(ctx context.Context, c *cluster.Cluster, o operator.Options) (*operator.Operator, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := operator.Install(ctx, c.Config()); err != nil {
		return nil, err
	}
	o.Kubeconfig = c.Kubeconfig()
	if o.Dir == "" {
		o.Dir = filepath.Join(c.Dir(), "operator")
	}
	if o.Binary == "" {
		err := os.MkdirAll(o.Dir, 0o700)
		if err != nil {
			return nil, err
		}
		if o.Binary, err = operator.Built(ctx, o.Dir); err != nil {
			return nil, err
		}
	}
	return operator.Start(ctx, o)
}

func stop(t *testing.T, op *operator.Operator) {
	t.Helper()
	if err := op.Stop(context.WithoutCancel(t.Context())); err != nil {
		t.Errorf("stop the operator: %v", err)
	}
}

// Context is that of the test.
func (e *Env) Context() context.Context { return e.tb.Context() }
