package replica

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"

	"github.com/ocm-operator/ocm-operator/registry"
	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

const (
	// peerHeader marks requests of one replica to another, so that none goes round in circles.
	peerHeader = "Ocm-Registry-Peer"
	// leaderHeader marks what a leader answers to another replica. Whatever else listens at its address does not know it.
	leaderHeader = "Ocm-Registry-Leader"

	defaultFetches = 16
	// defaultFetchTime bounds one blob. It is for blobs of many gigabytes over slow lines; a line that stands still is noticed
	// by its silence.
	defaultFetchTime = time.Hour
	defaultSilence   = time.Minute
	defaultWait      = 10 * time.Second
	// maxWaiting is how many requests may wait for content that is fetched.
	maxWaiting = 1024
	// maxDocuments is how many manifests of the leader are read at once for clients.
	maxDocuments = 16
)

// Operations of a registry.Call that are about content.
const (
	opBase     = "base"
	opBlob     = "blob"
	opManifest = "manifest"
)

// Leader is what a replica knows of who leads.
type Leader struct {
	// Self is set while this replica leads.
	Self bool
	// Address is host and port at which the one that leads is reached; empty when that isn't known.
	Address string
}

// Options configures New.
type Options struct {
	// Store is the store of this replica.
	Store *store.Store
	// Leader tells who leads now. It is asked for each request.
	Leader func() Leader
	// Issue returns a credential that may pull a repository at the leader.
	Issue func(repository string) (auth.Credential, error)
	// TLS returns how the leader is recognized. It is asked for each connection; nil means plain HTTP.
	TLS func() (*tls.Config, error)
	// Metrics counts; nil counts nothing.
	Metrics *Metrics
	// Logger gets what goes wrong between replicas; nil is silent.
	Logger *slog.Logger
	// Fetches is how many blobs are fetched at once; 16 when zero.
	Fetches int64
	// FetchTime is how long one may take; an hour when zero.
	FetchTime time.Duration
	// Silence is how long the leader may send nothing, and take nothing, in the middle of anything; a minute when zero.
	Silence time.Duration
	// Wait is how long a request for a manifest waits for its turn; 10 seconds when zero.
	Wait time.Duration
}

// Replica answers for a registry that another process writes. It is a registry.Interceptor and safe for use by many
// goroutines.
type Replica struct {
	options   Options
	metrics   *Metrics
	log       *slog.Logger
	transport *http.Transport

	flights singleflight.Group
	slots   *semaphore.Weighted
	// documents bounds how many manifests are held in memory. They don't wait for blobs, which may take long.
	documents *semaphore.Weighted
	// tagging lets those who look whether a tag is still right do so one by one.
	tagging sync.Mutex
	waiting atomic.Int64
	buffers buffers

	// ctx is for fetches, which outlive the request that began them: others may wait for the same.
	ctx    context.Context //nolint:containedctx // the life of the replica, ended by Close
	cancel context.CancelFunc
	mu     sync.Mutex
	closed bool
	busy   sync.WaitGroup
}

// New returns a replica. Close ends it.
func New(o Options) (*Replica, error) {
	if o.Store == nil || o.Leader == nil || o.Issue == nil {
		return nil, errors.New("a replica of the registry needs a store, credentials, and somebody who knows who leads")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Fetches <= 0 {
		o.Fetches = defaultFetches
	}
	if o.FetchTime <= 0 {
		o.FetchTime = defaultFetchTime
	}
	if o.Silence <= 0 {
		o.Silence = defaultSilence
	}
	if o.Wait <= 0 {
		o.Wait = defaultWait
	}
	r := &Replica{
		options: o, metrics: o.Metrics, log: o.Logger,
		slots: semaphore.NewWeighted(o.Fetches), documents: semaphore.NewWeighted(maxDocuments),
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.transport = r.newTransport()
	return r, nil
}

// Close ends what is being fetched and waits for it. It is called before the store is closed.
func (r *Replica) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.busy.Wait()
	r.transport.CloseIdleConnections()
}

// begin keeps Close waiting until end is called. It is false after Close.
func (r *Replica) begin() (end func(), ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, false
	}
	r.busy.Add(1)
	return r.busy.Done, true
}

// Intercept implements registry.Interceptor.
func (r *Replica) Intercept(w http.ResponseWriter, req *http.Request, c registry.Call) bool {
	fromPeer := req.Header.Get(peerHeader) != ""
	switch {
	case r.options.Leader().Self:
		if fromPeer {
			w.Header().Set(leaderHeader, "true")
		}
		return false
	case c.Operation == opBase:
		return false
	case fromPeer:
		unavailable(w, "this replica does not lead")
		return true
	case !readsContent(req.Method, c):
		return r.forward(w, req)
	case req.Method == http.MethodHead && c.MayPush():
		// Who is told that something is there will not push it, and a push ends at the leader.
		return r.forward(w, req)
	case c.Operation == opBlob && req.Method == http.MethodGet:
		return r.Blob(w, req, c.Repository, digest.Digest(c.Reference))
	case r.has(req.Context(), c):
		return false
	case req.Method == http.MethodHead:
		return r.forward(w, req)
	default:
		return r.manifest(w, req, c.Repository, digest.Digest(c.Reference))
	}
}

// readsContent tells whether a request is for what never changes.
func readsContent(method string, c registry.Call) bool {
	if method != http.MethodGet && method != http.MethodHead || c.Operation != opBlob && c.Operation != opManifest {
		return false
	}
	_, err := store.ParseDigest(c.Reference)
	return err == nil
}

func (r *Replica) has(ctx context.Context, c registry.Call) bool {
	repo, err := r.options.Store.Repository(c.Repository)
	if err != nil {
		return false
	}
	if c.Operation == opBlob {
		return hasBlob(ctx, repo, digest.Digest(c.Reference))
	}
	_, _, err = repo.Manifest(ctx, c.Reference)
	return err == nil
}

// hasBlob looks without renewing the lease of the blob: content that nobody keeps any more is not kept by those who pull it.
func hasBlob(ctx context.Context, repo *store.Repository, d digest.Digest) bool {
	blob, _, err := repo.OpenBlob(ctx, d)
	if err != nil {
		return false
	}
	return blob.Close() == nil
}

// Blob makes sure that a blob is in the local store before it is served from there. It returns true when it has answered the
// request: the blob is nowhere, or the leader can't be asked, or there is no room for it here, and it went past the store.
// While this replica leads it answers nothing.
func (r *Replica) Blob(w http.ResponseWriter, req *http.Request, repository string, d digest.Digest) bool {
	repo, err := r.options.Store.Repository(repository)
	if err != nil || r.options.Leader().Self || hasBlob(req.Context(), repo, d) {
		return false
	}
	err = r.fetch(req.Context(), repository, d)
	if _, full := errors.AsType[*storeError](err); full {
		r.log.WarnContext(req.Context(), "content of the leader can't be stored here, and is passed on", "repository", repository, "digest", d.String(), "error", err.Error())
		return r.pass(w, req, repository, d)
	}
	return r.answer(w, req, err, codeBlobUnknown, repository, d)
}

// answer tells the client why there is no content. It returns false when there is.
func (r *Replica) answer(w http.ResponseWriter, req *http.Request, err error, unknown, repository string, d digest.Digest) bool {
	switch {
	case err == nil, errors.Is(err, errLeading):
		return false
	case errors.Is(err, ErrMissing):
		writeError(w, http.StatusNotFound, unknown, d.String()+" is not in repository "+repository)
	default:
		r.log.InfoContext(req.Context(), "content was not fetched from the leader", "repository", repository, "digest", d.String(), "error", err.Error())
		unavailable(w, "the replica that leads can't be asked now")
	}
	return true
}
