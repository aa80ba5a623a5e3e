package transfer_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
)

// twoVersions publishes two versions that have most of their contents in common.
func twoVersions(t *testing.T, p *pair) {
	t.Helper()
	image := p.image(t, "image", "a/web:1.0", strings.Repeat("layer 1", 10_000), "layer 2")
	next := p.image(t, "image", "a/web:1.1", strings.Repeat("layer 1", 10_000), "layer 3")
	for version, image := range map[string]ocmtest.Resource{"1.0.0": image, "1.1.0": next} {
		p.publish(t, signed(t, ocmtest.Component{Name: shop, Version: version, Resources: []ocmtest.Resource{
			image,
			{Name: "config", Content: bytes.Repeat([]byte("config"), 10_000)},
			{Name: "version", Content: []byte(version)},
		}}, "dev"))
	}
}

// TestDelta exports what the other side lacks, and imports it there. Signatures are
// verified on both sides.
func TestDelta(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"delta", "delta.tgz"} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			newShelves(p.to)
			twoVersions(t, p)
			o := transfer.Options{Verify: requests(t, "dev")}
			run(t, p.source, p.target, shop, "1.0.0", o)
			all, err := transfer.ListHave(t.Context(), p.target, shop, "1.0.0", transfer.Options{})
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), form)
			exportDelta(t, p, path, all)
			delta := archive(t, path, p.options)
			defer closed(t, delta)
			o.Confirm = transfer.ConfirmDescriptors
			result := run(t, delta, p.target, shop, "1.1.0", o)
			if result.Copied != 2 || result.Present != 3 {
				t.Errorf("result is %+v", result)
			}
			for _, version := range []string{"1.0.0", "1.1.0"} {
				if diff := cmp.Diff(texts(t, p.source, shop, version), texts(t, p.target, shop, version)); diff != "" {
					t.Errorf("%s differs (-source +target):\n%s", version, diff)
				}
			}
			importElsewhere(t, p, delta, all)
		})
	}
}

// exportDelta exports the second version to who has the first one.
func exportDelta(t *testing.T, p *pair, path string, have *transfer.Have) {
	t.Helper()
	delta := archive(t, path, p.options)
	defer closed(t, delta)
	exported := run(t, p.source, delta, shop, "1.1.0", transfer.Options{Verify: requests(t, "dev"), Have: listed(t, have)})
	// The big layer, the config of the image and that of the component are there already.
	if exported.Omitted != 3 || exported.CopiedBytes != int64(len("layer 3")+len("1.1.0")) {
		t.Errorf("exported is %+v", exported)
	}
}

// importElsewhere imports an export where nothing is of what it lacks: all of that is
// named, and nothing is tagged.
func importElsewhere(t *testing.T, p *pair, delta *ocm.Repository, lacks *transfer.Have) {
	t.Helper()
	empty := ocmtest.Start(t)
	_, err := transfer.Run(t.Context(), delta, open(t, empty.URL, p.options), shop, "1.1.0", transfer.Options{})
	missing, ok := errors.AsType[*transfer.MissingError](err)
	if !ok || !errors.Is(err, ocm.ErrNotFound) || len(missing.Digests) != 3 || !slices.IsSorted(missing.Digests) {
		t.Fatalf("Run = %v", err)
	}
	for _, d := range missing.Digests {
		if !slices.Contains(lacks.Digests(), d) || !strings.Contains(err.Error(), d.String()) {
			t.Errorf("%s is missing, says %v", d, err)
		}
	}
	if n := empty.Requests()["PUT manifests"]; n != 0 {
		t.Errorf("%d manifests were written", n)
	}
}

// listed writes a list, and reads it.
func listed(t *testing.T, all *transfer.Have) *transfer.Have {
	t.Helper()
	var text bytes.Buffer
	if err := transfer.WriteHave(&text, all); err != nil {
		t.Fatal(err)
	}
	have, err := transfer.ReadHave(&text)
	if err != nil {
		t.Fatal(err)
	}
	return have
}

// TestDeltaMounts imports a blob that another repository of the target has.
func TestDeltaMounts(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	newShelves(p.to)
	image := p.image(t, "image", "a/web:1.0", "layer")
	p.publish(t, one(ocmtest.Resource{Name: "config", Content: []byte("layer")}))
	run(t, p.source, p.target, shop, "1.0.0", transfer.Options{})
	next := one(image)
	next.Version = "1.1.0"
	p.publish(t, next)
	delta := archive(t, filepath.Join(t.TempDir(), "delta"), p.options)
	defer closed(t, delta)
	run(t, p.source, delta, shop, "1.1.0", transfer.Options{Have: transfer.NewHave(digestOf("layer"))})
	result := run(t, delta, p.target, shop, "1.1.0", transfer.Options{})
	if result.Mounted != 1 || result.Copied != 1 {
		t.Errorf("result is %+v", result)
	}
}

// TestDeltaRenamed imports an image that has a layer from one of another name. The list
// is from a registry, which keeps them in other repositories, or from the archive that
// was carried before.
func TestDeltaRenamed(t *testing.T) {
	t.Parallel()
	for _, from := range []string{"registry", "archive"} {
		t.Run(from, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			newShelves(p.to)
			p.publish(t, one(p.image(t, "image", "a/web:1.0", "layer", "other")))
			run(t, p.source, p.target, shop, "1.0.0", transfer.Options{})
			listed := p.target
			if from == "archive" {
				listed = archive(t, filepath.Join(t.TempDir(), "carried"), p.options)
				defer closed(t, listed)
				run(t, p.source, listed, shop, "1.0.0", transfer.Options{})
			}
			have, err := transfer.ListHave(t.Context(), listed, shop, "1.0.0", transfer.Options{})
			if err != nil || !have.Has(digestOf("layer"), "a/web") || have.Has(digestOf("layer"), "component-descriptors/"+shop) {
				t.Fatalf("ListHave = %+v, %v", have, err)
			}
			for version, path := range map[string]string{"1.1.0": "a/renamed:1.1", "1.2.0": "a/web:1.2"} {
				next := one(p.image(t, "image", path, "layer"))
				next.Version = version
				p.publish(t, next)
				delta := archive(t, filepath.Join(t.TempDir(), "delta"), p.options)
				exported := run(t, p.source, delta, shop, version, transfer.Options{Have: have})
				if omits := exported.Omitted > 0; omits != (path == "a/web:1.2") {
					t.Errorf("%s: %d blobs were left out", path, exported.Omitted)
				}
				run(t, delta, p.target, shop, version, transfer.Options{})
				closed(t, delta)
			}
		})
	}
}

// TestTwoSources takes a blob from another place of the source if the first one that
// should have it does not.
func TestTwoSources(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.publish(t, ocmtest.Component{Name: shop, Version: "1.0.0", Resources: []ocmtest.Resource{
		{Name: "config", Content: []byte("layer")},
		p.image(t, "image", "a/web:1.0", "layer"),
	}})
	delta := archive(t, filepath.Join(t.TempDir(), "delta"), p.options)
	defer closed(t, delta)
	run(t, p.source, delta, shop, "1.0.0", transfer.Options{Resources: transfer.NoResources, Have: transfer.NewHave(digestOf("layer"))})
	result := run(t, delta, p.target, shop, "1.0.0", transfer.Options{})
	if result.Blobs != 3 || len(result.Versions) != 1 {
		t.Errorf("result is %+v", result)
	}
}

// TestListHaveOfNothing tells a list without blobs from that of a version that is not
// there, which would make an export of everything.
func TestListHaveOfNothing(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	if have, err := transfer.ListHave(t.Context(), p.target, shop, "9.9.9", transfer.Options{}); !errors.Is(err, ocm.ErrNotFound) || have != nil {
		t.Errorf("ListHave = %+v, %v", have, err)
	}
	p.publish(t, one(ocmtest.Resource{Name: "config", Content: []byte("config")}))
	gone(p.from, "/blobs/"+get(t, p.source, shop, "1.0.0").Source().Component.Manifest.Config.Digest.String())
	if _, err := transfer.ListHave(t.Context(), p.source, shop, "1.0.0", transfer.Options{}); !errors.Is(err, ocm.ErrNotFound) {
		t.Errorf("ListHave = %v, though it is damaged", err)
	}
}

// TestDeltaKeepsArchives exports archives that have to be read to be taken apart at
// the target, whoever has them.
func TestDeltaKeepsArchives(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.publish(t, packed(t, "x/web:1", false))
	all, err := transfer.ListHave(t.Context(), p.source, shop, "1.0.0", transfer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	delta := archive(t, filepath.Join(t.TempDir(), "delta"), p.options)
	defer closed(t, delta)
	result := run(t, p.source, delta, shop, "1.0.0", transfer.Options{Have: all})
	if result.Omitted != 0 || result.Copied != 1 {
		t.Errorf("result is %+v", result)
	}
	run(t, delta, p.target, shop, "1.0.0", transfer.Options{})
}

// TestHave reads what people write into lists.
func TestHave(t *testing.T) {
	t.Parallel()
	a, b := digestOf("a"), digestOf("b")
	c := digestOf("c")
	have, err := transfer.ReadHave(strings.NewReader(fmt.Sprintf("# blobs\n\n  %s \n%s # twice\n%s\n%s\ta/web\n", a, b, a, c)))
	if err != nil || have.Len() != 3 || !have.Has(a) || !have.Has(b, "a/web") || have.Has(digestOf("d"), "a/web") {
		t.Errorf("ReadHave = %+v, %v", have, err)
	}
	if have.Has(c) || have.Has(c, "a/other") || !have.Has(c, "a/other", "a/web") {
		t.Errorf("%s is elsewhere than in a/web", c)
	}
	var text bytes.Buffer
	want := []string{a.String(), b.String(), c.String() + " a/web"}
	slices.Sort(want)
	if err := transfer.WriteHave(&text, have); err != nil || text.String() != strings.Join(want, "\n")+"\n" {
		t.Errorf("WriteHave = %q, %v", text.String(), err)
	}
	for name, bad := range map[string]string{"no digest": "sha256:1\n", "text": "hello", "no repository": a.String() + " A", "more": a.String() + " a b", "long": strings.Repeat("a", 600)} {
		if _, err := transfer.ReadHave(strings.NewReader(bad)); err == nil || !strings.Contains(err.Error(), "list of digests") {
			t.Errorf("%s: ReadHave = %v", name, err)
		}
	}
	if _, err := transfer.ReadHave(strings.NewReader(strings.Repeat("\n", 1_000_001))); !errors.Is(err, ocm.ErrTooLarge) {
		t.Errorf("ReadHave of too many lines = %v, want ErrTooLarge", err)
	}
	var none *transfer.Have
	if none.Has(a) || none.Len() != 0 || none.Digests() != nil || transfer.WriteHave(&text, none) != nil {
		t.Error("no list is not empty")
	}
	if err := transfer.WriteHave(full{}, have); !errors.Is(err, os.ErrClosed) {
		t.Errorf("WriteHave = %v", err)
	}
}

// full takes nothing.
type full struct{}

// Write implements io.Writer.
func (full) Write([]byte) (int, error) { return 0, os.ErrClosed }

// FuzzReadHave holds for any list that can be read that it is the same when it was
// written.
func FuzzReadHave(f *testing.F) {
	f.Add([]byte(digestOf("a").String() + "\n" + digestOf("b").String() + " # twice\n"))
	f.Add([]byte(digestOf("a").String() + " a/web\n" + digestOf("a").String() + "  component-descriptors/acme.org/shop\n"))
	f.Add([]byte("# nothing\n\n \t\n"))
	f.Add([]byte("sha512:" + strings.Repeat("0", 128)))
	f.Add([]byte("sha256:x\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		have, err := transfer.ReadHave(bytes.NewReader(data))
		if err != nil {
			return
		}
		var once, twice bytes.Buffer
		if err := transfer.WriteHave(&once, have); err != nil {
			t.Fatal(err)
		}
		again, err := transfer.ReadHave(bytes.NewReader(once.Bytes()))
		if err != nil || again.Len() != have.Len() {
			t.Fatalf("%q is read as %d digests, %v, and was %d", once.String(), again.Len(), err, have.Len())
		}
		if err := transfer.WriteHave(&twice, again); err != nil || once.String() != twice.String() {
			t.Errorf("written is %q and then %q, %v", once.String(), twice.String(), err)
		}
	})
}
