package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/registry/internal/journal"
	"github.com/ocm-operator/ocm-operator/registry/internal/pace"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

// Options configures NewHandler.
type Options struct {
	// Authorizer decides who may do what. Nil lets nobody in.
	Authorizer auth.Authorizer
	// Logger gets errors, and one line for each request at the level -1, which logr has as V(1); nil is silent.
	Logger *slog.Logger
	// Metrics counts requests; nil counts nothing.
	Metrics *Metrics
	// MaxUploads is how many uploads may be open at once; 1000 when zero.
	MaxUploads int
	// MaxBlobBytes is the greatest size of a blob; zero is no limit.
	MaxBlobBytes int64
	// UploadIdle is how long an upload is kept after its last request; an hour when zero.
	UploadIdle time.Duration
	// StallTimeout is how long a client may send no byte of a body, and how long it may take over 256 KiB of
	// an answer; a minute when zero.
	StallTimeout time.Duration
	// Probe tells whether the registry is of use, as store.Store.Check does. It answers /healthz; nil is always well.
	Probe func(ctx context.Context) error
	// ProbeTimeout is how long the probe may take before the registry is of no use; 5 s when zero.
	ProbeTimeout time.Duration
	// Interceptor is asked before the store; it may be nil.
	Interceptor Interceptor
}

// Handler answers the distribution API. It is an http.Handler.
type Handler struct {
	store   *store.Store
	options Options
	uploads *sessions
	table   map[operation]map[string]endpoint
	// buffers are for bodies of uploads, one for each that is being read.
	buffers sync.Pool
	prober  prober
	// reads has a place for each manifest that is being read.
	reads chan struct{}
	// failures and refusals are errors of ours and the want of room, which must not hide the former in the log.
	failures, refusals journal.Complaints
}

// endpoint answers one request. An error that it returns is answered for it.
type endpoint func(w http.ResponseWriter, r *http.Request, c call) error

// call is a request that was let in.
type call struct {
	route
	repo *store.Repository
}

// NewHandler returns the distribution API over a store.
func NewHandler(s *store.Store, o Options) *Handler {
	if o.Authorizer == nil {
		o.Authorizer = auth.DenyAll()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.MaxUploads <= 0 {
		o.MaxUploads = 1000
	}
	if o.UploadIdle <= 0 {
		o.UploadIdle = time.Hour
	}
	if o.ProbeTimeout <= 0 {
		o.ProbeTimeout = probeTimeout
	}
	if o.StallTimeout <= 0 {
		o.StallTimeout = time.Minute
	}
	h := &Handler{
		store: s, options: o, uploads: newSessions(o.MaxUploads, o.UploadIdle), buffers: sync.Pool{New: newBuffer},
		reads: make(chan struct{}, maxReads),
	}
	h.table = map[operation]map[string]endpoint{
		opBase:      {http.MethodGet: h.base},
		opCatalog:   {http.MethodGet: h.catalog},
		opTags:      {http.MethodGet: h.tags},
		opReferrers: {http.MethodGet: h.referrers},
		opManifest:  {http.MethodGet: h.getManifest, http.MethodPut: h.putManifest, http.MethodDelete: h.deleteManifest},
		opBlob:      {http.MethodGet: h.getBlob, http.MethodHead: h.headBlob, http.MethodDelete: h.deleteBlob},
		opUploads:   {http.MethodPost: h.beginUpload},
		opUpload: {
			http.MethodGet: h.uploadStatus, http.MethodPatch: h.patchUpload,
			http.MethodPut: h.putUpload, http.MethodDelete: h.cancelUpload,
		},
	}
	return h
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	route := parseRoute(r.URL.Path)
	x, r := pace.Begin(w, r, h.options.StallTimeout)
	t := &transfer{Exchange: x}
	end := h.options.Metrics.Begin()
	defer func() { h.record(r, route, t, time.Since(begin), end) }()
	defer t.End()
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if err := h.serve(t, r, route); err != nil {
		h.fail(t, r, route, err)
	}
}

// fail answers an error, unless the answer had begun.
func (h *Handler) fail(t *transfer, r *http.Request, route route, err error) {
	answer := toAPI(err)
	switch answer.status {
	case http.StatusInternalServerError:
		h.complain(&h.failures, r, route, err)
	case http.StatusInsufficientStorage:
		h.complain(&h.refusals, r, route, err)
	}
	if t.Status() == 0 {
		answer.write(t)
	}
}

// complain tells the log what went wrong, but not all the time the same.
func (h *Handler) complain(about *journal.Complaints, r *http.Request, route route, err error) {
	omitted, due := about.Due(time.Now())
	if !due {
		return
	}
	h.options.Logger.ErrorContext(r.Context(), "registry request failed", "method", journal.Clip(r.Method),
		"repository", journal.Clip(route.name), "operation", string(route.op), "error", err, "notLogged", omitted)
}

// Close drops the uploads that are open. It is called when no more requests come, before the
// store is closed.
func (h *Handler) Close() { h.uploads.close() }

func (h *Handler) serve(w *transfer, r *http.Request, route route) error {
	if route.op == opNone {
		return &apiError{status: http.StatusNotFound, code: codeNameUnknown, message: "this path is not part of the registry's API"}
	}
	if route.op == opHealth {
		return h.health(w, r)
	}
	if err := h.authorize(r, auth.Request{Repository: route.name, Action: route.action(r.Method), Identified: w.identified}); err != nil {
		retryAfter(w, err)
		return err
	}
	methods := h.table[route.op]
	method := r.Method
	if _, found := methods[method]; !found && method == http.MethodHead {
		method = http.MethodGet
	}
	serve, found := methods[method]
	if !found {
		w.Header().Set("Allow", allow(methods))
		return &apiError{status: http.StatusMethodNotAllowed, code: codeUnsupported, message: "this method is not part of the registry's API here"}
	}
	c := call{route: route}
	if route.name != "" || route.op != opBase && route.op != opCatalog {
		var err error
		if c.repo, err = h.store.Repository(route.name); err != nil {
			return err
		}
	}
	if h.intercepted(w, r, route) {
		return nil
	}
	return serve(w, r, c)
}

func allow(methods map[string]endpoint) string {
	names := make([]string, 0, len(methods)+1)
	for name := range methods {
		names = append(names, name)
	}
	if methods[http.MethodGet] != nil && methods[http.MethodHead] == nil {
		names = append(names, http.MethodHead)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func (h *Handler) base(w http.ResponseWriter, _ *http.Request, _ call) error {
	return writeJSON(w, "application/json", struct{}{})
}

func writeJSON(w http.ResponseWriter, mediaType string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	_, err = w.Write(body)
	return err
}
