// Package registryserver runs the embedded registry inside the manager: it keeps the certificates and the key of its
// credentials in Secrets, so that all replicas have the same, serves, and tells others how to reach and use it.
package registryserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/reconcilers/options"
	"github.com/ocm-operator/ocm-operator/registry"
	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/registry/certs"
	"github.com/ocm-operator/ocm-operator/registry/replica"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

const (
	// reloadRate and reloadBurst are how often the keys are read again for the sake of credentials that nobody here knows.
	reloadRate  = 1
	reloadBurst = 5
)

// Registry is the embedded registry with what belongs to it in the cluster.
type Registry struct {
	options   options.Registry
	namespace string
	client    client.Client
	log       logr.Logger

	store   *store.Store
	issuer  *auth.Issuer
	dynamic certs.Dynamic
	ca      atomic.Pointer[[]byte]
	server  *registry.Server
	handler *registry.Handler
	metrics *registry.Metrics
	// artifacts is nil when none are served.
	artifacts *artifacts
	// replica asks the one that leads, and leader knows which one that is.
	replica *replica.Replica
	leader  func() replica.Leader
	// follows is set when another replica may lead.
	follows bool
	copies  *replica.Metrics
	// unwritable is what was told last about the store.
	unwritable atomic.Bool
	// notices is what the store tells, and complaints what the log says of it.
	notices    *Notices
	complaints complaints
	// changed has room for one signal: that a Secret of the registry was written by somebody.
	changed chan struct{}
	// writer has room for one signal too: that the credential of whoever else may write may have to be made again.
	writer chan struct{}
	// changes are told to those who give Flux access.
	changes changes
	health  *health

	// keys are those of the credentials, of which the first seals new ones. They are read by one at a time.
	keys    [][]byte
	reading chan struct{}
	reloads *rate.Limiter
	// readBegan is when the last look at the keys began that came to an end, and readErr what came of it.
	readBegan time.Time
	readErr   error
	// validFrom is when the certificate begins to be valid that was looked at last, and rewritten when one was written because
	// it lacked an address of this replica. Only who looks at certificates uses them.
	validFrom, rewritten time.Time
}

// New opens the store and makes sure of certificates and key. The client must read past any cache.
func New(ctx context.Context, c client.Client, namespace string, o options.Registry, metrics prometheus.Registerer, log logr.Logger) (*Registry, error) {
	r := &Registry{
		options: o, namespace: namespace, client: c, log: log, changed: make(chan struct{}, 1), writer: make(chan struct{}, 1),
		health: newHealth(), reading: make(chan struct{}, 1), reloads: rate.NewLimiter(reloadRate, reloadBurst),
	}
	r.notices = newNotices(func(repository string) (string, bool) { return r.store.Refused(repository) })
	content, err := store.Open(o.Dir, storeOptions(o, r.hear, func(message string) { log.Info(message) }))
	if err != nil {
		return nil, fmt.Errorf("open the snapshot store: %w", err)
	}
	r.store = content
	if err := r.bootstrap(ctx, metrics); err != nil {
		return nil, errors.Join(err, content.Close())
	}
	return r, nil
}

func (r *Registry) bootstrap(ctx context.Context, metrics prometheus.Registerer) error {
	err := r.refreshKeys(ctx)
	if err != nil {
		return err
	}
	authorizer := r.authorizer()
	r.metrics = registry.NewMetrics(r.store)
	for _, collector := range []prometheus.Collector{r.metrics, authorizer.Metrics, r.health} {
		if err := metrics.Register(collector); err != nil {
			return fmt.Errorf("register the metrics of the registry: %w", err)
		}
	}
	logger := slog.New(logr.ToSlogHandler(r.log))
	if err := r.newReplica(metrics, logger); err != nil {
		return err
	}
	r.handler = registry.NewHandler(r.store, registry.Options{Authorizer: authorizer, Logger: logger, Metrics: r.metrics, Probe: r.probe, Interceptor: r.replica})
	r.server = &registry.Server{Addr: r.options.Listen, Handler: r.handler, Probe: r.probe, Logger: logger}
	r.metrics.Watch("registry", r.server)
	if r.options.Artifacts {
		if r.artifacts, err = r.newArtifacts(logger); err != nil {
			return err
		}
	}
	if r.options.PlainHTTP {
		return nil
	}
	r.server.TLS = r.dynamic.Config()
	return r.refresh(ctx)
}

// authorizer decides who may do what: whoever the operator gave a credential, those whose tokens the API server knows, and
// strangers if the options say so.
func (r *Registry) authorizer() *auth.Guard {
	guard := &auth.Guard{
		Issuer: r.issuer, Reload: r.reloadKeys, Anonymous: r.options.Anonymous, Limiter: auth.NewLimiter(nil), Metrics: auth.NewMetrics(),
	}
	if r.options.TokenAuth {
		guard.Tokens = auth.NewTokens(&reviewer{client: r.client, log: r.log}, r.options.TokenAudience, guard.Limiter, guard.Metrics, nil)
	}
	return guard
}

// Store is the content of the registry, for writing and reading in this process.
func (r *Registry) Store() *store.Store { return r.store }

// Notices is what the store tells about repositories.
func (r *Registry) Notices() *Notices { return r.notices }

// URL is the address of the registry with its scheme.
func (r *Registry) URL() string {
	if r.options.PlainHTTP {
		return "http://" + r.options.Address
	}
	return "https://" + r.options.Address
}

// CA returns the certificates in PEM that the registry is trusted by.
func (r *Registry) CA() []byte {
	if ca := r.ca.Load(); ca != nil {
		return *ca
	}
	return nil
}

// Issue returns a credential that may pull the repository and nothing else, for the given time.
func (r *Registry) Issue(repository string, ttl time.Duration) (username, password string, err error) {
	credential, err := r.issuer.Issue(auth.Scope{Prefix: repository + "/"}, ttl)
	return credential.Username, credential.Password, err
}

// Valid tells whether a credential may pull the repository, and will as long as it says. One that was sealed with the key
// before the current one should be replaced.
func (r *Registry) Valid(_ context.Context, repository, username, password string) bool {
	return r.issuer.Current(auth.Request{Username: username, Password: password, Repository: repository, Action: auth.Pull})
}

// Setup adds the registry to the manager: every replica serves.
func (r *Registry) Setup(mgr ctrl.Manager) error {
	if err := mgr.Add(lasting(r.serve)); err != nil {
		return err
	}
	if err := errors.Join(mgr.Add(everywhere(r.collector(mgr, r.metrics).Run)), mgr.Add(everywhere(r.scrub)), mgr.Add(everywhere(r.watch))); err != nil {
		return err
	}
	if err := errors.Join(r.mirror(mgr), r.setupWriter(mgr)); err != nil {
		return err
	}
	if r.artifacts != nil {
		if err := mgr.Add(everywhere(r.serveArtifacts)); err != nil {
			return err
		}
	}
	r.health.mu.Lock()
	r.health.recorder = mgr.GetEventRecorderFor("ocm-controller") //nolint:staticcheck // the events of everything else are of this kind
	r.health.mu.Unlock()
	return mgr.Add(everywhere(r.keepFresh))
}

// Check tells whether the registry can serve content. It is a health check. A full disk is no reason to take away the content
// that is there from those who pull it.
func (r *Registry) Check(request *http.Request) error { return r.server.Check(request.Context()) }

func (r *Registry) probe(ctx context.Context) error {
	err := r.store.Check(ctx)
	r.tell(r.store.Writable())
	return err
}

// tell says when it has become impossible to keep new content, and when it is possible again.
func (r *Registry) tell(unwritable error) {
	if r.unwritable.Swap(unwritable != nil) == (unwritable != nil) {
		return
	}
	if unwritable == nil {
		r.log.Info("The registry keeps new content again", "directory", r.options.Dir)
		return
	}
	r.log.Error(unwritable, "The registry can't keep new content, and serves what it has: look at its disk, or give it more", "directory", r.options.Dir)
}

func (r *Registry) serve(ctx context.Context) error {
	r.log.Info("Serving snapshots", "listen", r.options.Listen, "url", r.URL())
	err := r.server.Run(ctx)
	// Uploads that were begun hold files of the store, and so does what is fetched.
	r.handler.Close()
	r.replica.Close()
	return errors.Join(err, r.store.Close())
}

// watch ends the process when the index of the store turns out to be damaged: only the next start can begin a new one. What was in it
// is written again by the objects that need it.
func (r *Registry) watch(ctx context.Context) error {
	if err := r.store.Watch(ctx); err != nil {
		return fmt.Errorf("the registry needs a new start, look at the disk of %s: %w", r.options.Dir, err)
	}
	return nil
}

// hosts are the names and addresses that the serving certificate is for.
func (r *Registry) hosts() []string {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	if host, _, err := net.SplitHostPort(r.options.Address); err == nil && host != "localhost" && host != "127.0.0.1" {
		hosts = append([]string{host}, hosts...)
	}
	return hosts
}

// everywhere is a runnable that every replica runs, leader or not.
type everywhere func(context.Context) error

// Start implements manager.Runnable.
func (f everywhere) Start(ctx context.Context) error { return f(ctx) }

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (everywhere) NeedLeaderElection() bool { return false }
