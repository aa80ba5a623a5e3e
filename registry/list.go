package registry

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	maxPage          = 10_000
	maxReferrersPage = 500
)

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
	return writeTags(w, r, map[string]any{"name": c.name, "tags": orEmpty(tags)})
}

// writeTags answers with a page of tags, unless the client has the same. Who looks for new versions asks for it all the time.
func writeTags(w http.ResponseWriter, r *http.Request, page any) error {
	body, err := json.Marshal(page)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	// A page is another one when there is another after it.
	sum := sha256.New()
	sum.Write(body)
	sum.Write([]byte(w.Header().Get("Link")))
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Etag", `"`+hex.EncodeToString(sum.Sum(nil))+`"`)
	w.Header().Set("Cache-Control", "private, no-cache")
	serveContent(w, r, bytes.NewReader(body))
	return nil
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
