package registry

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

const (
	maxPage          = 10_000
	maxReferrersPage = 500
	octetStream      = "application/octet-stream"
)

// Options configures NewHandler.
type Options struct {
	// Authorizer decides who may do what. Nil lets nobody in.
	Authorizer auth.Authorizer
	// Logger gets errors, and one debug line for each request; nil is silent.
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
	// Interceptor is asked before the store; it may be nil.
	Interceptor Interceptor
}

// Handler answers the distribution API. It is an http.Handler.
type Handler struct {
	store   *store.Store
	options Options
	uploads *sessions
	table   map[operation]map[string]endpoint
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
	if o.StallTimeout <= 0 {
		o.StallTimeout = time.Minute
	}
	h := &Handler{store: s, options: o, uploads: newSessions(o.MaxUploads, o.UploadIdle)}
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
	t, r := h.begin(w, r)
	end := h.options.Metrics.begin()
	defer func() { h.record(r, route, t, time.Since(begin), end) }()
	defer t.body.drain()
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if err := h.serve(t, r, route); err != nil {
		h.fail(t, r, route, err)
	}
}

// record counts and logs a request at its end, whatever that was.
func (h *Handler) record(r *http.Request, route route, t *transfer, took time.Duration, end requestEnd) {
	end(route.op, r.Method, t.status, t.body.n, t.n, took)
	h.options.Logger.DebugContext(r.Context(), "registry request",
		"method", r.Method, "operation", string(route.op), "repository", route.name, "status", t.status,
		"received", t.body.n, "sent", t.n, "duration", took)
}

// fail answers an error, unless the answer had begun.
func (h *Handler) fail(t *transfer, r *http.Request, route route, err error) {
	answer := toAPI(err)
	if answer.status == http.StatusInternalServerError || answer.status == http.StatusInsufficientStorage {
		h.options.Logger.ErrorContext(r.Context(), "registry request failed",
			"method", r.Method, "repository", route.name, "operation", string(route.op), "error", err)
	}
	if t.status == 0 {
		answer.write(t)
	}
}

// Close drops the uploads that are open. It is called when no more requests come, before the
// store is closed.
func (h *Handler) Close() { h.uploads.close() }

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, route route) error {
	if route.op == opNone {
		return &apiError{http.StatusNotFound, codeNameUnknown, "this path is not part of the registry's API"}
	}
	if err := h.authorize(r, route.name, route.action(r.Method)); err != nil {
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
		return &apiError{http.StatusMethodNotAllowed, codeUnsupported, "this method is not part of the registry's API here"}
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

func (h *Handler) catalog(w http.ResponseWriter, r *http.Request, _ call) error {
	limit, last, err := paging(r, maxPage)
	if err != nil {
		return err
	}
	names, more, err := h.store.Repositories(r.Context(), last, limit)
	if err != nil {
		return err
	}
	setNext(w, r, more, limit, lastOf(names), "")
	return writeJSON(w, "application/json", map[string]any{"repositories": orEmpty(names)})
}

func (h *Handler) tags(w http.ResponseWriter, r *http.Request, c call) error {
	limit, last, err := paging(r, maxPage)
	if err != nil {
		return err
	}
	tags, more, err := c.repo.Tags(r.Context(), last, limit)
	if err != nil {
		return err
	}
	setNext(w, r, more, limit, lastOf(tags), "")
	return writeJSON(w, "application/json", map[string]any{"name": c.name, "tags": orEmpty(tags)})
}

func (h *Handler) referrers(w http.ResponseWriter, r *http.Request, c call) error {
	limit, last, err := paging(r, maxReferrersPage)
	if err != nil {
		return err
	}
	artifactType := r.URL.Query().Get("artifactType")
	found, more, err := c.repo.Referrers(r.Context(), digest.Digest(c.ref), artifactType, digest.Digest(last), limit)
	if err != nil {
		return err
	}
	if artifactType != "" {
		w.Header().Set("OCI-Filters-Applied", "artifactType")
	}
	if len(found) > 0 {
		setNext(w, r, more, limit, found[len(found)-1].Digest.String(), artifactType)
	}
	index := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: orEmpty(found)}
	index.SchemaVersion = 2
	return writeJSON(w, ocispec.MediaTypeImageIndex, index)
}

// paging reads where a list goes on and how long it may be.
func paging(r *http.Request, most int) (limit int, last string, err error) {
	query := r.URL.Query()
	limit, last = most, query.Get("last")
	if n := query.Get("n"); n != "" {
		if limit, err = strconv.Atoi(n); err != nil || limit < 0 {
			return 0, "", badRequest(codeUnsupported, "n has to be a number that is not negative")
		}
	}
	return min(limit, most), last, nil
}

// setNext tells where the rest of a list is. A client that asked for nothing has no place to go on from.
func setNext(w http.ResponseWriter, r *http.Request, more bool, limit int, last, artifactType string) {
	if !more || last == "" {
		return
	}
	query := url.Values{"n": {strconv.Itoa(limit)}, "last": {last}}
	if artifactType != "" {
		query.Set("artifactType", artifactType)
	}
	w.Header().Set("Link", fmt.Sprintf(`<%s?%s>; rel="next"`, r.URL.EscapedPath(), query.Encode()))
}

func lastOf(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[len(names)-1]
}

// orEmpty makes JSON say [] and not null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
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
