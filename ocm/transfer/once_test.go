package transfer_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
)

// TestTagAtOnce has two transfers want one tag for different images at the same moment.
// One gets it, the other one gets another, and both component versions are whole.
func TestTagAtOnce(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	images := map[string]digest.Digest{}
	for _, version := range []string{"1.0.0", "1.1.0"} {
		images[version] = manifestOf(t, small(version))
		c := one(p.image(t, "image", "a/web:latest", version))
		c.Version = version
		c.Resources[0].Image += "@" + images[version].String()
		p.publish(t, c)
	}
	results := atOnce(t, p, "1.0.0", "1.1.0")
	p.to.Heal()
	for version, result := range results {
		if drift, err := transfer.Check(t.Context(), p.target, shop, version, result.Versions[0].Target, transfer.Options{}); drift != nil || err != nil {
			t.Errorf("%s has lost %v, %v", version, drift, err)
		}
		v := get(t, p.target, shop, version)
		if err := v.Check(t.Context(), resource(t, v, "image")); err != nil {
			t.Error(err)
		}
	}
	checkShared(t, p.target, images["1.0.0"], images["1.1.0"])
}

// atOnce transfers versions that each have decided what to write before any of them
// does. What opens the target has in common what objects of one operator have.
func atOnce(t *testing.T, p *pair, versions ...string) map[string]*transfer.Result {
	t.Helper()
	o := p.options
	o.Memory, o.Connection = oci.NewMemory(oci.MemoryOptions{}), "one"
	r := &race{}
	p.to.Inject(r.fault)
	results := make([]*transfer.Result, len(versions))
	var ready, all sync.WaitGroup
	ready.Add(len(versions))
	for i, version := range versions {
		target := open(t, p.targetURL, o)
		all.Go(func() {
			var err error
			results[i], err = transfer.Run(t.Context(), p.source, target, shop, version, meanwhile(func() {
				ready.Done()
				ready.Wait()
				r.on.Store(true)
			}))
			if err != nil {
				t.Errorf("%s: %v", version, err)
			}
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
	out := map[string]*transfer.Result{}
	for i, version := range versions {
		out[version] = results[i]
	}
	return out
}

// checkShared wants the tag that two images had to lead to one of them, and one that is
// made of its digest to the other one.
func checkShared(t *testing.T, target *ocm.Repository, a, b digest.Digest) {
	t.Helper()
	repo, err := target.At("a/web")
	if err != nil {
		t.Fatal(err)
	}
	first, err := repo.Resolve(t.Context(), "latest")
	if err != nil {
		t.Fatal(err)
	}
	second := a
	if first == a {
		second = b
	}
	if first != a && first != b {
		t.Errorf("the tag leads to %s, and neither to %s nor to %s", first, a, b)
	}
	checkTag(t, target, "a/web", "latest-"+second.Encoded()[:12], second)
}

// race holds the first one back who writes a tag, until another one has looked at it,
// or seems not to be about to.
type race struct {
	on    atomic.Bool
	looks atomic.Int32
}

func (r *race) fault(_ http.ResponseWriter, req *http.Request) bool {
	if !r.on.Load() || !strings.HasSuffix(req.URL.Path, "/a/web/manifests/latest") {
		return false
	}
	switch req.Method {
	case http.MethodHead:
		r.looks.Add(1)
	case http.MethodPut:
		for deadline := time.Now().Add(300 * time.Millisecond); r.looks.Load() < 2 && time.Now().Before(deadline); {
			<-time.After(time.Millisecond)
		}
	}
	return false
}
