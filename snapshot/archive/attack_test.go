package archive_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/snapshot/archive"
	"github.com/ocm-operator/ocm-operator/snapshot/archive/archivetest"
)

// TestAttacks refuses archives that are made to do harm, with what is wrong: the entry, and the bound if it is one.
func TestAttacks(t *testing.T) {
	t.Parallel()
	for _, a := range archivetest.Attacks() {
		t.Run(a.Name, func(t *testing.T) {
			t.Parallel()
			_, err := archive.Copy(io.Discard, a.Source(), nil, a.Limits)
			checkRefused(t, a, err)
			for _, err = range archive.Files(a.Source(), a.Limits) {
				if err != nil {
					break
				}
			}
			checkRefused(t, a, err)
		})
	}
}

func checkRefused(t *testing.T, a archivetest.Attack, err error) {
	t.Helper()
	if !errors.Is(err, a.Err) {
		t.Fatalf("got %v, want %v", err, a.Err)
	}
	if len(err.Error()) > 1000 {
		t.Errorf("the message has %d bytes", len(err.Error()))
	}
	limit, refused := new(archive.LimitError), new(archive.EntryError)
	isLimit, isEntry := errors.As(err, &limit), errors.As(err, &refused)
	if isLimit != (a.Max > 0) || limit.Max != a.Max {
		t.Errorf("got bound %d, want %d: %v", limit.Max, a.Max, err)
	}
	if isLimit && !strings.Contains(err.Error(), fmt.Sprintf("more than %d", a.Max)) {
		t.Errorf("the message has no bound: %v", err)
	}
	if a.Path != "" && limit.Path+refused.Path != a.Path {
		t.Errorf("got entry %q, want %q", limit.Path+refused.Path, a.Path)
	}
	if a.Path != "" && !strings.Contains(err.Error(), fmt.Sprintf("%.60q", a.Path)[:min(40, len(fmt.Sprintf("%.60q", a.Path))-1)]) {
		t.Errorf("the message does not name the entry: %v", err)
	}
	if isEntry == isLimit && (isEntry || a.Path != "") {
		t.Errorf("want one error that tells the reason, got %v", err)
	}
}

// TestHarmless copies archives that look odd but can do no harm in canonical form, and shows what is left of them.
func TestHarmless(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 900)
	inner := archivetest.Gzip(archivetest.Archive(archivetest.File("../x", "x")))
	one := archivetest.File("a", "one")
	for name, c := range map[string]struct {
		src    []byte
		want   []string
		reason string
	}{
		"archive within":       {archivetest.Archive(archivetest.File("inner.tar.gz", string(inner))), []string{"inner.tar.gz=" + string(inner)}, "nobody unpacks what is within"},
		"second archive":       {append(archivetest.Archive(one), archivetest.Archive(archivetest.File("b", ""))...), []string{"a=one"}, "what follows the end is no part of it"},
		"garbage at the end":   {append(archivetest.Archive(one), "garbage"...), []string{"a=one"}, "what follows the end is no part of it"},
		"no end marker":        {one, []string{"a=one"}, "some programs write none"},
		"half an end marker":   {append(bytes.Clone(one), make([]byte, 512)...), []string{"a=one"}, "some programs write half of it"},
		"no end, no padding":   {archivetest.Header(tar.TypeDir, "d", 0, nil), []string{"d/="}, "a directory has no content to be cut off"},
		"global name":          {archivetest.Archive(archivetest.PAX(tar.TypeXGlobalHeader, "path=../x", "linkpath=/etc"), one), []string{"a=one"}, "global records are not applied"},
		"NUL in a name":        {archivetest.Archive(archivetest.File("a\x00/../../x", "one")), []string{"a=one"}, "a name ends at NUL"},
		"NUL in a GNU name":    {archivetest.Archive(archivetest.GNULong(tar.TypeGNULongName, "a\x00/../../x"), archivetest.File("x", "one")), []string{"a=one"}, "a name ends at NUL"},
		"long PAX name":        {archivetest.Archive(archivetest.PAX(tar.TypeXHeader, "path="+long), archivetest.File("x", "")), []string{long + "="}, "within the limits"},
		"long GNU name":        {archivetest.Archive(archivetest.GNULong(tar.TypeGNULongName, long), archivetest.File("x", "")), []string{long + "="}, "within the limits"},
		"size in a record":     {archivetest.Archive(archivetest.PAX(tar.TypeXHeader, "size=3"), archivetest.Header(tar.TypeReg, "a", 0, nil), []byte("one"+strings.Repeat("\x00", 509))), []string{"a=one"}, "the record counts, and is written as one"},
		"directory with size":  {archivetest.Archive(archivetest.Header(tar.TypeDir, "d", 1<<30, nil), one), []string{"d/=", "a=one"}, "a directory has no content"},
		"circle of links":      {archivetest.Archive(archivetest.Link("a", "b"), archivetest.Link("b", "a")), []string{"a=", "b="}, "whoever opens it gets an error"},
		"Latin and Cyrillic":   {archivetest.Archive(one, archivetest.PAX(tar.TypeXHeader, "path=\u0430"), archivetest.File("x", "")), []string{"a=one", "\u0430="}, "no file system takes them for the same"},
		"upper and lower case": {archivetest.Archive(archivetest.File("Values.yaml", "one"), archivetest.File("values.yaml", "two")), []string{"Values.yaml=one", "values.yaml=two"}, "two files where Flux unpacks"},
		"fractions":            {archivetest.Archive(archivetest.PAX(tar.TypeXHeader, "path=\u00bd/\u2100"), archivetest.File("x", "")), []string{"\u00bd/\u2100="}, "stays below its directory in every form"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			if _, err := archive.Copy(&out, bytes.NewReader(c.src), nil, archive.Limits{}); err != nil {
				t.Fatalf("%v: %s", err, c.reason)
			}
			var got []string
			for _, h := range headers(t, out.Bytes()) {
				got = append(got, h.Name+"="+h.Uname)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}
