package transfer_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
)

// refers returns a component version that refers to others by name.
func refers(name string, to ...string) ocmtest.Component {
	c := ocmtest.Component{Name: "acme.org/" + name, Version: "1.0.0"}
	for _, other := range to {
		c.References = append(c.References, ocmtest.Reference{Name: other, Component: "acme.org/" + other, Version: "1.0.0"})
	}
	return c
}

// TestOrder writes references before those that refer to them, each once.
func TestOrder(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.publish(t, refers("a", "b", "c"), refers("b", "d"), refers("c", "d", "b"), refers("d"))
	result := run(t, p.source, p.target, "acme.org/a", "1.0.0", transfer.Options{})
	var order []string
	for _, v := range result.Versions {
		order = append(order, strings.TrimPrefix(v.Component, "acme.org/"))
	}
	if got := strings.Join(order, ""); got != "dbca" {
		t.Errorf("order is %s", got)
	}
}

// TestBounds refuses trees that never end, or are too large, before anything is
// written.
func TestBounds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		all     []ocmtest.Component
		options transfer.Options
		says    string
	}{
		"loop":        {[]ocmtest.Component{refers("a", "b"), refers("b", "c"), refers("c", "b")}, transfer.Options{}, "acme.org/c:1.0.0 refers to acme.org/b:1.0.0, which leads back to it"},
		"itself":      {[]ocmtest.Component{refers("a", "a")}, transfer.Options{}, "which leads back to it"},
		"deep":        {[]ocmtest.Component{refers("a", "b"), refers("b", "c"), refers("c", "d"), refers("d")}, transfer.Options{MaxDepth: 2}, "more than 2 levels, the deepest to acme.org/d:1.0.0"},
		"many":        {[]ocmtest.Component{refers("a", "b", "c", "d"), refers("b"), refers("c"), refers("d")}, transfer.Options{MaxVersions: 3}, "more than 3 component versions"},
		"one missing": {[]ocmtest.Component{refers("a", "b", "c"), refers("c")}, transfer.Options{}, "component acme.org/b not found"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			p.publish(t, tt.all...)
			_, err := transfer.Run(t.Context(), p.source, p.target, "acme.org/a", "1.0.0", tt.options)
			if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "transfer acme.org/a:1.0.0 from "+p.sourceURL+" to "+p.targetURL) {
				t.Errorf("Run = %v, want one that says %q", err, tt.says)
			}
			if n := written(p.to); n != 0 {
				t.Errorf("there were %d requests that write", n)
			}
			_, err = transfer.Check(t.Context(), p.source, "acme.org/a", "1.0.0", get(t, p.source, "acme.org/a", "1.0.0").ManifestDigest(), tt.options)
			bounded := tt.options.MaxDepth+tt.options.MaxVersions > 0
			if bounded != (err != nil) {
				t.Errorf("Check = %v", err)
			}
		})
	}
}

// TestManyVersions transfers a wide tree, several component versions at a time.
func TestManyVersions(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	var names []string
	for i := range 20 {
		name := fmt.Sprintf("part%d", i)
		names = append(names, name)
		p.publish(t, refers(name))
	}
	p.publish(t, refers("a", names...))
	result := run(t, p.source, p.target, "acme.org/a", "1.0.0", transfer.Options{Concurrency: 8})
	if len(result.Versions) != 21 || result.Blobs != 0 {
		t.Errorf("result is %+v", result)
	}
}
