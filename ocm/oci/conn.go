package oci

import (
	"io"
	"net"
	"sync"
)

// pieceBytes is how much of a content is read and sent at once. With the 32 KiB of
// the standard library most of the time of a copy goes into system calls.
const pieceBytes = 256 << 10

var pieces = sync.Pool{New: func() any { return new([pieceBytes]byte) }}

// conn is a connection that content is sent over in large pieces. Over TLS it is
// not used so: there a record has 16 KiB.
type conn struct{ *net.TCPConn }

// ReadFrom implements io.ReaderFrom, which net/http sends contents with.
func (c *conn) ReadFrom(r io.Reader) (sent int64, err error) {
	piece, _ := pieces.Get().(*[pieceBytes]byte)
	defer pieces.Put(piece)
	for {
		n, err := r.Read(piece[:])
		if n > 0 {
			written, failed := c.Write(piece[:n])
			sent += int64(written)
			if failed != nil {
				return sent, failed
			}
		}
		switch {
		case err == io.EOF: // one that wraps it is no end
			return sent, nil
		case err != nil:
			return sent, err
		}
	}
}
