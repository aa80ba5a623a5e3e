package registryserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/opencontainers/go-digest"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/registry/replica"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

const (
	// peerTTL is how long a credential is good that one replica shows another. It is made for each request, and covers the
	// difference of two clocks.
	peerTTL = 5 * time.Minute
	// mirrors is how many artifacts are copied at once, beside what clients wait for.
	mirrors = 4
	// mirrorInterval is the time between two looks at all that should be here. In between, changes of Snapshots say what to copy.
	mirrorInterval = 5 * time.Minute
	// minMirrorDelay and maxMirrorDelay bound the time until an artifact is tried again.
	minMirrorDelay, maxMirrorDelay = 250 * time.Millisecond, 30 * time.Second
)

// newReplica lets this registry ask the one that leads. Until Follow is called it leads itself.
func (r *Registry) newReplica(registerer prometheus.Registerer, logger *slog.Logger) (err error) {
	r.leader = func() replica.Leader { return replica.Leader{Self: true} }
	r.copies = replica.NewMetrics()
	if err := registerer.Register(r.copies); err != nil {
		return fmt.Errorf("register the metrics of replicas: %w", err)
	}
	o := replica.Options{
		Store:   r.store,
		Leader:  func() replica.Leader { return r.leader() },
		Metrics: r.copies,
		Logger:  logger,
		Issue: func(repository string) (auth.Credential, error) {
			return r.issuer.Issue(auth.Scope{Prefix: repository + "/"}, peerTTL)
		},
	}
	if !r.options.PlainHTTP {
		o.TLS = r.trust
	}
	r.replica, err = replica.New(o)
	return err
}

// Follow says that there are several replicas, and who knows which one leads. It is called before Setup.
func (r *Registry) Follow(leader func() replica.Leader) { r.leader, r.follows = leader, true }

// trust returns how other replicas are recognized: they have the same certificates as this one, whatever address they have.
func (r *Registry) trust() (*tls.Config, error) {
	host, _, err := net.SplitHostPort(r.options.Address)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if ca := r.CA(); len(ca) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(ca) {
			return nil, fmt.Errorf("%s in Secret %s/%s has no certificates: other replicas can't be recognized", caCertKey, r.namespace, r.options.CertSecret)
		}
	}
	return config, nil
}

// wanted is an artifact that every replica should have.
type wanted struct {
	repository string
	manifest   digest.Digest
	// snapshot is what may give it a tag; empty when nothing does. The tag is read when it is set: it may be another one by then.
	snapshot types.NamespacedName
}

// mirror copies what Snapshots name from the replica that leads, so that this one can take over. It runs in every replica, and
// has nothing to do in the one that leads.
func (r *Registry) mirror(mgr ctrl.Manager) error {
	if !r.follows {
		return nil
	}
	everywhere := false
	m := &mirror{registry: r, roots: roots{reader: mgr.GetCache(), history: r.options.History}, log: r.log.WithName("mirror")}
	return builder.TypedControllerManagedBy[wanted](mgr).
		Named("mirror").
		WatchesRawSource(source.TypedKind(mgr.GetCache(), &v1alpha1.Snapshot{}, handler.TypedFuncs[*v1alpha1.Snapshot, wanted]{
			CreateFunc: func(_ context.Context, e event.TypedCreateEvent[*v1alpha1.Snapshot], queue workqueue.TypedRateLimitingInterface[wanted]) {
				m.enqueue(e.Object, queue)
			},
			UpdateFunc: func(_ context.Context, e event.TypedUpdateEvent[*v1alpha1.Snapshot], queue workqueue.TypedRateLimitingInterface[wanted]) {
				m.enqueue(e.ObjectNew, queue)
			},
		})).
		WatchesRawSource(source.TypedFunc[wanted](m.lookAgain)).
		WithOptions(controller.TypedOptions[wanted]{
			NeedLeaderElection:      &everywhere,
			MaxConcurrentReconciles: mirrors,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[wanted](minMirrorDelay, maxMirrorDelay),
		}).
		// A leader that ends is an error for each artifact; mirror tells it once.
		WithLogConstructor(func(*wanted) logr.Logger { return logr.Discard() }).
		Complete(m)
}

// mirror keeps the copies.
type mirror struct {
	registry *Registry
	roots    roots
	log      logr.Logger
	// failing is what was told last.
	failing atomic.Bool
}

// enqueue asks for what a Snapshot names.
func (m *mirror) enqueue(s *v1alpha1.Snapshot, queue workqueue.TypedInterface[wanted]) {
	if m.registry.leader().Self {
		return
	}
	repository := snapshot.RepositoryName(s.Namespace, s.Name)
	if s.Spec.ManifestDigest != "" {
		queue.Add(wanted{repository: repository, manifest: digest.Digest(s.Spec.ManifestDigest), snapshot: client.ObjectKeyFromObject(s)})
	}
	if s.Status.ManifestDigest != "" && s.Status.ManifestDigest != s.Spec.ManifestDigest {
		queue.Add(wanted{repository: repository, manifest: digest.Digest(s.Status.ManifestDigest)})
	}
}

// lookAgain asks again and again for all that should be here and is not: a disk may lose something, and what is deployed is
// not named by Snapshots alone. It is a source of the controller.
func (m *mirror) lookAgain(ctx context.Context, queue workqueue.TypedRateLimitingInterface[wanted]) error {
	go func() {
		ticker := time.NewTicker(mirrorInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			missing, err := m.missing(ctx, queue)
			if err != nil && ctx.Err() == nil {
				m.log.Error(err, "What this replica should have was not looked for, the next look comes by itself")
				continue
			}
			m.registry.copies.Missing(missing)
		}
	}()
	return nil
}

// missing counts what is not here, or not by its tag, and asks for it.
func (m *mirror) missing(ctx context.Context, queue workqueue.TypedInterface[wanted]) (int, error) {
	if m.registry.leader().Self {
		return 0, nil
	}
	set, err := m.roots.Roots(ctx)
	if err != nil {
		return 0, err
	}
	current, err := m.current(ctx)
	if err != nil {
		return 0, err
	}
	missing, seen := 0, map[wanted]bool{}
	for _, root := range set.Manifests {
		one := wanted{repository: root.Repository, manifest: root.Digest}
		if seen[one] {
			continue
		}
		seen[one] = true
		var tags []string
		if s, ok := current[one]; ok {
			one.snapshot = client.ObjectKeyFromObject(s)
			tags = tagsOf(s, root.Digest)
		}
		if ctx.Err() == nil && !m.registry.replica.Has(ctx, root.Repository, root.Digest, tags...) {
			missing++
			queue.Add(one)
		}
	}
	return missing, ctx.Err()
}

// current is what Snapshots name now.
func (m *mirror) current(ctx context.Context) (map[wanted]*v1alpha1.Snapshot, error) {
	all := &v1alpha1.SnapshotList{}
	if err := m.roots.reader.List(ctx, all); err != nil {
		return nil, fmt.Errorf("list Snapshots: %w", err)
	}
	current := make(map[wanted]*v1alpha1.Snapshot, len(all.Items))
	for i := range all.Items {
		s := &all.Items[i]
		current[wanted{repository: snapshot.RepositoryName(s.Namespace, s.Name), manifest: digest.Digest(s.Spec.ManifestDigest)}] = s
	}
	return current, nil
}

// tags returns the tag of an artifact, as long as the Snapshot names it.
func (m *mirror) tags(ctx context.Context, w wanted) ([]string, error) {
	if w.snapshot.Name == "" {
		return nil, nil
	}
	s := &v1alpha1.Snapshot{}
	if err := m.roots.reader.Get(ctx, w.snapshot, s); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return tagsOf(s, w.manifest), nil
}

func tagsOf(s *v1alpha1.Snapshot, manifest digest.Digest) []string {
	if s.Spec.Tag == "" || digest.Digest(s.Spec.ManifestDigest) != manifest {
		return nil
	}
	return []string{s.Spec.Tag}
}

// Reconcile implements reconcile.TypedReconciler.
func (m *mirror) Reconcile(ctx context.Context, w wanted) (reconcile.Result, error) {
	copied, err := m.registry.replica.Mirror(ctx, w.repository, w.manifest, func(ctx context.Context) ([]string, error) { return m.tags(ctx, w) })
	if errors.Is(err, replica.ErrMissing) {
		// Its owner writes it again, or nobody wants it any more. The next look at all finds out.
		return reconcile.Result{}, nil
	}
	if ctx.Err() != nil {
		return reconcile.Result{}, ctx.Err()
	}
	m.tell(err)
	if errors.Is(err, replica.ErrNoRoom) {
		// Room does not come by asking for it: the next look at all tries again.
		return reconcile.Result{}, nil
	}
	if copied {
		m.log.V(1).Info("Copied an artifact from the replica that leads", "repository", w.repository, "manifest", w.manifest.String())
	}
	return reconcile.Result{}, err
}

// tell says when copies have become impossible, and when they are possible again.
func (m *mirror) tell(err error) {
	if m.failing.Swap(err != nil) == (err != nil) {
		return
	}
	if err != nil {
		m.log.Info("This replica can't copy what the one that leads has, and tries again", "error", err.Error())
		return
	}
	m.log.Info("This replica copies again what the one that leads has")
}

// lasting is a runnable that every replica runs until it has given back the lease: the one that leads is asked by others, and
// its own writers need its store.
type lasting func(context.Context) error

// Start implements manager.Runnable.
func (f lasting) Start(ctx context.Context) error { return f(ctx) }

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (lasting) NeedLeaderElection() bool { return false }

// Lasts marks it for the manager.
func (lasting) Lasts() {}
