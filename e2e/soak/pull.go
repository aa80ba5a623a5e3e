package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// presence is how much of an artifact the registry serves.
type presence int

const (
	nowhere presence = iota
	parts
	whole
)

// pull compares an artifact with what was pushed, under its digests and its tag. A manifest or a tag that is there without all
// that it names is dangling, whatever is known about the push.
func (c *client) pull(ctx context.Context, a *artifact) (presence, error) {
	var served [][]byte
	root := false
	for i, m := range a.manifests {
		there, err := c.pullManifest(ctx, a, m.digest.String(), m)
		switch {
		case err != nil:
			return nowhere, err
		case !there:
		case i == a.main && len(served) < i:
			return nowhere, wrong("index %s of %s is dangling", m.digest, a.repository)
		default:
			served = append(served, m.body)
			root = root || i == a.main
		}
	}
	tagged, err := c.pullManifest(ctx, a, a.tag, a.manifests[a.main])
	switch {
	case err != nil:
		return nowhere, err
	case tagged && !root:
		return nowhere, wrong("tag %s of %s is dangling", a.tag, a.repository)
	case len(served) == 0:
		return nowhere, nil
	}
	for d, content := range a.blobs {
		if err := c.pullBlob(ctx, a, d, content, served); err != nil {
			return nowhere, err
		}
	}
	if len(served) < len(a.manifests) || !tagged {
		return parts, nil
	}
	return whole, c.refer(ctx, a)
}

// pullManifest returns whether a manifest is there.
func (c *client) pullManifest(ctx context.Context, a *artifact, ref string, m document) (bool, error) {
	got, err := c.do(ctx, http.MethodGet, "/v2/"+a.repository+"/manifests/"+ref, nil, "")
	if err != nil || got.status == http.StatusNotFound {
		return false, err
	}
	if got.status != http.StatusOK || !bytes.Equal(got.body, m.body) {
		return false, corrupt("manifest %s of %s is corrupt: %d, %d bytes", ref, a.repository, got.status, len(got.body))
	}
	return true, nil
}

// pullBlob gets a blob, which has to be there if a manifest is that names it: the whole, and then a part of it.
func (c *client) pullBlob(ctx context.Context, a *artifact, d digest.Digest, content []byte, manifests [][]byte) error {
	if !slices.ContainsFunc(manifests, func(body []byte) bool { return bytes.Contains(body, []byte(d)) }) {
		return nil
	}
	path := "/v2/" + a.repository + "/blobs/" + d.String()
	from, to := len(content)/3, len(content)/2
	for header, want := range map[string][]byte{"": content, fmt.Sprintf("bytes=%d-%d", from, to): content[from:min(to+1, len(content))]} {
		status := http.StatusOK
		if header != "" {
			status = http.StatusPartialContent
		}
		if header != "" && len(content)%4 != 1 {
			continue
		}
		got, err := c.do(ctx, http.MethodGet, path, nil, "", "Range", header)
		switch {
		case d == a.hurt && explained(got, err):
		case err != nil:
			return err
		case got.status != status:
			return wrong("manifest %s of %s is dangling: blob %s %s: %d", a.root(), a.repository, d, header, got.status)
		case !bytes.Equal(got.body, want):
			return corrupt("blob %s of %s is corrupt: %s, %d bytes of %d", d, a.repository, header, len(got.body), len(want))
		}
	}
	return nil
}

// refer asks for what refers to an artifact.
func (c *client) refer(ctx context.Context, a *artifact) error {
	referrers := a.manifests[a.main+1:]
	if len(referrers) == 0 {
		return nil
	}
	got, err := c.do(ctx, http.MethodGet, "/v2/"+a.repository+"/referrers/"+a.root().String(), nil, "")
	if err != nil {
		return err
	}
	var list ocispec.Index
	if err := json.Unmarshal(got.body, &list); err != nil || len(list.Manifests) != len(referrers) || list.Manifests[0].Digest != referrers[0].digest {
		return wrong("what refers to %s of %s is %d, %s", a.root(), a.repository, got.status, got.body)
	}
	return nil
}

// tags lists the tags of a repository.
func (c *client) tags(ctx context.Context, repository string) (map[string]bool, error) {
	got, err := c.do(ctx, http.MethodGet, "/v2/"+repository+"/tags/list", nil, "")
	if err != nil {
		return nil, err
	}
	all := map[string]bool{}
	if got.status == http.StatusNotFound {
		return all, nil
	}
	var list struct {
		Tags []string `json:"tags"`
	}
	if err := json.NewDecoder(strings.NewReader(string(got.body))).Decode(&list); err != nil || got.status != http.StatusOK {
		return nil, wrong("tags of %s: %d %s", repository, got.status, got.body)
	}
	for _, tag := range list.Tags {
		all[tag] = true
	}
	return all, nil
}
