package registry

import (
	"net/http"
	"strings"

	"github.com/ocm-operator/ocm-operator/registry/auth"
)

// operation is one endpoint, without its method.
type operation string

const (
	opBase      operation = "base"
	opCatalog   operation = "catalog"
	opTags      operation = "tags"
	opManifest  operation = "manifest"
	opBlob      operation = "blob"
	opUploads   operation = "uploads"
	opUpload    operation = "upload"
	opReferrers operation = "referrers"
	opHealth    operation = "health"
	opNone      operation = "none"
)

// route is what a path says.
type route struct {
	op   operation
	name string
	ref  string
}

// parseRoute reads a path from its end, since a repository's name may have any number of
// elements, and any element of it may look like part of the API.
func parseRoute(path string) route {
	rest, found := strings.CutPrefix(path, "/v2")
	switch {
	case path == "/healthz":
		return route{op: opHealth}
	case !found:
		return route{op: opNone}
	case rest == "" || rest == "/":
		return route{op: opBase}
	case rest[0] != '/':
		return route{op: opNone}
	case rest == "/_catalog":
		return route{op: opCatalog}
	}
	rest = rest[1:]
	if name, found := strings.CutSuffix(rest, "/tags/list"); found {
		return route{opTags, name, ""}
	}
	if name, found := strings.CutSuffix(strings.TrimSuffix(rest, "/"), "/blobs/uploads"); found {
		return route{opUploads, name, ""}
	}
	parent, ref := cutLast(rest)
	if name, found := strings.CutSuffix(parent, "/blobs/uploads"); found {
		return route{opUpload, name, ref}
	}
	if i := strings.LastIndexByte(parent, '/'); i >= 0 {
		switch parent[i:] {
		case "/blobs":
			return route{opBlob, parent[:i], ref}
		case "/manifests":
			return route{opManifest, parent[:i], ref}
		case "/referrers":
			return route{opReferrers, parent[:i], ref}
		}
	}
	return route{op: opNone}
}

func cutLast(s string) (before, after string) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return "", s
	}
	return s[:i], s[i+1:]
}

// action is what an authorizer is asked for.
func (r route) action(method string) auth.Action {
	switch {
	case r.op == opCatalog:
		return auth.Catalog
	case r.op == opBase:
		return auth.Pull
	case r.op == opUploads || r.op == opUpload:
		return auth.Push
	case method == http.MethodGet || method == http.MethodHead:
		return auth.Pull
	case method == http.MethodDelete:
		return auth.Delete
	default:
		return auth.Push
	}
}
