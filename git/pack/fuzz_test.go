package pack_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/memory"

	"github.com/ocm-operator/ocm-operator/git/pack"
)

// FuzzDecodeTree reads anything as a tree; what is one has the same entries when it is written again.
func FuzzDecodeTree(f *testing.F) {
	hash := strings.Repeat("h", 20)
	for _, seed := range []string{"", "100644 a\x00" + hash, "40000 a\x00" + hash + "100755 b\x00" + hash, "040000 a\x00" + hash, "100664 .git\x00" + hash, "100644 a/b\x00" + hash, "1"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		entries, err := pack.DecodeTree(content)
		if err != nil {
			return
		}
		again, err := pack.EncodeTree(entries)
		if err != nil {
			return // names twice, or with slashes
		}
		if len(again) > len(content) {
			t.Fatalf("%d bytes have become %d", len(content), len(again))
		}
		twice, err := pack.DecodeTree(again)
		if err != nil || len(twice) != len(entries) {
			t.Fatalf("%d entries have become %d: %v", len(entries), len(twice), err)
		}
		have := map[string]object.TreeEntry{}
		for _, e := range entries {
			have[e.Name] = e
		}
		for _, e := range twice {
			if have[e.Name] != e {
				t.Fatalf("%v has become %v", have[e.Name], e)
			}
		}
	})
}

// FuzzWriter writes pieces of anything, repeated so that some are streamed, and has go-git read them from the pack.
func FuzzWriter(f *testing.F) {
	f.Add([]byte("one, two, three"), 4, uint16(1))
	f.Add([]byte{}, 0, uint16(1))
	f.Add([]byte("0123456789"), 100_000, uint16(40_000))
	f.Fuzz(func(t *testing.T, content []byte, at int, times uint16) {
		if len(content) > 64 {
			times = 1
		}
		content = bytes.Repeat(content, int(times))
		if at < 0 || at > len(content) {
			return
		}
		w := writer(t, 4<<20)
		want := map[plumbing.Hash][]byte{}
		for _, part := range [][]byte{content[:at], content[at:], content} {
			want[blob(t, w, part)] = part
		}
		tree := folder(t, w, object.TreeEntry{Name: "f", Mode: filemode.Regular, Hash: blob(t, w, content)})
		store := memory.NewStorage()
		if err := packfile.UpdateObjectStorage(store, bytes.NewReader(all(t, w))); err != nil {
			t.Fatal(err)
		}
		for h, part := range want {
			o, err := object.GetBlob(store, h)
			if err != nil || o.Size != int64(len(part)) {
				t.Fatalf("blob %s of %d bytes: %v", h, len(part), err)
			}
			got, err := w.Content(h, 4<<20)
			if err != nil || !bytes.Equal(got, part) {
				t.Fatalf("blob %s reads back as %d bytes: %v", h, len(got), err)
			}
		}
		if _, err := object.GetTree(store, tree); err != nil {
			t.Fatal(err)
		}
	})
}
