package transfer_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
)

// TestMerge publishes the same content with other signatures and labels: the target
// keeps what it had besides, and the second time nothing changes.
func TestMerge(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	version := func(labels ...descriptor.Label) ocmtest.Component {
		return ocmtest.Component{
			Name: shop, Version: "1.0.0", Labels: labels,
			Resources: []ocmtest.Resource{{Name: "config", Content: []byte("a"), Labels: labels}},
		}
	}
	text := func(name, value string) descriptor.Label {
		return descriptor.Label{Name: name, Value: json.RawMessage(value)}
	}
	fixed := descriptor.Label{Name: "fixed", Value: json.RawMessage(`1`), Signing: true}
	p.publish(t, signed(t, version(fixed, text("stage", `"dev"`), text("old", `1`)), "dev", "old"))
	run(t, p.source, p.target, shop, "1.0.0", transfer.Options{})
	p.publish(t, signed(t, version(fixed, text("stage", `"prod"`), text("new", `2`)), "dev", "prod"))
	o := transfer.Options{Verify: requests(t, "dev", "prod")}
	result := run(t, p.source, p.target, shop, "1.0.0", o)
	if got := outcomes(result)[shop+":1.0.0"]; got != transfer.Merged {
		t.Errorf("outcome is %s", got)
	}
	checkMerged(t, get(t, p.target, shop, "1.0.0").Descriptor(), []descriptor.Label{fixed, text("stage", `"prod"`), text("new", `2`), text("old", `1`)})
	again := run(t, p.source, p.target, shop, "1.0.0", o)
	if outcomes(again)[shop+":1.0.0"] != transfer.Unchanged || again.Versions[0].Target != result.Versions[0].Target {
		t.Errorf("the second time %+v", again.Versions)
	}
	verifyTexts(t, p)
}

// checkMerged wants a component version and its resource to have labels, and the
// signatures of both sides.
func checkMerged(t *testing.T, d *descriptor.Descriptor, want []descriptor.Label) {
	t.Helper()
	if diff := cmp.Diff(want, d.Component.Labels); diff != "" {
		t.Errorf("labels differ (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, d.Component.Resources[0].Labels); diff != "" {
		t.Errorf("labels of the resource differ (-want +got):\n%s", diff)
	}
	var names []string
	for _, s := range d.Signatures {
		names = append(names, s.Name)
	}
	if !slices.Equal(names, []string{"dev", "prod", "old"}) {
		t.Errorf("signatures are %q", names)
	}
}

// TestMergeContexts transfers through several repositories, which all stay named.
func TestMergeContexts(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	root, leaf := shopOf("a")
	p.publish(t, leaf, root)
	third := open(t, p.to.URL+"/third", p.options)
	run(t, p.source, p.target, shop, "1.0.0", transfer.Options{})
	run(t, p.target, third, shop, "1.0.0", transfer.Options{})
	run(t, third, p.source, shop, "1.0.0", transfer.Options{})
	for i, repo := range []*ocm.Repository{third, p.source} {
		if n := len(get(t, repo, shop, "1.0.0").Descriptor().Component.RepositoryContexts); n != i+2 {
			t.Errorf("%s names %d repositories", repo.URL(), n)
		}
	}
	// What comes back is merged, and adds nothing that was named before.
	result := run(t, p.source, p.target, shop, "1.0.0", transfer.Options{})
	again := run(t, p.source, p.target, shop, "1.0.0", transfer.Options{})
	if outcomes(result)[shop+":1.0.0"] != transfer.Merged || outcomes(again)[shop+":1.0.0"] != transfer.Unchanged {
		t.Errorf("outcomes are %v and then %v", outcomes(result), outcomes(again))
	}
	if n := len(get(t, p.target, shop, "1.0.0").Descriptor().Component.RepositoryContexts); n != 3 {
		t.Errorf("the target names %d repositories", n)
	}
}

// TestMirrors copies from two mirrors, which name their repositories and images in
// different ways, to one target: it settles.
func TestMirrors(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	c := one(p.image(t, "image", "a/web:1.0", "layer"))
	c.Labels = []descriptor.Label{{Name: "stage", Value: json.RawMessage(`{"b":1,"a":2}`)}}
	p.publish(t, signed(t, c, "dev"))
	mirrors := []*ocm.Repository{open(t, p.from.URL+"/mirror-a", p.options), open(t, p.from.URL+"/mirror-b", p.options)}
	for _, mirror := range mirrors {
		run(t, p.source, mirror, shop, "1.0.0", transfer.Options{})
	}
	var settled digest.Digest
	for i := range 3 {
		for j, mirror := range mirrors {
			v := run(t, mirror, p.target, shop, "1.0.0", transfer.Options{}).Versions[0]
			if i == 0 {
				settled = v.Target
				continue
			}
			if v.Outcome != transfer.Unchanged || v.Target != settled {
				t.Errorf("round %d of mirror %d: %+v, want %s", i, j, v, settled)
			}
		}
	}
	v := get(t, p.target, shop, "1.0.0")
	if n := len(v.Descriptor().Component.RepositoryContexts); n != 3 {
		t.Errorf("the target names %d repositories", n)
	}
	if err := v.Check(t.Context(), resource(t, v, "image")); err != nil {
		t.Error(err)
	}
}
