package message_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/git/message"
)

// FuzzImages finds images in files: what is found can be an image, and the other way round it is the reverse.
func FuzzImages(f *testing.F) {
	f.Add([]byte(deployment), []byte(strings.ReplaceAll(deployment, "6.3.5", "6.3.6")))
	f.Add([]byte("image: {repository: x, tag: 1.0}\n"), []byte("images:\n- {name: a, newTag: 2}\n"))
	f.Add([]byte("a: &i x:1\nimage: *i\n<<: *i\n"), []byte("image: x\n---\n--- {image: y}\n...\n"))
	f.Add([]byte(`{"image": "a"}`), []byte(bomb()))
	f.Fuzz(func(t *testing.T, before, after []byte) {
		changes := message.Images("p", before, after)
		for i, c := range changes {
			if c.From == c.To || c.Path != "p" || len(c.From)+len(c.To) > 2048 || strings.ContainsAny(c.From+c.To, " \n`<>\x00") {
				t.Fatalf("not a change of images: %+v", c)
			}
			if i > 0 && changes[i-1] == c {
				t.Fatalf("twice: %+v", c)
			}
		}
		if diff := cmp.Diff(changes, message.Images("p", before, after)); diff != "" {
			t.Fatalf("another answer the second time: %s", diff)
		}
		if same := message.Images("p", before, before); len(same) > 0 {
			t.Fatalf("a file differs from itself: %+v", same)
		}
	})
}

// FuzzCommit executes templates: what they give is bounded, and no trailer of ours is replaced.
func FuzzCommit(f *testing.F) {
	f.Add("deploy {{ .Component }} {{ .Version }}", "1.0.0")
	f.Add("a\n\n{{ range .Origins }}{{ .Name }}: {{ $.Version }}\n{{ end }}", "x\nOcm-Sync: evil/evil")
	f.Add(`a{{ printf "%-10s|%q" .Version (slice .Digest 7) }}`, "@team #1")
	f.Add("a\n\nSigned-off-by: b\nocm-base: {{ .Version }}", "666")
	f.Add("{{ $a := print .Version .Version }}{{ if eq $a .Version }}{{ else }}{{ $a }}{{ end }}", "a")
	f.Fuzz(func(t *testing.T, template, version string) {
		d := data
		d.Version = version
		text, err := message.Commit(template, d, ours[:3])
		if err != nil {
			return
		}
		trailers := message.ParseTrailers(text)
		if _, ok := trailers["Ocm-Base"]; ok || trailers["Ocm-Sync"] != "default/podinfo" || len(text) > 20<<10 || strings.ContainsRune(text, 0) {
			t.Fatalf("%v in\n%q", trailers, text)
		}
		if title, err := message.Title(template, d); err == nil && strings.ContainsAny(title, "\n\r") {
			t.Fatalf("the title has several lines: %q", title)
		}
	})
}

// FuzzParse reads messages and texts that others have written, alone and with ours at their end.
func FuzzParse(f *testing.F) {
	f.Add("a\n\nOcm-Sync: a/b\n  c\r\nocm-base: 1\n")
	f.Add("\n \t\n: \nA:\n\tb")
	f.Add(message.Marker("a", "b") + "\r\n<!-- ocm-operator: GitSync c/ -->")
	f.Fuzz(func(t *testing.T, text string) {
		for key, value := range message.ParseTrailers(text) {
			if key == "" || strings.ContainsAny(key, " :\n") || strings.Contains(value, "\n") {
				t.Fatalf("not a trailer: %q: %q", key, value)
			}
		}
		if got := message.ParseTrailers(text + "\n\n" + oursText); len(got) != len(ours) || got["Ocm-Sync"] != "default/podinfo" {
			t.Fatalf("want ours, got %v", got)
		}
		if namespace, name, ok := message.ParseMarker(text); ok != (namespace != "" && name != "") {
			t.Fatalf("half a marker: %q/%q", namespace, name)
		}
		if namespace, name, ok := message.ParseMarker(text + "\n\n" + message.Marker("a", "b")); !ok || namespace != "a" || name != "b" {
			t.Fatalf("want ours, got %q/%q", namespace, name)
		}
	})
}

// FuzzBody makes texts of hostile values.
func FuzzBody(f *testing.F) {
	f.Add("{{ .Version }}", "1.0.0", "a.yaml", "x:1")
	f.Add("", "`](x) <b>", "``", "@team")
	f.Fuzz(func(t *testing.T, description, version, path, image string) {
		d := data
		d.Version, d.Component = version, path
		body, err := message.Body(description, d, message.Report{
			Signatures: []string{version}, Changes: message.Changes{Added: []string{path}, Total: 1}, Images: []message.ImageChange{{From: image, To: version, Path: path}},
		})
		if err != nil {
			return
		}
		if namespace, name, ok := message.ParseMarker(body); !ok || namespace != "default" || name != "podinfo" || len(body) > message.MaxBody {
			t.Fatalf("%d bytes, made by %s/%s:\n%s", len(body), namespace, name, body)
		}
	})
}
