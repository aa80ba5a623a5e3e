// Package clustertest gives tests a real API server, or a whole cluster with Flux. Starting one takes seconds,
// therefore the tests of a package share it: their TestMain calls Main, which stops what was started.
//
// Programs that are missing are built, which takes minutes the first time and may exceed the time limit of go test;
// run "go run ./e2e/cluster/cmd/testcluster build" beforehand.
package clustertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/binaries"
)

// startTimeout bounds the start of a cluster, without the time that a missing program takes to build.
const startTimeout = 2 * time.Minute

// shared is what the tests of this process share. TestMain and tests have no other place to hand things to each other.
var shared suite

// Main runs the tests of a package, stops the clusters they share, and ends the process. options describe the cluster
// of Shared; Dir and Progress may be left out. When tests fail, the cluster's folder with its logs is kept.
func Main(m *testing.M, options cluster.Options) {
	shared.configure(options)
	code := m.Run()
	if err := shared.stop(code == 0); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "stop the tests' clusters:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// Assets returns a folder with kube-apiserver, etcd and kubectl, fit for KUBEBUILDER_ASSETS. It builds them when they
// are missing; it never skips the test.
func Assets(tb testing.TB) string {
	tb.Helper()
	dir, err := openCache(tb).APIServerAssets(tb.Context())
	if err != nil {
		tb.Fatalf("find control-plane programs: %v", err)
	}
	return dir
}

// Start starts a cluster for this test alone and stops it when the test has ended.
func Start(tb testing.TB, options cluster.Options) *cluster.Cluster {
	tb.Helper()
	if options.Dir == "" {
		options.Dir = tb.TempDir()
	}
	if options.Progress == nil {
		options.Progress = tb.Output()
	}
	c, err := start(tb.Context(), options)
	if err != nil {
		tb.Fatalf("start cluster: %v", err)
	}
	tb.Cleanup(func() {
		if err := c.Stop(context.WithoutCancel(tb.Context())); err != nil {
			tb.Errorf("stop cluster: %v", err)
		}
	})
	return c
}

// Shared returns the cluster that Main's options describe. The first test that asks starts it.
func Shared(tb testing.TB) *cluster.Cluster {
	tb.Helper()
	return shared.get(tb, func(s *suite) *lazy { return &s.whole })
}

// APIServer returns access, with all rights, to an API server that the package's tests share: only kube-apiserver and
// etcd, so nothing collects garbage, creates service accounts, or finishes the deletion of a namespace.
func APIServer(tb testing.TB) *rest.Config {
	tb.Helper()
	return shared.get(tb, func(s *suite) *lazy { return &s.apiServer }).Config()
}

// Namespace creates a namespace for this test alone and returns its name. It is not deleted: the cluster goes first.
func Namespace(tb testing.TB, config *rest.Config) string {
	tb.Helper()
	kubernetes, err := client.New(config, client.Options{})
	if err != nil {
		tb.Fatalf("create client: %v", err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := kubernetes.Create(tb.Context(), namespace); err != nil {
		tb.Fatalf("create namespace: %v", err)
	}
	return namespace.Name
}

// suite holds the clusters that the tests of a package share.
type suite struct {
	mu         sync.Mutex
	configured bool
	dir        string
	whole      lazy
	apiServer  lazy
}

// lazy is a cluster that is started when it is first asked for. A start that failed is not tried again: every test
// would wait for the same failure.
type lazy struct {
	name    string
	options cluster.Options
	once    sync.Once
	cluster *cluster.Cluster
	err     error
}

func (s *suite) configure(options cluster.Options) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.configured = true
	s.whole.name, s.whole.options = "cluster", options
	s.apiServer.name, s.apiServer.options = "apiserver", cluster.Options{APIServerArgs: options.APIServerArgs, Binaries: options.Binaries}
}

func (s *suite) get(tb testing.TB, which func(*suite) *lazy) *cluster.Cluster {
	tb.Helper()
	l := which(s)
	l.once.Do(func() { l.cluster, l.err = s.start(l) })
	if l.err != nil {
		tb.Fatalf("start the %s that the tests share: %v", l.name, l.err)
	}
	return l.cluster
}

func (s *suite) start(l *lazy) (*cluster.Cluster, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.configured {
		return nil, errors.New("the package needs: func TestMain(m *testing.M) { clustertest.Main(m, cluster.Options{}) }")
	}
	options := l.options
	if options.Dir == "" {
		if s.dir == "" {
			dir, err := os.MkdirTemp("", "ocm-operator-test-")
			if err != nil {
				return nil, fmt.Errorf("create folder for the tests' clusters: %w", err)
			}
			s.dir = dir
		}
		options.Dir = filepath.Join(s.dir, l.name)
	}
	if options.Progress == nil {
		options.Progress = os.Stderr
	}
	// Not the context of the test that happens to be first: the others use the cluster too.
	return start(context.Background(), options)
}

func (s *suite) stop(passed bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, l := range []*lazy{&s.whole, &s.apiServer} {
		if l.cluster != nil {
			errs = append(errs, l.cluster.Stop(context.Background()))
		}
	}
	if s.dir == "" {
		return errors.Join(errs...)
	}
	if !passed {
		_, _ = fmt.Fprintln(os.Stderr, "logs of the tests' clusters are kept in", s.dir)
		return errors.Join(errs...)
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

// start builds what is missing without a time limit, and then starts the cluster within one.
func start(ctx context.Context, options cluster.Options) (*cluster.Cluster, error) {
	if err := cluster.Build(ctx, options); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return cluster.Start(ctx, options)
}

func openCache(tb testing.TB) *binaries.Cache {
	tb.Helper()
	cache, err := binaries.Open(binaries.Options{Progress: os.Stderr})
	if err != nil {
		tb.Fatalf("open cache of programs: %v", err)
	}
	return cache
}
