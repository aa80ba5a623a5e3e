package oci

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// tagPageSize is how many tags are asked for at once.
const tagPageSize = 1000

// Tags lists all tags.
func (r *Repository) Tags(ctx context.Context) ([]string, error) {
	object := "list tags of " + r.location.String()
	var all []string
	address := fmt.Sprintf("%s?n=%d", r.url("tags", "list"), tagPageSize)
	for pages := 0; address != ""; pages++ {
		if pages >= r.limits.TagPages {
			return nil, r.explain(object, &hint{fmt.Sprintf("more than %d pages of tags; --max-tags allows more", r.limits.TagPages), ErrTooLarge, nil})
		}
		page, err := r.tagPage(ctx, object, address)
		if err != nil {
			return nil, r.explain(object, err)
		}
		if len(all)+len(page.tags) > r.limits.Tags {
			return nil, r.explain(object, &hint{fmt.Sprintf("more than %d tags; --max-tags allows more", r.limits.Tags), ErrTooLarge, nil})
		}
		all, address = append(all, page.tags...), page.next
	}
	return all, nil
}

// tagPage is one page of a listing.
type tagPage struct {
	tags []string
	next string // its URL
}

func (r *Repository) tagPage(ctx context.Context, object, address string) (*tagPage, error) {
	ctx, watch := NewWatch(ctx, r.patience)
	defer watch.End()
	header := http.Header{"Accept": {"application/json"}}
	known, _ := r.recall(address, header).(*tagPage)
	resp, err := r.get(ctx, http.MethodGet, address, header)
	if err != nil {
		return nil, err
	}
	switch {
	case known != nil && resp.StatusCode == http.StatusNotModified:
		r.memory.told(KindTags, true)
		return known, resp.Body.Close()
	case resp.StatusCode != http.StatusOK:
		return nil, answer(resp)
	}
	body := watch.Over(resp.Body)
	defer body.Close()
	data, err := readAll(body, object, r.limits.ManifestBytes)
	if err != nil {
		return nil, err
	}
	var listed struct {
		Tags []string `json:"tags"`
	}
	if err := json.Unmarshal(data, &listed); err != nil {
		return nil, doubtPage(resp, fmt.Errorf("the answer cannot be read: %w", err))
	}
	page := &tagPage{tags: listed.Tags}
	if page.next, err = r.next(resp); err != nil {
		return nil, err
	}
	r.memory.told(KindTags, false)
	r.remember(address, resp.Header.Get("ETag"), page, len(data))
	return page, nil
}

// next returns the URL of the next page, which an answer links to.
func (r *Repository) next(resp *http.Response) (string, error) {
	link := resp.Header.Get("Link")
	if link == "" {
		return "", nil
	}
	target, found := strings.CutPrefix(link, "<")
	target, _, closed := strings.Cut(target, ">")
	if !found || !closed {
		return "", fmt.Errorf("the link %q to the next page cannot be read", link)
	}
	return r.own(resp, target)
}
