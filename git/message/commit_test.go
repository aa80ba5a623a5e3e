package message_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/git/message"
)

// data is what a template usually knows.
var data = message.Data{
	Component: "acme.org/podinfo", Version: "6.3.6", Resource: "manifests", ResourceVersion: "6.3.7", Digest: "sha256:0123abcd", Verified: true,
	Origins: []message.Origin{{Namespace: "default", Name: "podinfo", Version: "6.3.6", Verified: true}, {Namespace: "default", Name: "values", Version: "1.0.0"}},
	SubPath: "clusters/a_b", Namespace: "default", Name: "podinfo", Branch: "ocm/default/podinfo", Base: "main",
}

// ours are the trailers of a sync.
var ours = []message.Trailer{{"Ocm-Component", "acme.org/podinfo"}, {"Ocm-Version", "6.3.6"}, {"Ocm-Sync", "default/podinfo"}, {"Ocm-Base", "0123"}}

const oursText = "Ocm-Component: acme.org/podinfo\nOcm-Version: 6.3.6\nOcm-Sync: default/podinfo\nOcm-Base: 0123\n"

// gitTrailers asks git for the trailers of a message.
func gitTrailers(t *testing.T, text string) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skipf("this test parses with the real git, which is not installed: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), "git", "interpret-trailers", "--parse", "--no-divider")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null"}
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git interpret-trailers: %v\n%s", err, out)
	}
	return string(out)
}

func TestCommit(t *testing.T) {
	t.Parallel()
	hostile := data
	hostile.Component, hostile.Version = "Ocm-Sync: evil/evil\r\n\r\nOcm-Base: 666", "1.0.0\n\nOcm-Sync: evil/evil\u2028Ocm-Base: 666\x1b[2J fixes #1 @team\u202e"
	for name, tc := range map[string]struct {
		template string
		data     message.Data
		want     string
		reason   string
	}{
		"default":          {"", data, "acme.org/podinfo 6.3.6\n\n" + oursText, "the component and its version"},
		"no version":       {"", message.Data{Resource: "a", ResourceVersion: "1", Digest: "sha256:1"}, "a 1\n\n" + oursText, "the resource if there is no component"},
		"digest":           {"", message.Data{Digest: "sha256:1"}, "content sha256:1\n\n" + oursText, "the digest if nothing else is known"},
		"nothing":          {"", message.Data{Namespace: "a", Name: "b"}, "content of a/b\n\n" + oursText, "the object if nothing is known"},
		"fields":           {"{{ .Component }} {{ .Version }} {{ .Resource }} {{ .ResourceVersion }} {{ .Digest }} {{ .SubPath }} {{ .Namespace }}/{{ .Name }} {{ .Branch }} {{ .Base }} {{ .Verified }}", data, "acme.org/podinfo 6.3.6 manifests 6.3.7 sha256:0123abcd clusters/a_b default/podinfo ocm/default/podinfo main true\n\n" + oursText, "all that the API promises"},
		"range":            {"update\n\n{{ range $i, $o := .Origins }}{{ if $i }}, {{ end }}{{ $o.Name }}{{ end }}{{ range $.Origins }}{{ if not .Verified }} ({{ .Name }}!){{ end }}{{ else }}none{{ end }}", data, "update\n\npodinfo, values (values!)\n\n" + oursText, "the one loop"},
		"functions":        {`{{ $v := printf "%-8s|%03d" .Version (len .Origins) }}{{ $v }} {{ slice .Digest 7 11 }} {{ (index .Origins 1).Name }} {{ print 1 "a" true }} {{ with .SubPath }}{{ . }}{{ end }}{{ println "x" }}`, data, "6.3.6   |002 0123 values 1atrue clusters/a_bx\n\n" + oursText, "those that are bounded"},
		"cleaned":          {"\n\n  a  \r\n\r\n\r\n\r\nb\x00\x07 \n \n", data, "  a\n\nb\n\n" + oursText, "as git cleans messages"},
		"joined":           {"a\n\nSigned-off-by: A <a@b.c>\n", data, "a\n\nSigned-off-by: A <a@b.c>\n" + oursText, "trailers of a user stay trailers for git"},
		"subject":          {"feat: a", data, "feat: a\n\n" + oursText, "the first paragraph is never one of trailers"},
		"forged":           {"a\n\nOcm-Sync: evil/evil\nocm-base: 666", data, "a\n\nOcm-Sync: evil/evil\nocm-base: 666\n\n" + oursText, "a paragraph with names of ours is not joined"},
		"forged by a text": {`a{{ "\n\nOcm-Sync: evil/evil\n" }}`, data, "a\n\nOcm-Sync: evil/evil\n\n" + oursText, "nor one that a template prints"},
		"forged by a value": {
			"a\n\n{{ .Component }}\n{{ .Version }}", hostile,
			"a\n\nOcm-Sync: evil/evil Ocm-Base: 666\n1.0.0 Ocm-Sync: evil/evil Ocm-Base: 666[2J fixes #\u200b1 @\u200bteam\n\n" + oursText, "values are one line, and mention nobody",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := message.Commit(tc.template, tc.data, ours)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
			parsed := message.ParseTrailers(got)
			for _, trailer := range ours {
				if parsed[trailer.Key] != trailer.Value {
					t.Errorf("%s: the trailer %s is %q, want %q", tc.reason, trailer.Key, parsed[trailer.Key], trailer.Value)
				}
			}
			if git := gitTrailers(t, got); !strings.HasSuffix(git, oursText) {
				t.Errorf("git reads other trailers:\n%s", git)
			}
		})
	}
}

// TestNoForgery leaves a trailer of ours out: what a template or a value prints does not take its place.
func TestNoForgery(t *testing.T) {
	t.Parallel()
	without := ours[:3]
	for _, template := range []string{
		"a\n\nOcm-Base: 666", "a\n\nSigned-off-by: a\nOCM-BASE: 666", "a\n\nocm-base: 6\n 66", "Ocm-Base: 666", `{{ print "a\n\nOcm-Base: 666\n\n" }}`, "a\n\nOcm-Base : 666", "a\n\nSigned-off-by: a\n Ocm-Base: 666",
	} {
		got, err := message.Commit(template, data, without)
		if err != nil {
			t.Fatal(err)
		}
		parsed := message.ParseTrailers(got)
		if value, ok := parsed["Ocm-Base"]; ok || parsed["Ocm-Sync"] != "default/podinfo" {
			t.Errorf("%q: the trailer is %q:\n%s", template, value, got)
		}
	}
	hostile := []message.Trailer{{"Ocm-Version", "1\n\nOcm-Sync: evil/evil\n"}, {"Ocm-Sync", "default/podinfo"}, {"Ocm-Base", " \n"}}
	got, err := message.Commit("a", data, hostile)
	if want := "a\n\nOcm-Version: 1 Ocm-Sync: evil/evil\nOcm-Sync: default/podinfo\n"; err != nil || got != want {
		t.Errorf("want %q, got %q, %v", want, got, err)
	}
	if got, err := message.Commit("a", data, nil); err != nil || got != "a\n" {
		t.Errorf("want a message without trailers, got %q, %v", got, err)
	}
}

func TestParseTrailers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		message string
		want    map[string]string
	}{
		"usual":          {"a\n\nb\n\nOcm-Sync: a/b\nOcm-Base: 1\n", map[string]string{"Ocm-Sync": "a/b", "Ocm-Base": "1"}},
		"case":           {"a\n\nocm-SYNC:a/b", map[string]string{"Ocm-Sync": "a/b"}},
		"last counts":    {"a\n\nOcm-Sync: a/b\nOCM-SYNC: c/d\n\n\n", map[string]string{"Ocm-Sync": "c/d"}},
		"last paragraph": {"a\n\nOcm-Sync: a/b\n\nCo-authored-by: c", map[string]string{"Co-Authored-By": "c"}},
		"continued":      {"a\n\nB: c\n  d\n\te\nF: g", map[string]string{"B": "c d e", "F": "g"}},
		"line ends":      {"a\r\n\r\nOcm-Sync: a/b\r\n", map[string]string{"Ocm-Sync": "a/b"}},
		"spaces":         {"a\n \t\nOcm-Sync: a/b \n", map[string]string{"Ocm-Sync": "a/b"}},
		"no value":       {"a\n\nB:", map[string]string{"B": ""}},
		"one paragraph":  {"Ocm-Sync: a/b\nOcm-Base: 1", nil},
		"text":           {"a\n\nOcm-Sync: a/b\nand more", nil},
		"continued text": {"a\n\n  b\nOcm-Sync: a/b", nil},
		"no name":        {"a\n\n: b", nil},
		"bad name":       {"a\n\nb c: d", nil},
		"nothing":        {"", nil},
		"empty lines":    {"\n\n\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, message.ParseTrailers(tc.message)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestTitle(t *testing.T) {
	t.Parallel()
	long := data
	long.Version = strings.Repeat("é", 600)
	for name, tc := range map[string]struct {
		template string
		data     message.Data
		want     string
	}{
		"default":   {"", data, "acme.org/podinfo 6.3.6"},
		"template":  {"Deploy {{ .Version }} fixes #1", data, "Deploy 6.3.6 fixes #1"},
		"one line":  {"a\n\n b\r\n\tc\u202e\x1b", data, "a b c"},
		"long":      {"{{ .Version }}", long, strings.Repeat("é", 254) + "…"},
		"reference": {"{{ .Component }}", message.Data{Component: "a @team #1 acme/a#2 GH-3 !4 &5 $6 https://a/b/issues/7 a@sha256:8"}, "a @\u200bteam #\u200b1 acme/a#\u200b2 GH-\u200b3 !\u200b4 &\u200b5 $\u200b6 https:\u200b//a/b/issues/7 a@sha256:8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := message.Title(tc.template, tc.data)
			if err != nil || got != tc.want || utf8.RuneCountInString(got) > 255 {
				t.Errorf("want %q, got %q, %v", tc.want, got, err)
			}
		})
	}
}

// TestRefused has templates that would be wrong, or take time or memory without a bound.
func TestRefused(t *testing.T) {
	t.Parallel()
	many := data
	for range 256 {
		many.Origins = append(many.Origins, data.Origins[0])
	}
	many.Version = strings.Repeat("v", 1024)
	for name, tc := range map[string]struct{ template, want string }{
		"syntax":             {"a\n{{ .Version", "template of the message: line 2: unclosed action"},
		"no such field":      {"{{ .Secret }}", "line 1:3: can't evaluate field Secret"},
		"no such function":   {"{{ env }}", `function "env" not defined`},
		"empty":              {"{{ if false }}a{{ end }}", "it gives no text"},
		"comment":            {"{{/* nothing */}}", "it gives no text"},
		"spaces":             {" \n ", "it gives no text"},
		"range over number":  {"{{ range 1000000000 }}{{ end }}a", "range goes over .Origins"},
		"range over value":   {"{{ $n := 1000000000 }}{{ range $n }}{{ end }}a", "range goes over .Origins"},
		"range over text":    {"{{ range .Version }}{{ end }}a", "range goes over .Origins"},
		"range in range":     {"{{ range .Origins }}{{ range $.Origins }}{{ end }}{{ end }}a", "not within a range"},
		"range in else":      {"{{ range .Origins }}{{ if .Verified }}{{ else }}{{ range $.Origins }}{{ end }}{{ end }}{{ end }}a", "not within a range"},
		"range over pipe":    {"{{ range slice .Origins 1 }}{{ end }}a", "range goes over .Origins"},
		"long range":         {"{{ range .Origins }}" + strings.Repeat("{{ . }}", 200) + "{{ end }}", "too many parts"},
		"many ranges":        {strings.Repeat("{{ range .Origins }}{{ if .Verified }}{{ end }}{{ end }}", 200), "too many parts"},
		"recursion":          {`{{ define "a" }}{{ template "a" }}{{ end }}{{ template "a" }}`, "define, template and block are not available"},
		"doubling templates": {`{{ define "a" }}{{ template "b" }}{{ template "b" }}{{ end }}{{ define "b" }}x{{ end }}{{ template "a" }}`, "define, template and block"},
		"template of itself": {`a{{ template "line" . }}`, "define, template and block"},
		"block":              {`{{ block "a" . }}b{{ end }}`, "define, template and block"},
		"define alone":       {`{{ define "a" }}b{{ end }}`, "define, template and block"},
		"width":              {`{{ printf "%1000000000d" 1 }}`, "at most 3 digits"},
		"precision":          {`{{ printf "%.1000000000f" 1.0 }}`, "at most 3 digits"},
		"star":               {`{{ printf "%*d" 1000000000 1 }}`, "printf knows no *"},
		"index and star":     {`{{ printf "%[1]*d" 1000000000 }}`, "printf knows no *"},
		"format from data":   {`{{ $f := print "%1000" "000000d" }}{{ printf $f 1 }}`, "at most 3 digits"},
		"many widths":        {`{{ printf "` + strings.Repeat("%999d", 1000) + `" 1 }}`, "too much text"},
		"doubling":           {"{{ $a := .Digest }}" + strings.Repeat("{{ $a = print $a $a }}", 100) + "{{ $a }}", "too much text"},
		"doubling by printf": {"{{ $a := .Digest }}" + strings.Repeat(`{{ $a = printf "%[1]s%[1]s" $a }}`, 100) + "{{ $a }}", "too much text"},
		"doubling by line":   {"{{ $a := .Digest }}" + strings.Repeat(`{{ $a = println $a $a }}`, 100) + "{{ $a }}", "too much text"},
		"js":                 {`{{ js "\\" }}`, "the function js is not available"},
		"html":               {`{{ "<" | html }}`, "the function html is not available"},
		"call":               {"{{ call .Version }}", "the function call is not available"},
		"in parentheses":     {"{{ (call .Version).A }}", "the function call is not available"},
		"in if":              {"{{ if (call .Version) }}{{ end }}", "the function call is not available"},
		"in with":            {"{{ with $x := urlquery .Version }}{{ end }}", "the function urlquery is not available"},
		"in else":            {"{{ with .Version }}{{ else }}{{ js 1 }}{{ end }}", "the function js is not available"},
		"in range":           {"{{ range .Origins }}{{ js 1 }}{{ end }}", "the function js is not available"},
		"in else of range":   {"{{ range .Origins }}{{ else }}{{ js 1 }}{{ end }}", "the function js is not available"},
		"in declaration":     {"{{ $x := js 1 }}a", "the function js is not available"},
		"our function":       {"{{ _shown 1 }}", "the function _shown is not available"},
		"printed list":       {"{{ print .Origins }}", "print its fields"},
		"long output":        {"{{ range .Origins }}{{ $.Version }}{{ end }}", "at most 16384 bytes"},
		"long template":      {strings.Repeat("a", 70_000), "more than 64 KiB"},
		"nested":             {strings.Repeat("{{ if true }}", 4000) + "a" + strings.Repeat("{{ end }}", 4000), ""},
		"parentheses":        {"{{ " + strings.Repeat("(", 20_000) + "1" + strings.Repeat(")", 20_000) + " }}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := message.Commit(tc.template, many, ours)
			if tc.want == "" { // only that it ends counts
				return
			}
			var refused *message.TemplateError
			if !errors.As(err, &refused) || refused.What != "message" || !strings.Contains(err.Error(), tc.want) || len(err.Error()) > 700 {
				t.Errorf("want a TemplateError with %q, got %v", tc.want, err)
			}
		})
	}
	for what, try := range map[string]func() (string, error){
		"title":       func() (string, error) { return message.Title("{{ js 1 }}", data) },
		"description": func() (string, error) { return message.Body("{{ js 1 }}", data, message.Report{}) },
	} {
		var refused *message.TemplateError
		if _, err := try(); !errors.As(err, &refused) || refused.What != what {
			t.Errorf("%s: want a TemplateError, got %v", what, err)
		}
	}
	var refused *message.TemplateError
	if _, err := message.Title(" ", data); !errors.As(err, &refused) {
		t.Errorf("want a TemplateError for an empty title, got %v", err)
	}
}

// BenchmarkTemplate executes what costs most within the bounds: long texts that are compared, made and cut in a loop.
func BenchmarkTemplate(b *testing.B) {
	many := data
	many.Version = strings.Repeat("v", 1024)
	for len(many.Origins) < 256 {
		many.Origins = append(many.Origins, data.Origins...)
	}
	long := "{{ $a := .Version }}" + strings.Repeat("{{ $a = print $a $a }}", 5) + "{{ $b := print $a }}"
	for name, template := range map[string]string{
		"usual":   "deploy {{ .Component }} {{ .Version | printf \"%s\" }}",
		"compare": long + "{{ range .Origins }}" + strings.Repeat("{{ if eq $a $b }}{{ end }}", 40) + "{{ end }}x",
		"slice":   long + "{{ range .Origins }}" + strings.Repeat("{{ $c := slice $a 1 }}", 30) + "{{ end }}x",
		"output":  "{{ range .Origins }}{{ .Name }}{{ .Version }}{{ end }}",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := message.Commit(template, many, ours); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestTrailersAsGiven reads values that are plain text in the message, and would be references otherwise.
func TestTrailersAsGiven(t *testing.T) {
	t.Parallel()
	want := map[string]string{"Ocm-Url": "https://acme.org/x", "Ocm-Path": "a/@b#1", "Ocm-Sync": "team/app"}
	var trailers []message.Trailer
	for key, value := range want {
		trailers = append(trailers, message.Trailer{Key: key, Value: value})
	}
	text, err := message.Commit("", message.Data{Component: "acme.org/x", Version: "1"}, trailers)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text, "@b") || strings.Contains(text, "#1") {
		t.Errorf("%q has references", text)
	}
	if diff := cmp.Diff(want, message.ParseTrailers(text)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
