package ctf

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/opencontainers/go-digest"
)

// FuzzIndex parses indexes. One that is accepted must say the same after it was written.
func FuzzIndex(f *testing.F) {
	one := digest.FromString("one")
	f.Add([]byte(`{"schemaVersion":1,"artifacts":[]}`))
	f.Add(fmt.Appendf(nil, `{"schemaVersion":1,"artifacts":[{"repository":"a/b","tag":"1","digest":%q,"mediaType":"x"},{"repository":"a/b","digest":%q}]}`, one, one))
	f.Add(fmt.Appendf(nil, `{"schemaVersion":1,"artifacts":[{"repository":"a","tag":"1","digest":%q},{"repository":"a","tag":"1","digest":"sha256:x"}]}`, one))
	f.Add([]byte(`{"schemaVersion":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		i, err := parseIndex(data)
		if err != nil {
			return
		}
		raw, err := i.encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseIndex(raw)
		if err != nil {
			t.Fatalf("%s was written as %s: %v", data, raw, err)
		}
		for _, a := range i.Artifacts {
			if a.Tag == "" {
				continue
			}
			if found, ok := again.tagged(a.Repository, a.Tag); !ok || found.Digest != a.Digest {
				t.Errorf("%s:%s leads to %v, want %s", a.Repository, a.Tag, found, a.Digest)
			}
		}
	})
}

// BenchmarkIndex looks for tags in an index of 10,000 artifacts, and adds one.
func BenchmarkIndex(b *testing.B) {
	i := &index{SchemaVersion: schemaVersion}
	for n := range 10_000 {
		i.Artifacts = append(i.Artifacts, artifact{Repository: fmt.Sprintf("a/%d", n%100), Tag: fmt.Sprint("v", n), Digest: digest.FromString(strconv.Itoa(n))})
	}
	raw, err := i.encode()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("parse", func(b *testing.B) {
		b.SetBytes(int64(len(raw)))
		for b.Loop() {
			if _, err := parseIndex(raw); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("find", func(b *testing.B) {
		for b.Loop() {
			if _, ok := i.tagged("a/7", "v9907"); !ok {
				b.Fatal("the tag is not found")
			}
		}
	})
	b.Run("add", func(b *testing.B) {
		for b.Loop() {
			i.with(artifact{Repository: "a/7", Tag: "new", Digest: digest.FromString("new")})
		}
	})
}
