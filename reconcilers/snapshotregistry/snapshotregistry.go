// Package snapshotregistry connects the operator to the registry of others that snapshots are kept in: it reads what the
// operator and Flux log in with from Secrets, and notices when that changes. It stands in the place of the embedded
// registry, and serves nothing: neither a port nor readiness depends on it.
package snapshotregistry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/credentials"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/options"
	"github.com/ocm-operator/ocm-operator/snapshot/remote"
)

// lookAgain is how old what was read from Secrets may be. The namespace of the operator need not be one that it watches, so
// it looks.
const lookAgain = 10 * time.Second

// Options are what a Registry is made with.
type Options struct {
	// External says where the registry is, and how it is reached.
	External options.External
	// Limits are those of the embedded registry, for what is on its way.
	Limits options.Registry
	// Namespace is that of the Secrets.
	Namespace string
	// Live reads past the cache.
	Live client.Reader
	// UserAgent is sent with each request.
	UserAgent string
	// Metrics is where metrics are registered.
	Metrics prometheus.Registerer
	// Log tells what becomes of the Secrets.
	Log logr.Logger
}

// login gives the credential of a cloud.
type login interface {
	Login(ctx context.Context) (credentials.Credential, error)
}

// Registry is the registry that snapshots are kept in.
type Registry struct {
	options Options
	store   *remote.Store
	// cloud is nil where no cloud is asked.
	cloud   login
	now     func() time.Time
	changes chan struct{}

	mu    sync.Mutex
	known state
}

// state is what was read from the Secrets.
type state struct {
	read time.Time
	// own is what the operator logs in with.
	own credentials.Credential
	// pull is the content of the Secret for Flux, and authority the certificates for both.
	pull, authority []byte
	// err says what can't be used of it.
	err error
}

// New returns a Registry. It reads nothing yet: a Secret may come later.
func New(o Options) (*Registry, error) {
	if o.Live == nil || o.Metrics == nil || !o.External.Used() {
		return nil, errors.New("options are incomplete: External, Live and Metrics are required")
	}
	r := &Registry{options: o, now: time.Now, changes: make(chan struct{}, 1)}
	if provider := o.External.Provider; provider != "" && provider != v1alpha1.GenericProvider {
		cloud, err := access.NewOperatorLogin(provider, o.External.Host)
		if err != nil {
			return nil, fmt.Errorf("--snapshot-registry-provider: %w", err)
		}
		r.cloud = cloud
	}
	metrics := remote.NewMetrics()
	if err := o.Metrics.Register(metrics); err != nil {
		return nil, fmt.Errorf("register the metrics of the snapshot registry: %w", err)
	}
	store, err := remote.New(remote.Options{
		Host: o.External.Host, Path: o.External.Path, PlainHTTP: o.External.PlainHTTP, Access: r.access, UserAgent: o.UserAgent, Metrics: metrics,
		Dir: filepath.Join(o.Limits.Dir, "outgoing"), MaxBlobBytes: o.Limits.MaxBlobBytes, MaxStagedBytes: o.Limits.MaxStagedBytes,
	})
	if err != nil {
		return nil, fmt.Errorf("--snapshot-registry: %w", err)
	}
	r.store = store
	return r, nil
}

// Store keeps snapshots in the registry.
func (r *Registry) Store() *remote.Store { return r.store }

// URL is the address of the registry with its scheme, below which the repositories are.
func (r *Registry) URL() string { return r.store.URL() }

// Changes has a signal when what Flux needs to pull has changed. It is for one reader.
func (r *Registry) Changes() <-chan struct{} { return r.changes }

// Shared returns what Flux needs to pull: the content of a pull Secret, and certificates in PEM. Nil is none, as far as none
// is configured; that one is configured which can't be read is an error.
func (r *Registry) Shared(ctx context.Context) (pull, authority []byte, err error) {
	s := r.current(ctx)
	return s.pull, s.authority, s.err
}

// access is what the store logs in with.
func (r *Registry) access(ctx context.Context) (remote.Access, error) {
	s := r.current(ctx)
	if s.err != nil {
		return remote.Access{}, s.err
	}
	own := s.own
	if r.cloud != nil && r.options.External.Secret == "" {
		var err error
		if own, err = r.cloud.Login(ctx); err != nil {
			return remote.Access{}, err
		}
	}
	return remote.Access{
		Username: own.Username, Password: own.Password, RefreshToken: own.RefreshToken, AccessToken: own.AccessToken,
		CertificateAuthority: string(s.authority),
	}, nil
}

// Setup adds to the manager what notices changes, in every replica.
func (r *Registry) Setup(mgr ctrl.Manager) error { return mgr.Add(everywhere(r.watch)) }

// Check implements the readiness of the registry: the operator is ready without. Objects whose content can't be read or
// written say so themselves.
func (*Registry) Check(*http.Request) error { return nil }

// watch looks at the Secrets until the context is over.
func (r *Registry) watch(ctx context.Context) error {
	r.options.Log.Info("Keeping snapshots in an external registry", "url", r.URL())
	ticker := time.NewTicker(lookAgain)
	defer ticker.Stop()
	for {
		r.current(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// current returns what is in the Secrets, and reads them when that was a while ago.
func (r *Registry) current(ctx context.Context) state {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.known.read.IsZero() && r.now().Sub(r.known.read) < lookAgain {
		return r.known
	}
	before := r.known
	found, err := r.read(ctx)
	switch {
	case ctx.Err() != nil:
		found = before
		if before.read.IsZero() {
			found.err = context.Cause(ctx)
		}
		return found
	case err != nil && !before.read.IsZero():
		// The API server doesn't answer; what it said before holds.
		found = before
	case err != nil:
		found = state{err: err}
	}
	found.read = r.now()
	r.known = found
	r.tell(before, found)
	return found
}

// tell makes known what has changed.
func (r *Registry) tell(before, after state) {
	if before.read.IsZero() && after.err == nil {
		return
	}
	switch {
	case after.err != nil && (before.err == nil || before.err.Error() != after.err.Error()):
		r.options.Log.Error(after.err, "The snapshot registry can't be used")
	case after.err == nil && (before.err != nil || before.own != after.own):
		r.options.Log.Info("The snapshot registry is used with what its Secrets hold now")
	}
	if after.err == nil && (before.err != nil || !bytes.Equal(before.pull, after.pull) || !bytes.Equal(before.authority, after.authority)) {
		select {
		case r.changes <- struct{}{}:
		default:
		}
	}
}

// everywhere is a runnable that every replica runs, leader or not.
type everywhere func(context.Context) error

// Start implements manager.Runnable.
func (f everywhere) Start(ctx context.Context) error { return f(ctx) }

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (everywhere) NeedLeaderElection() bool { return false }
