package transfer

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// TestMemoryIsBounded forgets what was used longest ago when there is too much, however
// few component versions that are.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	m := NewMemory(0)
	m.maxParts = 3 * (10 + maxPromises)
	key := func(i int) memoryKey { return memoryKey{version: strconv.Itoa(i)} }
	for i := range 5 {
		m.put(key(i), &inventory{parts: make([]part, 10)})
		m.get(key(0))
	}
	for i, want := range []bool{true, false, false, true, true} {
		if got := m.get(key(i)) != nil; got != want {
			t.Errorf("%d is remembered: %t", i, got)
		}
	}
	if m.parts != m.maxParts || m.order.Len() != 3 || len(m.all) != 3 {
		t.Errorf("%d parts of %d versions are remembered", m.parts, m.order.Len())
	}
	m.put(key(0), &inventory{references: make([]wanted, 1)})
	m.put(key(9), &inventory{parts: make([]part, m.maxParts)})
	if m.parts != 2*(10+maxPromises)+1+maxPromises || m.get(key(9)) != nil {
		t.Errorf("%d parts are remembered", m.parts)
	}
	var none *Memory
	if none.put(key(0), &inventory{}); none.get(key(0)) != nil {
		t.Error("nothing remembers something")
	}
}

// TestPartsOnce asks for what several component versions share only once.
func TestPartsOnce(t *testing.T) {
	t.Parallel()
	c := newChecker(&ocm.Repository{}, Options{Artifacts: LocalArtifacts})
	shared := part{path: "a/web", digest: digest.FromString("layer"), size: 5}
	other := shared
	other.path = "a/other"
	for range 3 {
		if err := c.add([]part{shared, other}); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.parts) != 2 {
		t.Errorf("parts are %v", c.parts)
	}
	many := make([]part, maxBlobs)
	for i := range many {
		many[i].size = int64(i)
	}
	if err := c.add(many); err == nil || !strings.Contains(err.Error(), "parts") {
		t.Errorf("add = %v", err)
	}
}

// TestTreesAreBounded refuses what is too much for one run, and reads no artifact
// twice.
func TestTreesAreBounded(t *testing.T) {
	t.Parallel()
	for name, count := range map[string]func(*trees) error{
		"bytes":     func(all *trees) error { return all.count(maxTreeBytes/4, 1, 1) },
		"manifests": func(all *trees) error { return all.count(1, maxManifests/4, 1) },
		"blobs":     func(all *trees) error { return all.count(1, 1, maxBlobs/4) },
	} {
		all := &trees{}
		for i := range 5 {
			if err := count(all); (i == 4) != errors.Is(err, ocm.ErrTooLarge) {
				t.Errorf("%s: count = %v", name, err)
			}
		}
	}
	root, err := oci.NewManifest([]byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`), "")
	if err != nil {
		t.Fatal(err)
	}
	all := &trees{}
	first, err := all.of(t.Context(), nil, root)
	if err != nil {
		t.Fatal(err)
	}
	second, err := all.of(t.Context(), nil, root)
	if err != nil || first != second || all.manifests != 1 || all.bytes != int64(len(root.Bytes)) {
		t.Errorf("trees are %+v, %v", all, err)
	}
}
