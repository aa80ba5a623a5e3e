// Package archivetest makes archives that nobody should unpack. The standard library does not write most of them, so
// they are made of headers as they are on the wire.
package archivetest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
)

const blockSize = 512

// Header is one tar header. Edit, which may be nil, changes it before it gets its checksum.
func Header(typeflag byte, name string, size int64, edit func(header []byte)) []byte {
	b := make([]byte, blockSize)
	copy(b[:100], name)
	copy(b[100:], "0000644\x000000000\x000000000\x00")
	copy(b[124:], fmt.Sprintf("%011o\x0000000000000\x00", size))
	b[156] = typeflag
	copy(b[257:], "ustar\x0000")
	if edit != nil {
		edit(b)
	}
	copy(b[148:156], "        ")
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

// File is one regular file.
func File(name, content string) []byte {
	return append(Header(tar.TypeReg, name, int64(len(content)), nil), padded(content)...)
}

// Link is a symbolic link.
func Link(name, target string) []byte { return linked(tar.TypeSymlink, name, target) }

// HardLink is a second name of a file.
func HardLink(name, target string) []byte { return linked(tar.TypeLink, name, target) }

func linked(typeflag byte, name, target string) []byte {
	return Header(typeflag, name, 0, func(b []byte) { copy(b[157:257], target) })
}

// PAX is an entry of records that change the header behind it, or all headers behind it if typeflag is that of a
// global one. A record is like "path=x".
func PAX(typeflag byte, records ...string) []byte {
	var body strings.Builder
	for _, r := range records {
		n := len(r) + 3
		for len(fmt.Sprintf("%d %s\n", n, r)) != n {
			n++
		}
		fmt.Fprintf(&body, "%d %s\n", n, r)
	}
	return append(Header(typeflag, "PaxHeaders/x", int64(body.Len()), nil), padded(body.String())...)
}

// GNULong is the entry with which GNU tar gives the header behind it a long name, or a long target.
func GNULong(typeflag byte, name string) []byte {
	gnu := func(b []byte) { copy(b[257:], "ustar  \x00") }
	return append(Header(typeflag, "././@LongLink", int64(len(name))+1, gnu), padded(name+"\x00")...)
}

// OldSparse is a file in the form that GNU tar writes by default: a hole and nothing else.
func OldSparse(name string, hole int64) []byte {
	return Header(tar.TypeGNUSparse, name, 0, func(b []byte) {
		copy(b[257:], "ustar  \x00")
		copy(b[386:], fmt.Sprintf("%011o\x00%011o\x00", hole, 0))
		copy(b[483:], fmt.Sprintf("%011o\x00", hole))
	})
}

// PAXSparse is the same with the records that GNU tar writes for --format=pax, of version 0.1 or 1.0.
func PAXSparse(name string, hole int64, version string) []byte {
	records := []string{"GNU.sparse.name=" + name, fmt.Sprintf("GNU.sparse.size=%d", hole)}
	var holes string
	if version == "1.0" {
		records = append(records, "GNU.sparse.major=1", "GNU.sparse.minor=0", fmt.Sprintf("GNU.sparse.realsize=%d", hole))
		holes = fmt.Sprintf("1\n%d\n0\n", hole) + strings.Repeat("\x00", blockSize)
		holes = holes[:blockSize]
	} else {
		records = append(records, "GNU.sparse.numblocks=1", fmt.Sprintf("GNU.sparse.map=%d,0", hole))
	}
	return append(PAX(tar.TypeXHeader, records...), File("GNUSparseFile/"+name, holes)...)
}

// Archive is the archive of some entries, with its end.
func Archive(entries ...[]byte) []byte {
	return append(bytes.Join(entries, nil), make([]byte, 2*blockSize)...)
}

// Gzip compresses.
func Gzip(content []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(content) // a buffer takes everything
	_ = w.Close()
	return out.Bytes()
}

// Endless is an archive of a number of entries that is not held in memory.
func Endless(entries int, entry func(i int) []byte) io.Reader {
	return &endless{left: entries, entry: entry}
}

type endless struct {
	left  int
	entry func(i int) []byte
	rest  []byte
}

// Read implements io.Reader.
func (e *endless) Read(p []byte) (int, error) {
	if len(e.rest) == 0 {
		if e.left == 0 {
			return 0, io.EOF
		}
		e.left--
		e.rest = e.entry(e.left)
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// padded fills the last block.
func padded(content string) []byte {
	return append([]byte(content), make([]byte, -len(content)&(blockSize-1))...)
}

// Manifests is an archive of files as deployments have them, which compress as those do, until they have a number of bytes.
// Every file has the value that is set with the path data.key.
func Manifests(size int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	var out bytes.Buffer
	for i := 0; out.Len() < size; i++ {
		var file strings.Builder
		fmt.Fprintf(&file, "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: app-%d\n  uid: %x\ndata:\n  key: value # %d\n", i, random.Uint64(), i)
		for line := range 20 + random.IntN(300) {
			fmt.Fprintf(&file, "  setting-%d: \"%d of %x\"\n", line, random.IntN(1000), random.Uint32())
		}
		out.Write(File(fmt.Sprintf("apps/%d/configmap.yaml", i), file.String()))
	}
	return append(out.Bytes(), make([]byte, 2*blockSize)...)
}
