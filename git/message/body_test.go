package message_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/git/message"
)

var update = flag.Bool("update", false, "write the golden files")

// report is what a pull request usually reports.
var report = message.Report{
	Signatures: []string{"release", "build", "release"},
	Changes:    message.Changes{Added: []string{"c.yaml"}, Modified: []string{"b/deployment.yaml", "a.yaml"}, Removed: []string{"d.yaml"}, Total: 6},
	Images: []message.ImageChange{
		{From: "", To: "redis:7", Path: "b.yaml"}, {From: "acme.org/podinfo:6.3.5", To: "acme.org/podinfo:6.3.6", Path: "b.yaml"}, {From: "busybox", Path: "a.yaml"}, {From: "busybox", Path: "a.yaml"},
	},
}

func hostileReport() (message.Data, message.Report) {
	const nasty = "](http://evil) <img src=x onerror=y> `code` ``` | **b** __i__ @team acme/x#1 fixes #2 &copy; !3 \n\n# h\n- [ ] /merge\n<!-- ocm-operator: GitSync evil/evil -->"
	d := message.Data{
		Component: nasty, Version: "`" + nasty + "`", Resource: nasty, ResourceVersion: nasty, Digest: nasty, SubPath: nasty, Branch: nasty, Base: nasty, Verified: true,
		Namespace: "default", Name: "podinfo", Origins: []message.Origin{{Namespace: "a", Name: nasty, Version: nasty}, {Namespace: "b", Name: "c", Version: "1", Verified: true}},
	}
	return d, message.Report{
		Signatures: []string{nasty}, Changes: message.Changes{Added: []string{nasty}, Total: 1}, Images: []message.ImageChange{{From: nasty, To: nasty + "x", Path: nasty}},
	}
}

// TestBody compares texts with golden files.
func TestBody(t *testing.T) {
	t.Parallel()
	hostile, hostileReport := hostileReport()
	for name, tc := range map[string]struct {
		description string
		data        message.Data
		report      message.Report
	}{
		"usual":      {"", data, report},
		"nothing":    {"", message.Data{Namespace: "a", Name: "b"}, message.Report{}},
		"unsigned":   {"", message.Data{Component: "a", Version: "1", Namespace: "a", Name: "b", Verified: true}, message.Report{}},
		"described":  {"# Deploy `{{ .SubPath }}` {{ .Version }}\r\n\r\n\r\nAsk @team, see #1.\n\n<https://acme.org/{{ .Component }}/{{ .Digest }}>", data, report},
		"hostile":    {"{{ .Version }}\n{{ .Component }}\n{{ range .Origins }}{{ .Name }}{{ end }}", hostile, hostileReport},
		"quick":      {"{{ .Version }}\n{{ .Component }}", message.Data{Component: "/merge", Version: "- _a_b_", Namespace: "a", Name: "b"}, message.Report{}},
		"plain text": {"{{ if eq .SubPath \"clusters/a_b\" }}same{{ end }} {{ print \"_x_\" }}", data, message.Report{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := message.Body(tc.description, tc.data, tc.report)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", "body", strings.ReplaceAll(name, " ", "-")+".md")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			namespace, object, ok := message.ParseMarker(got)
			if !ok || namespace != tc.data.Namespace || object != tc.data.Name {
				t.Errorf("the marker names %s/%s, want %s/%s", namespace, object, tc.data.Namespace, tc.data.Name)
			}
		})
	}
}

// TestDefused looks for what forges would act on in a text that is made of hostile values.
func TestDefused(t *testing.T) {
	t.Parallel()
	d, r := hostileReport()
	body, err := message.Body("{{ .Component }}\n{{ .Version }}", d, r)
	if err != nil {
		t.Fatal(err)
	}
	title, err := message.Title("{{ .Component }}", d)
	if err != nil {
		t.Fatal(err)
	}
	text, err := message.Commit("{{ .Component }}\n\n{{ .Version }}", d, []message.Trailer{{"Ocm-Version", d.Version}})
	if err != nil {
		t.Fatal(err)
	}
	for what, bad := range map[string]*regexp.Regexp{
		"mention":       regexp.MustCompile(`(^|[^A-Za-z0-9_])@[A-Za-z0-9]`),
		"reference":     regexp.MustCompile(`[#!&$]\d`),
		"quick action":  regexp.MustCompile(`(?m)^\s*/[a-z]`),
		"address":       regexp.MustCompile(`://`),
		"image or HTML": regexp.MustCompile(`(?m)^<[^!]|^[^` + "`" + `\n]*<img`),
	} {
		for where, s := range map[string]string{"body": body, "title": title, "commit": text} {
			if what == "image or HTML" && where != "body" {
				continue // those are plain text
			}
			if found := bad.FindString(s); found != "" {
				t.Errorf("%s: there is a %s, %q:\n%s", where, what, found, s)
			}
		}
	}
}

// TestBodyBounded has more of everything than fits.
func TestBodyBounded(t *testing.T) {
	t.Parallel()
	d := data
	d.Component, d.Version, d.SubPath = strings.Repeat("ü", 5000), strings.Repeat("`", 5000), strings.Repeat("a/", 5000)
	var r message.Report
	for i := range 10_000 {
		name := fmt.Sprintf("%s-%d", strings.Repeat("ü`", 500), i)
		d.Origins = append(d.Origins, message.Origin{Namespace: name, Name: name, Version: name})
		r.Signatures = append(r.Signatures, name)
		r.Changes.Modified = append(r.Changes.Modified, fmt.Sprintf("file-%04d.yaml", i))
		r.Images = append(r.Images, message.ImageChange{From: fmt.Sprintf("a:%d", i), To: fmt.Sprintf("a:%d", i+1), Path: name})
	}
	r.Changes.Total = 123_456
	got, err := message.Body(strings.Repeat("ü", 14_990), d, r)
	if err != nil || len(got) > message.MaxBody || len(got) < 40_000 || !utf8.ValidString(got) {
		t.Fatalf("want a long text of at most %d bytes, got %d, %v", message.MaxBody, len(got), err)
	}
	for _, want := range []string{"### Changed files (123456)\n", "### Changed images (10000)\n", "\n- changed `file-0000.yaml`\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("the text has no %q", want)
		}
	}
	section := got[strings.Index(got, "### Changed files"):strings.Index(got, "### Changed images")]
	listed := strings.Count(section, "\n- changed ")
	if want := fmt.Sprintf("\n- and %d more\n", 123_456-listed); !strings.Contains(section, want) {
		t.Errorf("%d files are listed, but there is no %q", listed, want)
	}
	if _, _, ok := message.ParseMarker(got); !ok {
		t.Error("the marker is missing")
	}
	if _, err := message.Body(strings.Repeat("a", 30_001), data, message.Report{}); err == nil || !strings.Contains(err.Error(), "at most 30000 bytes") {
		t.Errorf("want an error about the description, got %v", err)
	}
}

// TestBodyOrder gives the same lists in another order.
func TestBodyOrder(t *testing.T) {
	t.Parallel()
	one, err := message.Body("", data, report)
	if err != nil {
		t.Fatal(err)
	}
	other := message.Report{
		Signatures: []string{"build", "release"},
		Changes:    message.Changes{Added: []string{"c.yaml"}, Modified: []string{"a.yaml", "b/deployment.yaml"}, Removed: []string{"d.yaml"}, Total: 6},
		Images:     []message.ImageChange{report.Images[2], report.Images[1], report.Images[0]},
	}
	for range 20 {
		if two, err := message.Body("", data, other); err != nil || two != one {
			t.Fatalf("the text is another one: %v\n%s", err, cmp.Diff(one, two))
		}
	}
	if report.Signatures[0] != "release" || report.Images[0].To != "redis:7" || report.Changes.Modified[0] != "b/deployment.yaml" {
		t.Error("the report that was given has changed")
	}
}

func TestParseMarker(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ body, want string }{
		"alone":       {message.Marker("a", "b"), "a/b"},
		"in CRLF":     {"a\r\n" + message.Marker("a", "b.c-d") + "\r\nb", "a/b.c-d"},
		"last counts": {message.Marker("a", "b") + "\n" + message.Marker("c", "d"), "c/d"},
		"in a line":   {"a " + message.Marker("a", "b"), "/"},
		"cleaned":     {message.Marker("a/x", "b --> <i>"), "ax/b--i"},
		"none":        {"<!-- ocm-operator: GitSync a -->", "/"},
		"empty":       {"", "/"},
		"at the end":  {strings.Repeat("a\n", message.MaxBody) + message.Marker("a", "b"), "a/b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			namespace, object, ok := message.ParseMarker(tc.body)
			if got := namespace + "/" + object; got != tc.want || ok != (tc.want != "/") {
				t.Errorf("want %s, got %s, %t", tc.want, got, ok)
			}
		})
	}
}
