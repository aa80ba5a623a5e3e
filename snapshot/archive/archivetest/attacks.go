package archivetest

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ocm-operator/ocm-operator/snapshot/archive"
)

// Attack is one archive that has to be refused.
type Attack struct {
	// Name says what it is.
	Name string
	// Source opens the archive.
	Source func() io.Reader
	// Limits are those that it is to be read under; those that are not given are the defaults.
	Limits archive.Limits
	// Err is matched by the error.
	Err error
	// Path is the entry that the error names; empty if it is about the whole archive.
	Path string
	// Max is the bound that the error names; zero if no limit was passed.
	Max int64
}

// million is how many entries an archive has that is to be refused for them.
const million = 1_000_000

func whole(entries ...[]byte) func() io.Reader {
	return func() io.Reader { return bytes.NewReader(Archive(entries...)) }
}

func raw(content []byte) func() io.Reader {
	return func() io.Reader { return bytes.NewReader(content) }
}

func entry(name string, err error, path string, entries ...[]byte) Attack {
	return Attack{Name: name, Source: whole(entries...), Err: err, Path: path}
}

// Attacks returns all of them.
func Attacks() []Attack {
	return slices.Concat(paths(), unicodeTricks(), links(), kinds(), duplicates(), sizes(), longNames(), counts(), bombs(), damaged())
}

func paths() []Attack {
	unsafe := func(name, path string) Attack {
		return entry(name, archive.ErrUnsafePath, path, PAX(tar.TypeXHeader, "path="+path), File("x", "pwned"))
	}
	return []Attack{
		unsafe("climbing", "../etc/cron.d/x"), unsafe("climbing within", "a/../../etc/x"), unsafe("climbing and back", "a/../b"),
		unsafe("climbing at the end", "a/.."), unsafe("climbing alone", ".."), unsafe("absolute", "/etc/passwd"), unsafe("absolute twice", "//etc/passwd"),
		unsafe("Windows separators", `..\..\windows\x`), unsafe("Windows drive", `C:\windows\x`), unsafe("a file as the root", "./."),
		unsafe("line break", "a\nlevel=error msg=forged"), unsafe("terminal escape", "a\x1b[2Jb"), unsafe("C1 control", "a\u009b2Jb"), unsafe("no UTF-8", "a\xff"),
		entry("climbing by GNU name", archive.ErrUnsafePath, "../x", GNULong(tar.TypeGNULongName, "../x"), File("x", "")),
		entry("climbing by prefix", archive.ErrUnsafePath, "../x", Header(tar.TypeReg, "x", 0, func(b []byte) { copy(b[345:], "..") })),
		entry("climbing directory", archive.ErrUnsafePath, "../d/", Header(tar.TypeDir, "../d/", 0, nil)),
		entry("no name", archive.ErrUnsafePath, "", File("", "x")),
		{Name: "NUL in a PAX name", Source: whole(PAX(tar.TypeXHeader, "path=a\x00/../../x"), File("x", "")), Err: tar.ErrHeader},
	}
}

func unicodeTricks() []Attack {
	twin := func(name, one, two string) Attack {
		return entry(name, archive.ErrTwin, two, PAX(tar.TypeXHeader, "path="+one), File("1", "1"), PAX(tar.TypeXHeader, "path="+two), File("2", "2"))
	}
	unsafe := func(name, path string) Attack {
		return entry(name, archive.ErrUnsafePath, path, PAX(tar.TypeXHeader, "path="+path), File("x", "x"))
	}
	return []Attack{
		twin("composed and decomposed", "caf\u00e9.yaml", "cafe\u0301.yaml"), twin("decomposed and composed", "A\u030a/x", "\u00c5/y"), twin("angstrom sign", "\u212b", "\u00c5"),
		twin("Kelvin sign", "K.yaml", "\u212a.yaml"),
		twin("variation selector", "a", "a\ufe0f"), twin("filler without a shape", "ab", "a\u3164b"),
		unsafe("right to left override", "pay\u202elmay.exe"), unsafe("right to left isolate", "a\u2067b\u2069"), unsafe("zero width space", "values\u200b.yaml"),
		unsafe("zero width joiner", "a\u200db"), unsafe("byte order mark", "\ufeffvalues.yaml"), unsafe("soft hyphen", "val\u00adues.yaml"), unsafe("tag characters", "a\U000e0061"),
		unsafe("line separator", "a\u2028b"), unsafe("wide dots", "\uff0e\uff0e/x"), unsafe("one dot leaders", "a/\u2024\u2024/x"), unsafe("two dot leader", "\u2025/x"),
		unsafe("wide solidus", "\uff0fetc/x"), unsafe("wide dots and solidus", "a/\uff0e\uff0e\uff0fx"), unsafe("wide backslash", "..\uff3cx"),
	}
}

func links() []Attack {
	return []Attack{
		entry("link to an absolute path", archive.ErrUnsafeLink, "l", Link("l", "/etc/passwd")),
		entry("link out of the archive", archive.ErrUnsafeLink, "d/l", Link("d/l", "../../etc")),
		entry("link through a name", archive.ErrUnsafeLink, "l", Link("l", "d/x/../../../etc")),
		entry("link through another link", archive.ErrUnsafeLink, "b", Link("a/deep", "."), Link("b", "a/deep/../..")),
		entry("link to nothing", archive.ErrUnsafeLink, "l", Link("l", "")),
		entry("link with an invisible target", archive.ErrUnsafeLink, "l", PAX(tar.TypeXHeader, "linkpath=a\u200b"), Link("l", "a")),
		entry("link by a PAX record", archive.ErrUnsafeLink, "l", PAX(tar.TypeXHeader, "linkpath=../../etc"), Link("l", "a")),
		entry("link by a GNU record", archive.ErrUnsafeLink, "l", GNULong(tar.TypeGNULongLink, "/etc"), Link("l", "a")),
		entry("file through a link", archive.ErrDuplicate, "l/x", Link("l", "d"), File("l/x", "")),
		entry("link through a link", archive.ErrDuplicate, "l/m", Link("l", "."), Link("l/m", "x")),
		entry("link in place of a directory", archive.ErrDuplicate, "d", File("d/x", ""), Link("d", "e")),
		entry("file in place of a link", archive.ErrDuplicate, "l", Link("l", "x"), File("l", "")),
		entry("hard link", archive.ErrHardLink, "g", File("f", ""), HardLink("g", "f")),
		entry("hard link out of the archive", archive.ErrHardLink, "g", HardLink("g", "../../etc/shadow")),
		entry("hard link to itself", archive.ErrHardLink, "g", HardLink("g", "g")),
		entry("chain of hard links", archive.ErrHardLink, "a", HardLink("a", "b"), HardLink("b", "c"), HardLink("c", "/etc/shadow")),
		entry("hard link to a link", archive.ErrHardLink, "h", Link("l", "x"), HardLink("h", "l")),
	}
}

func kinds() []Attack {
	var all []Attack
	for name, typeflag := range map[string]byte{
		"character device": tar.TypeChar, "block device": tar.TypeBlock, "pipe": tar.TypeFifo, "contiguous file": tar.TypeCont,
		"volume label": 'V', "second volume": 'M', "directory of a dump": 'D', "unknown kind": 'Z', "Solaris ACL": 'A',
	} {
		all = append(all, entry(name, archive.ErrSpecialFile, "dev/x", Header(typeflag, "dev/x", 0, nil)))
	}
	return all
}

func duplicates() []Attack {
	return []Attack{
		entry("file twice", archive.ErrDuplicate, "f", File("f", "reviewed"), File("./f", "other")),
		entry("file twice by its records", archive.ErrDuplicate, "f", File("f", "reviewed"), PAX(tar.TypeXHeader, "path=f"), File("g", "other")),
		entry("file and directory", archive.ErrDuplicate, "f", File("f", ""), Header(tar.TypeDir, "f/", 0, nil)),
		entry("directory and file", archive.ErrDuplicate, "f", Header(tar.TypeDir, "f/", 0, nil), File("f", "")),
		entry("file below a file", archive.ErrDuplicate, "f/x", File("f", ""), File("f/x", "")),
	}
}

func sizes() []Attack {
	const limit = 1 << 20
	small := archive.Limits{TotalBytes: limit, FileBytes: limit / 2}
	half := strings.Repeat("x", limit/2)
	notes := PAX(tar.TypeXHeader, "comment="+strings.Repeat("x", limit-1024))
	size := func(field string) []byte {
		return Header(tar.TypeReg, "f", 0, func(b []byte) { copy(b[124:136], field) })
	}
	binary := func(sign byte) []byte { // in base 256, as GNU tar writes large numbers
		return Header(tar.TypeReg, "f", 0, func(b []byte) { copy(b[124:136], string(sign)+strings.Repeat("\xff", 11)) })
	}
	return []Attack{
		{Name: "large file", Source: whole(size("77777777777\x00")), Limits: small, Err: archive.ErrFileTooLarge, Path: "f", Max: limit / 2},
		{Name: "large file by default", Source: whole(size("77777777777\x00")), Err: archive.ErrFileTooLarge, Path: "f", Max: 2 << 30},
		{Name: "size beyond 64 bits", Source: whole(binary(0x80)), Err: tar.ErrHeader},
		{Name: "negative size", Source: whole(File("before", ""), binary(0xff)), Err: tar.ErrHeader},
		{Name: "negative size in a record", Source: whole(PAX(tar.TypeXHeader, "size=-512"), File("f", "")), Err: tar.ErrHeader},
		{Name: "greatest size in a record", Source: whole(PAX(tar.TypeXHeader, "size=9223372036854775807"), File("f", "")), Err: archive.ErrFileTooLarge, Path: "f", Max: 2 << 30},
		{Name: "size beyond 64 bits in a record", Source: whole(PAX(tar.TypeXHeader, "size=99999999999999999999"), File("f", "")), Err: tar.ErrHeader},
		{Name: "size that is no number", Source: whole(size("1e9\x00")), Err: tar.ErrHeader},
		{Name: "files that are too much together", Source: whole(File("a", half), File("b", half), File("c", "x")), Limits: small, Err: archive.ErrTooLarge, Max: limit},
		{Name: "directory of records", Source: whole(notes, Header(tar.TypeDir, "d", 0, nil), File("f", "x")), Limits: small, Err: archive.ErrTooLarge, Max: limit},
		{Name: "end without an end", Source: raw(append(Archive(File("a", "x")), make([]byte, limit)...)), Limits: small, Err: archive.ErrTooLarge, Max: limit},
	}
}

func longNames() []Attack {
	long := strings.Repeat("n", 64<<10)
	deep := strings.Repeat("d/", 32<<10) + "x"
	named := func(name string, err error, path string, limit int64, entries ...[]byte) Attack {
		return Attack{Name: name, Source: whole(entries...), Err: err, Path: path, Max: limit}
	}
	return []Attack{
		named("name of 64 KiB by a PAX record", archive.ErrPathTooLong, long, 1024, PAX(tar.TypeXHeader, "path="+long), File("x", "")),
		named("name of 64 KiB by a GNU record", archive.ErrPathTooLong, long, 1024, GNULong(tar.TypeGNULongName, long), File("x", "")),
		named("wide name of 64 KiB", archive.ErrPathTooLong, strings.Repeat("\ufdfa", 20<<10), 1024, PAX(tar.TypeXHeader, "path="+strings.Repeat("\ufdfa", 20<<10)), File("x", "")),
		named("unsafe name of 64 KiB", archive.ErrUnsafePath, "../"+long, 0, PAX(tar.TypeXHeader, "path=../"+long), File("x", "")),
		named("path of 32,000 directories", archive.ErrPathTooLong, deep, 1024, PAX(tar.TypeXHeader, "path="+deep), File("x", "")),
		named("path of 100 directories", archive.ErrPathTooDeep, deep[len(deep)-201:], 64, PAX(tar.TypeXHeader, "path="+deep[len(deep)-201:]), File("x", "")),
		named("target of 64 KiB by a PAX record", archive.ErrPathTooLong, "l", 1024, PAX(tar.TypeXHeader, "linkpath="+long), Link("l", "x")),
		named("target of 64 KiB by a GNU record", archive.ErrPathTooLong, "l", 1024, GNULong(tar.TypeGNULongLink, long), Link("l", "x")),
		named("records of 2 MiB", archive.ErrHeaderTooLarge, "before", 1<<20, File("before", ""), PAX(tar.TypeXHeader, "comment="+strings.Repeat("x", 2<<20)), File("x", "")),
		named("GNU name of 2 MiB", archive.ErrHeaderTooLarge, "before", 1<<20, File("before", ""), GNULong(tar.TypeGNULongName, strings.Repeat("x", 2<<20)), File("x", "")),
		{Name: "record of a wrong length", Source: whole(Header(tar.TypeXHeader, "x", 12, nil), padded("99999 path=a"), File("x", "")), Err: tar.ErrHeader},
	}
}

func counts() []Attack {
	many := func(name string, most int, entry func(i int) []byte) Attack {
		return Attack{
			Name: name, Source: func() io.Reader { return Endless(million, entry) },
			Limits: archive.Limits{Entries: most}, Err: archive.ErrTooManyEntries, Max: int64(cmp.Or(most, archive.DefaultLimits().Entries)),
		}
	}
	reused := Header(tar.TypeDir, "d", 0, nil)
	global := PAX(tar.TypeXGlobalHeader, "comment=x")
	return []Attack{
		many("a million files", 0, func(i int) []byte { return Header(tar.TypeReg, fmt.Sprintf("f%d", i), 0, nil) }),
		many("a million links", 10_000, func(i int) []byte { return Link(fmt.Sprintf("l%d", i), "x") }),
		many("one directory a million times", 10_000, func(int) []byte { return reused }),
		many("a million global headers", 10_000, func(int) []byte { return global }),
		many("a million implied directories", 10_000, func(i int) []byte {
			return Header(tar.TypeReg, fmt.Sprintf("%d/", i)+strings.Repeat("d/", 40)+"x", 0, nil)
		}),
	}
}

func bombs() []Attack {
	zeros := make([]byte, 20<<20)
	tarred := Archive(File("zeros", string(zeros)))
	bomb := Gzip(tarred)
	headers := bytes.Repeat(Header(tar.TypeDir, "d", 0, nil), 60_000)
	var members bytes.Buffer
	for part := range slices.Chunk(tarred, 4<<20) {
		members.Write(Gzip(part))
	}
	dense := archive.Limits{Ratio: 10}
	return []Attack{
		{Name: "gzip bomb", Source: raw(bomb), Err: archive.ErrCompressionRatio, Max: 200},
		{Name: "gzip bomb of members", Source: raw(members.Bytes()), Err: archive.ErrCompressionRatio, Max: 200},
		{Name: "gzip bomb of headers", Source: raw(Gzip(headers)), Limits: dense, Err: archive.ErrCompressionRatio, Max: 10},
		{Name: "gzip bomb behind the end", Source: raw(append(Gzip(Archive(File("a", ""))), Gzip(zeros)...)), Err: archive.ErrCompressionRatio, Max: 200},
		{Name: "gzip in gzip", Source: raw(Gzip(bomb)), Err: archive.ErrNotArchive},
		{Name: "sparse file of old GNU", Source: whole(OldSparse("hole", 1<<32)), Err: archive.ErrSparse, Path: "hole"},
		{Name: "sparse file of PAX 0.1", Source: whole(PAXSparse("hole", 1<<40, "0.1")), Err: archive.ErrSparse, Path: "hole"},
		{Name: "sparse file of PAX 1.0", Source: whole(PAXSparse("hole", 1<<40, "1.0")), Err: archive.ErrSparse, Path: "hole"},
		{Name: "sparse file of 100 bytes", Source: whole(OldSparse("hole", 100)), Err: archive.ErrSparse, Path: "hole"},
	}
}

func damaged() []Attack {
	tarred := Archive(File("a", strings.Repeat("0123456789", 90)), PAX(tar.TypeXHeader, "path=b"), File("x", "y"))
	packed := Gzip(tarred)
	flipped := bytes.Clone(packed)
	flipped[len(flipped)-5] ^= 1
	wrong := func(name string, content []byte, err error) Attack {
		return Attack{Name: name, Source: raw(content), Err: err}
	}
	return []Attack{
		wrong("cut in a header", tarred[:1536+300], io.ErrUnexpectedEOF), wrong("cut in a file", tarred[:1000], io.ErrUnexpectedEOF),
		wrong("cut in the padding of a file", tarred[:512+901], io.ErrUnexpectedEOF), wrong("cut in a record", tarred[:2048+5], io.ErrUnexpectedEOF),
		wrong("cut behind a record", tarred[:2560], io.ErrUnexpectedEOF),
		wrong("gzip cut", packed[:len(packed)/2], io.ErrUnexpectedEOF), wrong("gzip cut in its sum", packed[:len(packed)-3], io.ErrUnexpectedEOF),
		wrong("gzip with a wrong sum", flipped, gzip.ErrChecksum), wrong("gzip with garbage behind it", append(bytes.Clone(packed), "garbage"...), io.ErrUnexpectedEOF),
		wrong("gzip of nothing", Gzip(nil), archive.ErrNotArchive), wrong("nothing", nil, archive.ErrNotArchive), wrong("half a header", tarred[:300], archive.ErrNotArchive),
		wrong("header with a wrong sum", append(Header(tar.TypeReg, "a", 0, nil), append([]byte("x"), make([]byte, 2047)...)...), tar.ErrHeader),
	}
}
