package chart_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/binaries"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/nodes"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/e2e/operator"
	"github.com/ocm-operator/ocm-operator/hack/image/scratch"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

const (
	// startTimeout bounds the start of the cluster with Flux, and helmTimeout one command of Helm, as it writes it.
	startTimeout = 30 * time.Minute // there is one such cluster on a machine at a time
	helmTimeout  = "5m"
	// longest is how long anything may take that goes by itself: a node that comes back, a lease that runs out, the longest pause of
	// Flux's backoff in between.
	longest = 5 * time.Minute
	// pool is the label of the node on which runs what is delivered.
	pool = "pool=apps"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := shared.stop(code == 0); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "stop the cluster of the tests:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// shared is the cluster of the tests of this process, which have no other place to hand it to each other.
var shared suite

// suite is a cluster with nodes and Flux, but without the operator.
type suite struct {
	once sync.Once
	err  error
	// missing is why there is no cluster.
	missing []string

	dir     string
	root    string
	cluster *nodes.Cluster
	helm    helm
	// chart is the one of now, and previous that of before, whose package is the file before.
	chart, previous *metadata
	before          string
	server          *http.Server
	releases        *releases
	// apps is the node on which runs what is delivered, and other the one that tests take away.
	apps, other *nodes.Node

	mu      sync.Mutex
	version int
}

// world is the suite as one test sees it.
type world struct {
	*suite

	t *testing.T
	// env is the namespace of the operator.
	env *e2etest.Env
}

// enter returns the cluster that the tests share. On a machine that can't have one it says why, and skips the test.
func enter(t *testing.T) *world {
	t.Helper()
	shared.once.Do(func() { shared.err = shared.start(context.WithoutCancel(t.Context())) })
	clustertest.NeedNodes(t, shared.missing)
	if shared.err != nil {
		t.Fatalf("start the cluster that the tests share: %v", shared.err)
	}
	w := &world{suite: &shared, t: t}
	w.env = w.in(home)
	t.Cleanup(w.dump)
	return w
}

func (s *suite) start(ctx context.Context) error {
	if s.missing = nodes.Missing(ctx); len(s.missing) > 0 {
		return nil
	}
	var err error
	if s.root, err = operator.ModuleRoot(); err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "ocm-operator-chart-"); err != nil {
		return err
	}
	cache, err := binaries.Open(binaries.Options{Progress: os.Stderr})
	if err != nil {
		return err
	}
	controllers, err := cache.Flux(ctx)
	if err != nil {
		return err
	}
	if s.helm.path, err = cache.Helm(ctx); err != nil {
		return err
	}
	if err := s.readCharts(ctx); err != nil {
		return err
	}
	options := nodes.Options{Dir: filepath.Join(s.dir, "cluster"), Progress: os.Stderr, Binaries: cache}
	if options.Images, err = s.images(ctx, controllers); err != nil {
		return err
	}
	if err := nodes.Build(ctx, options); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if s.cluster, err = nodes.Start(ctx, options); err != nil {
		return err
	}
	s.apps, s.other = s.cluster.Node(0), s.cluster.Node(1)
	s.helm.dir, s.helm.kubeconfig = filepath.Join(s.dir, "helm"), s.cluster.Kubeconfig()
	if err := s.serve(ctx); err != nil {
		return err
	}
	return s.installFlux(ctx, controllers)
}

// Names of the images that are on the nodes from the beginning, beside that of the operator.
const (
	sourceController    = "localhost/source-controller:test"
	kustomizeController = "localhost/kustomize-controller:test"
)

// operatorImage is the name of the image that a chart asks for when nobody says otherwise.
func operatorImage(appVersion string) string {
	return "ghcr.io/ocm-operator/ocm-operator:" + appVersion
}

// images makes the images of the operator, in the version of the chart, and of Flux.
func (s *suite) images(ctx context.Context, controllers *binaries.Flux) ([]string, error) {
	own, err := s.operatorImage(ctx)
	if err != nil {
		return nil, err
	}
	archives := []string{own}
	for name, path := range map[string]string{sourceController: controllers.SourceController, kustomizeController: controllers.KustomizeController} {
		file := filepath.Join(s.dir, filepath.Base(path)+".tar")
		if _, err := scratch.Program(name, path).WriteFile(file); err != nil {
			return nil, err
		}
		archives = append(archives, file)
	}
	return archives, nil
}

// operatorImage makes the image of the operator as a release does, under the names that both charts ask for.
func (s *suite) operatorImage(ctx context.Context) (string, error) {
	file := filepath.Join(s.dir, "ocm-operator.tar")
	names := operatorImage(s.chart.AppVersion) + "," + operatorImage(s.previous.AppVersion)
	cmd := exec.CommandContext(ctx, "go", "run", "./hack/image", "-tag", names, "-o", file)
	cmd.Dir = s.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make the image of the operator: %w\n%s", err, out)
	}
	return file, nil
}

// serve serves a registry at the address of this machine that the nodes know.
func (s *suite) serve(ctx context.Context) error {
	// Nothing is sent: this is how to learn by which address this machine is on the network of the nodes.
	probe, err := (&net.Dialer{}).DialContext(ctx, "udp", net.JoinHostPort(s.apps.Address, "9"))
	if err != nil {
		return fmt.Errorf("find the address of this machine on the network of the nodes: %w", err)
	}
	host, _, err := net.SplitHostPort(probe.LocalAddr().String())
	if err := errors.Join(err, probe.Close()); err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return fmt.Errorf("serve a registry for the nodes: %w", err)
	}
	s.server = &http.Server{Handler: ocmtest.NewRegistry(), ReadHeaderTimeout: time.Minute}
	go func() { _ = s.server.Serve(listener) }() // it ends with Close
	s.releases, err = newReleases(s.dir, listener.Addr().String(), s.cluster.Load)
	return err
}

// installFlux installs Flux's controllers as pods.
func (s *suite) installFlux(ctx context.Context, controllers *binaries.Flux) error {
	chart, err := fluxChart(s.dir, controllers.CRDs)
	if err != nil {
		return err
	}
	if err := s.kubectl(ctx, io.Discard, "label", "node", s.apps.Name, pool); err != nil {
		return err
	}
	if err := s.namespace(ctx, fluxHome); err != nil {
		return err
	}
	_, err = s.helm.run(ctx, fluxHome, "install", "flux", chart, "--wait", "--timeout="+helmTimeout,
		"--set=images.sourceController="+sourceController, "--set=images.kustomizeController="+kustomizeController)
	return err
}

// namespace makes a namespace in which pods have to be restricted.
func (s *suite) namespace(ctx context.Context, name string) error {
	err := s.kubectl(ctx, io.Discard, "create", "namespace", name)
	if err != nil && !strings.Contains(err.Error(), "already exists") {
		return err
	}
	return s.kubectl(ctx, io.Discard, "label", "--overwrite", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
}

// publish publishes the next version and returns it.
func (w *world) publish() string {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.version++
	version := fmt.Sprintf("1.%d.0", w.version)
	w.t.Logf("publish version %s", version)
	if err := w.releases.publish(w.t.Context(), version); err != nil {
		w.t.Fatal(err)
	}
	return version
}

// current is the version that was published last.
func (w *world) current() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprintf("1.%d.0", w.version)
}

// forTest is the world with failures reported to a subtest.
func (w *world) forTest(t *testing.T) *world {
	return &world{suite: w.suite, t: t, env: w.env.ForTest(t)}
}

// in returns the environment of a namespace, which is made.
func (w *world) in(namespace string) *e2etest.Env {
	w.t.Helper()
	if err := w.namespace(w.t.Context(), namespace); err != nil {
		w.t.Fatal(err)
	}
	return e2etest.Installed(w.t, w.cluster.Cluster, namespace, w.log)
}

// log is that of all pods of the operator.
func (s *suite) log(ctx context.Context) (string, error) {
	out := &strings.Builder{}
	err := s.kubectl(ctx, out, "--namespace="+home, "logs", "--selector=app.kubernetes.io/component=operator", "--all-containers", "--prefix", "--tail=200")
	return out.String(), err
}

func (s *suite) stop(passed bool) error {
	var errs []error
	if s.server != nil {
		errs = append(errs, s.server.Close())
	}
	if s.cluster != nil {
		errs = append(errs, s.cluster.Stop(context.Background()))
	}
	if s.dir == "" {
		return errors.Join(errs...)
	}
	if !passed {
		_, _ = fmt.Fprintln(os.Stderr, "the folder of the cluster with its logs is kept in", s.dir)
		return errors.Join(errs...)
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}
