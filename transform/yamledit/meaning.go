package yamledit

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"

	"go.yaml.in/yaml/v3"
)

// digest stands for what a document says, so that what it said before need not be kept to compare.
type digest [sha256.Size]byte

// meaning returns the digest of what a document says, in the order in which it says it. Comments and styles say nothing.
func meaning(root *yaml.Node) digest {
	h := sha256.New()
	w := meaningWriter{bufio.NewWriter(h)}
	if root != nil {
		w.node(root)
	}
	_ = w.Flush() // a hash takes everything
	return digest(h.Sum(nil))
}

type meaningWriter struct{ *bufio.Writer }

func (w meaningWriter) node(n *yaml.Node) {
	w.number(int(n.Kind))
	if n.Kind == yaml.AliasNode {
		w.text(n.Value) // its tag is that of what it stands for
		return
	}
	w.text(n.ShortTag())
	w.text(n.Value)
	w.text(n.Anchor)
	w.number(len(n.Content))
	for _, child := range n.Content {
		w.node(child)
	}
}

func (w meaningWriter) number(n int) {
	_, _ = w.Write(binary.AppendUvarint(w.AvailableBuffer(), uint64(n))) //nolint:gosec // a length
}

func (w meaningWriter) text(s string) {
	w.number(len(s))
	_, _ = w.WriteString(s)
}

// sameScalar tells whether a scalar says what another one says, whatever their anchors.
func sameScalar(a, b *yaml.Node) bool {
	return a.Kind == b.Kind && a.ShortTag() == b.ShortTag() && a.Value == b.Value
}
