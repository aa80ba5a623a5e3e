package store

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func records() map[string]record {
	one, two := digest.FromString("one"), digest.SHA512.FromString("two")
	return map[string]record{
		"image":    {MediaType: ocispec.MediaTypeImageManifest, Size: 700, Blobs: []sized{{one, 2}, {two, 1 << 40}}},
		"referrer": {MediaType: mediaTypeDockerManifest, Size: 1, Blobs: []sized{{one, 0}}, Subject: two},
		"index":    {MediaType: ocispec.MediaTypeImageIndex, Size: 1 << 20, Children: []digest.Digest{two, one}},
		"empty":    {MediaType: mediaTypeDockerList},
	}
}

func TestRecords(t *testing.T) {
	t.Parallel()
	for name, want := range records() {
		raw, err := want.encode()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := decodeRecord(raw)
		if diff := cmp.Diff(&want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", name, err, diff)
		}
		for n := range raw {
			// A record whose subject is cut off is one without a subject; everything else is noticed.
			if cut, err := decodeRecord(raw[:n]); err == nil && (want.Subject == "" || cut.Subject != "") {
				t.Errorf("%s: %d of %d bytes are taken for %+v", name, n, len(raw), cut)
			}
		}
		if _, err := decodeRecord(append(bytes.Clone(raw), 0)); err == nil {
			t.Errorf("%s: something behind it is ignored", name)
		}
	}
	if _, err := (&record{MediaType: "text/plain"}).encode(); err == nil {
		t.Error("a media type without a number is written")
	}
}

// FuzzRecord feeds records as a damaged disk might give them back. What is read is written the same.
func FuzzRecord(f *testing.F) {
	for _, rec := range records() {
		raw, err := rec.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte{1, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		rec, err := decodeRecord(raw)
		if err != nil {
			return
		}
		again, err := rec.encode()
		if err != nil {
			t.Fatal(err)
		}
		if second, err := decodeRecord(again); err != nil || cmp.Diff(rec, second) != "" {
			t.Errorf("%v: %s", err, cmp.Diff(rec, second))
		}
	})
}
