package archive

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestSpareWritersWriteTheSame writes many archives with writers that were used before. What those have written must not
// show: the digest of an archive depends on its content alone.
func TestSpareWritersWriteTheSame(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("apiVersion: kind: metadata: name: spec: replicas: image: podinfo backend redis - true 9898 \n")
	for range 300 {
		var content bytes.Buffer
		for size := random.IntN(1 << random.IntN(19)); content.Len() < size; {
			switch random.IntN(20) {
			case 0:
				content.Write(bytes.Repeat([]byte{byte(random.Uint32())}, random.IntN(3000)))
			case 1:
				for range random.IntN(500) {
					content.WriteByte(byte(random.Uint32()))
				}
			default:
				content.WriteString(words[random.IntN(len(words))] + " ")
			}
		}
		var used, fresh bytes.Buffer
		for out, w := range map[*bytes.Buffer]*writer{&used: newWriter(&used), &fresh: makeWriter().to(&fresh)} {
			if err := w.file("file", false, int64(content.Len()), bytes.NewReader(content.Bytes())); err != nil {
				t.Fatal(err)
			}
			if err := w.close(); err != nil {
				t.Fatal(err)
			}
			if out.Len() == 0 {
				t.Fatal("nothing was written")
			}
		}
		if !bytes.Equal(used.Bytes(), fresh.Bytes()) {
			t.Fatalf("a writer that was used before writes %d bytes of content as other bytes than a new one", content.Len())
		}
	}
}
