package tree_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/git/tree"
)

// TestAttacks refuses archives that are made to do harm, and says which entry and why.
func TestAttacks(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("d/", 64)
	raw := func(blocks ...[]byte) []byte { return append(bytes.Join(blocks, nil), make([]byte, 1024)...) }
	pax := func(records ...string) []byte {
		var body strings.Builder
		for _, r := range records {
			fmt.Fprintf(&body, "%d %s\n", len(r)+4, r) // with a space, a line break and two digits
		}
		return append(header(tar.TypeXHeader, "records", "", int64(body.Len())), block(body.String())...)
	}
	for name, c := range map[string]struct {
		src    []byte
		path   string // that is told
		why    string // a part of it
		reason string
	}{
		"configuration":        {archive(t, file(".git/config", "[remote]")), ".git/config", ".git", "it says where pushes go"},
		"case":                 {archive(t, file(".GIT/config", "")), ".GIT/config", ".git", "the same on macOS and Windows"},
		"mixed case below":     {archive(t, file("a/.gIt", "")), "a/.gIt", ".git", "a repository of its own"},
		"folder":               {archive(t, dir("a/.git")), "a/.git", ".git", "a repository of its own"},
		"space":                {archive(t, file(".git /config", "")), ".git /config", ".git", "Windows drops it"},
		"dot":                  {archive(t, file(".git./config", "")), ".git./config", ".git", "Windows drops it"},
		"dots and spaces":      {archive(t, file(".git. . /config", "")), ".git. . /config", ".git", "Windows drops them"},
		"short name":           {archive(t, file("git~1/config", "")), "git~1/config", ".git", "the same on Windows"},
		"short name, case":     {archive(t, file("GIT~1", "")), "GIT~1", ".git", "the same on Windows"},
		"short name, dot":      {archive(t, file("git~1.", "")), "git~1.", ".git", "the same on Windows"},
		"shapeless":            {archive(t, file(".g\u200cit/config", "")), ".g\u200cit/config", ".git", "macOS drops it"},
		"shapeless in front":   {archive(t, file("\u200e.git", "")), "\u200e.git", ".git", "macOS drops it"},
		"shapeless at the end": {archive(t, file(".git\ufeff", "")), ".git\ufeff", ".git", "macOS drops it"},
		"shapeless and case":   {archive(t, file(".G\u202aI\u206fT", "")), ".G\u202aI\u206fT", ".git", "macOS drops them"},
		"stream":               {archive(t, file(".git::$INDEX_ALLOCATION/config", "")), ".git::$INDEX_ALLOCATION/config", ".git", "another name of the folder on NTFS"},
		"stream of short name": {archive(t, file("git~1:x", "")), "git~1:x", ".git", "another name of the folder on NTFS"},
		"stream behind space":  {archive(t, file(".git :x", "")), ".git :x", ".git", "another name of the folder on NTFS"},

		"climbing":          {archive(t, file("../x", "")), "../x", "..", "outside"},
		"climbing later":    {archive(t, file("a/../../b", "")), "a/../../b", "..", "outside"},
		"climbing inside":   {archive(t, file("a/../b", "")), "a/../b", "..", "a may be a link"},
		"climbing folder":   {archive(t, dir("..")), "..", "..", "outside"},
		"absolute":          {archive(t, file("/etc/passwd", "")), "/etc/passwd", "absolute", "outside"},
		"two slashes":       {archive(t, file("//x/y", "")), "//x/y", "absolute", "outside"},
		"empty part":        {archive(t, file("a//b", "")), "a//b", "empty", "no such name in a tree"},
		"backslash":         {archive(t, file(`..\..\x`, "")), `..\..\x`, `\`, "a separator on Windows"},
		"backslash and git": {archive(t, file(`a\.git\config`, "")), `a\.git\config`, `\`, "a separator on Windows"},
		"line break":        {archive(t, file("a\nOcm-Sync: other", "")), "a\nOcm-Sync: other", "control", "forges what is read line by line"},
		"escape":            {archive(t, file("a\x1b[2J", "")), "a\x1b[2J", "control", "talks to terminals"},
		"separator":         {archive(t, file("a\u2028b", "")), "a\u2028b", "control", "forges what is read line by line"},
		"no UTF-8":          {raw(header(tar.TypeReg, "a\xff\xfe", "", 0)), "a\xff\xfe", "UTF-8", "shows differently everywhere"},
		"root as a file":    {archive(t, file("./.", "x")), "./.", "name of a folder", "it has no name"},
		"file as a name":    {raw(header(tar.TypeReg, "f/", "", 0)), "f/", "name of a folder", "which of them it is"},
		"no name":           {raw(header(tar.TypeReg, "", "", 0)), "", "name", "it has no name"},

		"absolute link":       {archive(t, link("l", "/etc/passwd")), "l", "absolute", "leaves the folder"},
		"climbing link":       {archive(t, link("a/l", "../../x")), "a/l", "leaves", "leaves the folder"},
		"climbing later link": {archive(t, link("l", "a/../../x")), "l", "leaves", "leaves the folder"},
		"link to parent":      {archive(t, link("l", "..")), "l", "leaves", "leaves the folder"},
		"link up behind name": {archive(t, link("a", "b/c"), link("l", "a/..")), "l", "leaves", "the first leads to b/c"},
		"chain of links":      {archive(t, dir("d/e"), link("d/e/up", "../.."), link("l", "d/e/up/..")), "l", "leaves", "the first leads to the root"},
		"link with backslash": {archive(t, link("l", `..\..\x`)), "l", `\`, "a separator on Windows"},
		"link to git":         {archive(t, link("l", ".git/config")), "l", ".git", "shows what is in the repository's own folder"},
		"link to GIT":         {archive(t, link("a/l", "../.GIT\u200c/hooks")), "a/l", ".git", "as above"},
		"link to nothing":     {raw(header(tar.TypeSymlink, "l", "", 0)), "l", "nothing", "git has no empty links"},
		"long link":           {archive(t, link("l", strings.Repeat("x/", 600))), "l", "1024", "a limit"},
		"through a link":      {archive(t, link("l", "d"), file("l/x", "")), "l/x", "link", "is unpacked elsewhere"},
		"link over a folder":  {archive(t, file("d/x", ""), link("d", "e")), "d", "folder", "which of them it is"},
		"modules as a link":   {archive(t, link(".gitmodules", "x")), ".gitmodules", ".gitmodules", "git reads it"},
		"modules, disguised":  {archive(t, link("a/.GITMODULES ", "x")), "a/.GITMODULES ", ".gitmodules", "git refuses it"},
		"modules, short name": {archive(t, link("GITMOD~1", "x")), "GITMOD~1", ".gitmodules", "the same on Windows"},
		"modules, hash":       {archive(t, link("gi7eba~1", "x")), "gi7eba~1", ".gitmodules", "the same on Windows"},

		"hard link out":        {archive(t, hard("h", "/etc/passwd")), "h", "hard link", "somebody else's file"},
		"hard link up":         {archive(t, hard("h", "../x")), "h", "hard link", "somebody else's file"},
		"hard link to nothing": {archive(t, hard("h", "later"), file("later", "")), "h", "hard link", "not known yet"},
		"hard link to folder":  {archive(t, dir("d"), hard("h", "d")), "h", "hard link", "git has no such thing"},
		"hard link to link":    {archive(t, link("l", "x"), hard("h", "l")), "h", "hard link", "depends on who unpacks it"},
		"hard link to root":    {archive(t, hard("h", ".")), "h", "hard link", "git has no such thing"},
		"hard link to modules": {archive(t, file("x", "[submodule \"x\"]\nupdate = !y\n"), hard(".gitmodules", "x")), ".gitmodules", "hard link", "its content was not looked at"},
		"hard link, disguised": {archive(t, file("x", ""), hard("GITMOD~1", "x")), "GITMOD~1", "hard link", "its content was not looked at"},
		"device":               {archive(t, entry{kind: tar.TypeChar, name: "null"}), "null", "device", "git has no such thing"},
		"disk":                 {archive(t, entry{kind: tar.TypeBlock, name: "sda"}), "sda", "device", "git has no such thing"},
		"pipe":                 {archive(t, entry{kind: tar.TypeFifo, name: "p"}), "p", "pipe", "git has no such thing"},
		"unknown kind":         {raw(header('Z', "z", "", 0)), "z", "hold", "nobody knows"},
		"sparse":               {raw(gnuSparse("s", 1<<30)), "s", "sparse", "any size out of nothing"},
		"sparse by record":     {raw(pax("GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=s", "GNU.sparse.realsize=1073741824"), header(tar.TypeReg, "x", "", 512), block("1\n1073741824\n0\n")), "s", "sparse", "any size out of nothing"},

		"twice":            {archive(t, file("f", "1"), file("./f", "2")), "./f", "twice", "which of them it is"},
		"twice, mode":      {archive(t, file("f", "1"), script("f", "1")), "f", "twice", "which of them it is"},
		"file as a folder": {archive(t, file("f", ""), file("f/x", "")), "f/x", "folder", "which of them it is"},
		"folder as a file": {archive(t, file("f/x", ""), file("f", "")), "f", "folder", "which of them it is"},
		"folder over file": {archive(t, file("f", ""), dir("f")), "f", "folder", "which of them it is"},

		"large file":      {raw(header(tar.TypeReg, "f", "", 3<<30)), "f", "bytes in one file", "before any of it is read"},
		"many bytes":      {raw(header(tar.TypeReg, "f", "", 0), header(tar.TypeReg, "g", "", 1<<30)), "", "bytes in all files", "before any of it is read"},
		"negative":        {raw(header(tar.TypeReg, "f", "", -5)), "", "damaged", "no such size"},
		"long name":       {archive(t, file(strings.Repeat("x", 256), "")), strings.Repeat("x", 256), "255", "no file system has it"},
		"long path":       {archive(t, file(strings.Repeat("abcdefg/", 129)+"x", "")), strings.Repeat("abcdefg/", 129) + "x", "1024", "a limit"},
		"very long path":  {archive(t, file(strings.Repeat("x", 900<<10), "")), strings.Repeat("x", 900<<10), "1024", "a limit"},
		"deep":            {archive(t, file(deep+"x", "")), deep + "x", "64", "a limit"},
		"huge record":     {raw(header(tar.TypeXHeader, "x", "", 2<<20), make([]byte, 2<<20)), "", "damaged", "the decoder reads 1 MiB"},
		"cut in a header": {archive(t, file("f", "x"))[:300], "", "tar", "incomplete"},
		"cut in a file":   {archive(t, file("f", strings.Repeat("x", 900)))[:1000], "f", "cut off", "incomplete"},
		"cut in padding":  {archive(t, file("f", "x"))[:700], "f", "cut off", "incomplete"},
		"cut in 2nd":      {archive(t, file("f", "x"), file("g", "y"))[:1200], "f", "cut off", "incomplete"},
		"lying size":      {append(header(tar.TypeReg, "f", "", 2048), archive(t, file("g", "x"))...)[:1600], "f", "cut off", "more is announced than is there"},
		"size too small":  {raw(header(tar.TypeReg, "f", "", 1), bytes.Repeat([]byte("x"), 1024)), "f", "damaged", "the rest is taken for a header"},
		"text":            {[]byte(strings.Repeat("kind: ConfigMap\n", 200)), "", "tar", "no archive"},
		"nothing":         {nil, "", "tar", "no archive"},
		"compressed":      {[]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + strings.Repeat("z", 600)), "", "tar", "is to be unpacked before"},

		"command in modules": {archive(t, file(".gitmodules", "[submodule \"x\"]\n\tpath = x\n\tupdate = !touch /tmp/x\n")), ".gitmodules", "command", "git runs it"},
		"quoted command":     {archive(t, file(".gitmodules", "[submodule \"x\"]\n\tupdate = \"!touch /tmp/x\"\n")), ".gitmodules", "command", "git runs it"},
		"continued command":  {archive(t, file("a/.gitmodules", "[submodule \"x\"]\n\tUPDATE = \\\n!touch /tmp/x\n")), "a/.gitmodules", "command", "git runs it"},
		"option as URL":      {archive(t, file(".gitmodules", "[submodule \"x\"]\n\turl = -u./payload\n")), ".gitmodules", "option", "ssh takes it for one"},
		"option as path":     {archive(t, file(".gitmodules", "[submodule \"x\"]\n\tpath = -u./payload\n")), ".gitmodules", "option", "git takes it for one"},
		"climbing module":    {archive(t, file(".gitmodules", "[submodule \"a/../../x\"]\n\tpath = x\n")), ".gitmodules", "..", "it is written elsewhere"},
		"escaped module":     {archive(t, file(".gitmodules", "[submodule \"\\.\\./x\"]\n\tpath = x\n")), ".gitmodules", "..", "it is written elsewhere"},
		"plain module":       {archive(t, file(".gitmodules", "[submodule \"..\"]\n\tpath = x\n")), ".gitmodules", "..", "it is written elsewhere"},
		"line break in URL":  {archive(t, file(".gitmodules", "[submodule \"x\"]\n\turl = https://a/%0ahost=b\n")), ".gitmodules", "%0a", "git asks for the password of b"},
		"URL of any host":    {archive(t, file(".gitmodules", "[submodule \"x\"]\n\turl = ../../:host/x\n")), ".gitmodules", "host", "git makes host of it"},
		"large modules":      {archive(t, file(".gitmodules", strings.Repeat("#", 1<<20+1))), ".gitmodules", "own", "it is held in memory"},
		"modules as folder":  {archive(t, file(".gitmodules/x", "")), ".gitmodules/x", "folder", "git's fsck refuses it"},
		"attributes' folder": {archive(t, file("a/.gitattributes/x", "")), "a/.gitattributes/x", "folder", "git's fsck refuses it"},
		"long attribute":     {archive(t, file(".gitattributes", "x\n"+strings.Repeat("x", 2048))), ".gitattributes", "2047", "git's fsck refuses it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tree.Build(t.Context(), writer(t), bytes.NewReader(c.src), tree.Limits{Bytes: 3<<30 - 1, FileBytes: 2 << 30}.WithDefaults())
			if name == "many bytes" {
				_, err = tree.Build(t.Context(), writer(t), bytes.NewReader(c.src), tree.Limits{Bytes: 1<<30 - 1})
			}
			if !refused(err) {
				t.Fatalf("got %v: %s", err, c.reason)
			}
			path, limit := new(tree.PathError), new(tree.LimitError)
			if errors.As(err, &limit) {
				path.Path = limit.Path
			} else {
				errors.As(err, &path)
			}
			if path.Path != c.path {
				t.Errorf("got path %.100q, want %.100q", path.Path, c.path)
			}
			if text := err.Error(); !strings.Contains(text, c.why) || len(text) > 1500 || strings.ContainsAny(text, "\n\x1b") {
				t.Errorf("the message is %.300q, want one line with %q", text, c.why)
			}
		})
	}
}

// block fills a block of an archive.
func block(content string) []byte { return append([]byte(content), make([]byte, 512-len(content))...) }

// gnuSparse is a file of one hole, as GNU tar once wrote it.
func gnuSparse(name string, size int64) []byte {
	h := header(tar.TypeGNUSparse, name, "", 0)
	copy(h[257:], "ustar  \x00")
	copy(h[483:], fmt.Sprintf("%011o\x00", size))
	copy(h[148:], "        ")
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return h
}

// counted counts what is read of it.
type counted struct {
	src io.Reader
	n   int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.src.Read(p)
	c.n += int64(n)
	return n, err
}

// endless is a stream of blocks that never ends.
type endless struct {
	i     int
	block func(i int) []byte
	rest  []byte
}

func (e *endless) Read(p []byte) (int, error) {
	if len(e.rest) == 0 {
		e.rest = e.block(e.i)
		e.i++
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// TestEndless gives up on archives that go on and on, after as much as the limits allow.
func TestEndless(t *testing.T) {
	t.Parallel()
	record := append(header(tar.TypeXHeader, "x", "", 512), append([]byte("512 comment="), append(bytes.Repeat([]byte("x"), 499), '\n')...)...)
	long := append(header(tar.TypeGNULongName, "x", "", 1<<20), bytes.Repeat([]byte("x"), 1<<20)...)
	for name, c := range map[string]struct {
		block  func(i int) []byte
		most   int64
		reason string
	}{
		"files":   {func(i int) []byte { return header(tar.TypeReg, fmt.Sprintf("f%d", i), "", 0) }, 600 << 10, "each costs memory"},
		"folders": {func(i int) []byte { return header(tar.TypeDir, fmt.Sprintf("d%d", i), "", 0) }, 600 << 10, "each costs memory"},
		"implied": {func(i int) []byte { return header(tar.TypeReg, fmt.Sprintf("%d/a/b/c/d/e/f/g/h/i/f", i), "", 0) }, 100 << 10, "each costs memory"},
		"links":   {func(i int) []byte { return header(tar.TypeSymlink, fmt.Sprintf("l%d", i), "x", 0) }, 600 << 10, "each costs memory"},
		"one":     {func(int) []byte { return header(tar.TypeDir, "d", "", 0) }, 1200 << 10, "time is a cost as well"},
		"global":  {func(int) []byte { return header(tar.TypeXGlobalHeader, "g", "", 0) }, 1200 << 10, "time is a cost as well"},
		"records": {func(int) []byte { return record }, 10 << 20, "the decoder reads them without a word"},
		"names":   {func(int) []byte { return long }, 10 << 20, "the decoder reads them without a word"},
		"zeros":   {func(int) []byte { return make([]byte, 1<<10) }, 10 << 20, "what follows the end is read for the sake of its digest"},
		"content": {func(i int) []byte {
			return append(header(tar.TypeReg, fmt.Sprintf("f%d", i), "", 64<<10), make([]byte, 64<<10)...)
		}, 2 << 20, "all files together"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := &counted{src: &endless{block: c.block}}
			limit := new(tree.LimitError)
			if _, err := tree.Build(t.Context(), writer(t), src, tree.Limits{Files: 1000, Bytes: 1 << 20}); !errors.As(err, &limit) {
				t.Errorf("got %v: %s", err, c.reason)
			}
			if src.n > c.most {
				t.Errorf("%d bytes were read, want at most %d: %s", src.n, c.most, c.reason)
			}
		})
	}
}

// TestMillionEntries meets the default limits.
func TestMillionEntries(t *testing.T) {
	t.Parallel()
	src := &counted{src: &endless{block: func(i int) []byte { return header(tar.TypeReg, fmt.Sprintf("f%07d", i), "", 0) }}}
	limit := new(tree.LimitError)
	if _, err := tree.Build(t.Context(), writer(t), src, tree.Limits{}); !errors.As(err, &limit) || limit.Limit != 100_000 {
		t.Errorf("got %v", err)
	}
	if src.n > 100_100*512 {
		t.Errorf("%d bytes were read", src.n)
	}
}

// TestHarmless takes archives that look odd, and the real git finds nothing wrong with what becomes of them.
func TestHarmless(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		entries []entry
		reason  string
		warning string // that the real git has, and accepts
	}{
		"names like git's":   {[]entry{file(".gitx", ""), file("git", ""), file(".git2", ""), file("git~2", ""), file("x.git", ""), file(".git-credentials", ""), file("..git", ""), file("...", "")}, "none is .git anywhere", ""},
		"links inside":       {[]entry{link("a/b/up", "../.."), link("l", "a/b/up/a"), link("loop", "loop"), link("c", "d"), link("d", "c")}, "none leaves the folder", ""},
		"attributes link":    {[]entry{link(".gitattributes", "x"), link(".gitignore", "y"), link(".mailmap", "z")}, "git does not follow them", "Symlink"},
		"names of Windows":   {[]entry{file("CON", ""), file("aux.txt", ""), file("a:b", ""), file("trailing. ", "")}, "Windows alone refuses them", ""},
		"as deep as allowed": {[]entry{file(strings.Repeat("d/", 63)+"x", "")}, "a limit is what is allowed", ""},
		"as long as allowed": {[]entry{file(strings.Repeat("x", 255), "")}, "a limit is what is allowed", ""},
		"Unicode":            {[]entry{file("caf\u00e9", ""), file("cafe\u0301", ""), file("\u4e2d/\U0001f600", "")}, "git holds any name", ""},
		"attributes":         {[]entry{file(".gitattributes", strings.Repeat("x", 2041)+" -text\n"+strings.Repeat("y", 2047))}, "a limit is what is allowed", ""},
		"empty":              {[]entry{dir("only/folders")}, "git has no folders", ""},
		"modules":            {[]entry{file(".gitmodules", "[submodule \"a..b\"]\n\tpath = a\n\turl = ../b.git\n[submodule \"x/..y\"]\n\tpath = x-1\n\turl = git@example.org:-x/y\n\tupdate = none\n"), file("sub/.gitmodules", "not ! what - git reads")}, "as others have them", "gitmodulesParse"},
		"short name of else": {[]entry{link("gi7eba~a", "x"), link("gitmod~5", "x"), link("gi7eba~123", "x"), link("gi7ebb~1", "x")}, "of no file of git's", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := writer(t)
			built, err := tree.Build(t.Context(), w, bytes.NewReader(archive(t, c.entries...)), tree.Limits{})
			if err != nil {
				t.Fatalf("%v: %s", err, c.reason)
			}
			dir := bare(t)
			take(t, dir, w, built.Tree)
			for line := range strings.Lines(git(t, dir, nil, "fsck", "--strict", "--full", "--no-progress")) {
				if !strings.HasPrefix(line, "warning in ") || !strings.Contains(line, c.warning) || c.warning == "" {
					t.Errorf("fsck: %s", line)
				}
			}
		})
	}
}

func TestCleanPath(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": "", ".": "", "./": "", "a": "a", "./a/b/": "a/b", "clusters/production": "clusters/production", "a/./b": "a/b", "..a": "..a"} {
		if got, err := tree.CleanPath(in); got != want || err != nil {
			t.Errorf("%q: got %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"..", "../..", "a/../..", "a/..", "/", "/a", "a//b", ".git", "a/.git/hooks", ".GIT", ".git ", "git~1", "a\\b", "a\x00b", "a\nb", "\xff", strings.Repeat("x", 1025), strings.Repeat("a/", 65)} {
		if got, err := tree.CleanPath(in); !refused(err) || got != "" {
			t.Errorf("%.50q: got %q, %v", in, got, err)
		}
	}
}
