package transfer_test

import (
	"bytes"
	"errors"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/e2e/measure"
	"github.com/ocm-operator/ocm-operator/e2e/shop"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
)

// overhead is what an archive has besides contents and manifests: three descriptors and what leads to them, its index, and the
// headers of its files.
const overhead = 48 << 10

// describing returns the size of what describes the contents of a version.
func describing(m *shop.Made) int64 {
	bytes := int64(overhead)
	for _, raw := range m.Manifests {
		bytes += int64(len(raw))
	}
	return bytes
}

// sizeOf returns the bytes of a file, or of all files of a folder.
func sizeOf(t *testing.T, path string) int64 {
	t.Helper()
	var bytes int64
	err := filepath.WalkDir(path, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			bytes += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

// TestDelta carries the next version in an archive that has nothing of what the target has: it is as small as what has changed.
func TestDelta(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"delta.tar", "delta.tgz", "folder"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			source, target := in(t, distribution, nil), in(t, ours, nil)
			first := publish(t, source, "1.0.0")
			deliver(t, source, target, "1.0.0", transfer.Options{})
			have := haveOf(t, target, "1.0.0")

			second := publish(t, source, "1.1.0")
			wholePath, whole := archive(t, "whole.tar")
			carrier := whole()
			deliver(t, source, carrier, "1.1.0", transfer.Options{})
			carrier.closed(t)
			path, open := export(t, kind, source, "1.1.0", have)
			changed := second.Changed(first)
			if got, most := sizeOf(t, path), changed+describing(second); got > most {
				t.Errorf("the delta has %d bytes, want at most %d: %d of blobs have changed", got, most, changed)
			} else {
				t.Logf("all of 1.1.0 is %d bytes, of them %d have changed; a whole archive has %d bytes, the delta %d", second.Bytes(), changed, sizeOf(t, wholePath), got)
			}

			carrier = open()
			defer carrier.closed(t)
			result := deliver(t, carrier, target, "1.1.0", transfer.Options{Have: transfer.NewHave()})
			_, request := release(t)
			proof := prove(t, target, shop.Name, "1.1.0", request)
			same(t, source, target, proof)
			if n := images(t, source, target, proof, true); n != 3 {
				t.Errorf("%d artifacts were compared, want 3", n)
			}
			if result.CopiedBytes > changed+describing(second) {
				t.Errorf("%d bytes were sent, %d have changed", result.CopiedBytes, changed)
			}
			incomplete(t, carrier, have)
		})
	}
}

// export writes an archive of a version of the shop, without what somebody has.
func export(t *testing.T, kind string, source place, version string, have *transfer.Have) (path string, open func() place) {
	t.Helper()
	path, open = archive(t, kind)
	carrier := open()
	if _, err := transfer.Run(t.Context(), source.Repository, carrier.Repository, shop.Name, version, transfer.Options{Have: have}); err != nil {
		t.Fatal(err)
	}
	carrier.closed(t)
	return path, open
}

// incomplete imports a delta where nothing is that it is a delta to.
func incomplete(t *testing.T, carrier place, have *transfer.Have) {
	t.Helper()
	empty := in(t, gcr, nil)
	_, err := transfer.Run(t.Context(), carrier.Repository, empty.Repository, shop.Name, "1.1.0", transfer.Options{})
	missing, ok := errors.AsType[*transfer.MissingError](err)
	if !ok || len(missing.Digests) == 0 || !errors.Is(err, ocm.ErrNotFound) {
		t.Fatalf("Run = %v, want what is missing", err)
	}
	for _, d := range missing.Digests {
		if !slices.Contains(have.Digests(), d) {
			t.Errorf("%s is missing, which nobody said to have", d)
		}
	}
	for _, component := range components {
		if _, err := empty.Get(t.Context(), component, "1.1.0"); !errors.Is(err, ocm.ErrNotFound) {
			t.Errorf("Get(%s) = %v, want that nothing was tagged", component, err)
		}
	}
}

// haveOf lists what a place has, as a file that is carried to the other side.
func haveOf(t *testing.T, p place, version string) *transfer.Have {
	t.Helper()
	listed, err := transfer.ListHave(t.Context(), p.Repository, shop.Name, version, transfer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := transfer.WriteHave(&file, listed); err != nil {
		t.Fatal(err)
	}
	have, err := transfer.ReadHave(&file)
	if err != nil {
		t.Fatal(err)
	}
	if have.Len() != listed.Len() || have.Len() == 0 {
		t.Errorf("%d lines were carried of %d", have.Len(), listed.Len())
	}
	return have
}

// TestDeltaToWhatHasLostABlob wants the one blob to be named that nobody has.
func TestDeltaToWhatHasLostABlob(t *testing.T) {
	t.Parallel()
	source, target := in(t, distribution, nil), in(t, gcr, nil)
	publish(t, source, "1.0.0")
	deliver(t, source, target, "1.0.0", transfer.Options{})
	have := haveOf(t, target, "1.0.0")
	publish(t, source, "1.1.0")
	_, open := archive(t, "delta.tar")
	carrier := open()
	if _, err := transfer.Run(t.Context(), source.Repository, carrier.Repository, shop.Name, "1.1.0", transfer.Options{Have: have}); err != nil {
		t.Fatal(err)
	}
	carrier.closed(t)
	cv, err := target.Get(t.Context(), shop.DataName, "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	lost, err := cv.Descriptor().Component.Resources[0].Digest.OCI()
	if err != nil {
		t.Fatal(err)
	}
	location, err := oci.ParseURL(target.URL())
	if err != nil {
		t.Fatal(err)
	}
	c := registry(t, gcr)
	if _, _, err := c.Do(t.Context(), http.StatusAccepted, http.MethodDelete,
		"/v2/"+location.Join(oci.ComponentPath(shop.DataName)).Path+"/blobs/"+lost.String(), measure.Body{}); err != nil {
		t.Fatal(err)
	}
	carrier = open()
	defer carrier.closed(t)
	_, err = transfer.Run(t.Context(), carrier.Repository, target.Repository, shop.Name, "1.1.0", transfer.Options{})
	if missing, ok := errors.AsType[*transfer.MissingError](err); !ok || !slices.Equal(missing.Digests, []digest.Digest{lost}) {
		t.Errorf("Run = %v, want that %s is missing", err, lost)
	}
}
