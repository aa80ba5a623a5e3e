package message_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/git/message"
)

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: podinfo, namespace: apps}
spec:
  template:
    spec:
      initContainers:
        - name: init
          image: busybox:1.36
      containers:
        - name: app
          image: "acme.org/podinfo:6.3.5" # pinned
        - name: proxy
          image: envoy@sha256:aaaa
`

func TestImages(t *testing.T) {
	t.Parallel()
	type change = message.ImageChange
	for name, tc := range map[string]struct {
		before, after string
		want          []change
		reason        string
	}{
		"same":     {deployment, deployment, nil, "nothing changes"},
		"comments": {deployment, "# new\n" + strings.ReplaceAll(deployment, " # pinned", ""), nil, "only comments change"},
		"containers": {
			deployment, strings.NewReplacer("busybox:1.36", "busybox:1.37", "6.3.5", "6.3.6", "aaaa", "bbbb").Replace(deployment),
			[]change{{From: "acme.org/podinfo:6.3.5", To: "acme.org/podinfo:6.3.6"}, {From: "busybox:1.36", To: "busybox:1.37"}, {From: "envoy@sha256:aaaa", To: "envoy@sha256:bbbb"}},
			"tag and digest, of init containers too",
		},
		"new":     {"", deployment, []change{{To: "acme.org/podinfo:6.3.5"}, {To: "busybox:1.36"}, {To: "envoy@sha256:aaaa"}}, "the file is new"},
		"removed": {deployment, "", []change{{From: "acme.org/podinfo:6.3.5"}, {From: "busybox:1.36"}, {From: "envoy@sha256:aaaa"}}, "the file is gone"},
		"replaced": {
			deployment, strings.ReplaceAll(deployment, "acme.org/podinfo:6.3.5", "ghcr.io/podinfo:6.3.5"),
			[]change{{From: "acme.org/podinfo:6.3.5", To: "ghcr.io/podinfo:6.3.5"}},
			"the place stays, so it is one change",
		},
		"order of containers": {
			"spec: {containers: [{name: a, image: x:1}, {name: b, image: y:1}]}", "spec: {containers: [{name: b, image: y:2}, {name: a, image: x:1}]}",
			[]change{{From: "y:1", To: "y:2"}},
			"containers are known by their names",
		},
		"order of documents": {
			"kind: A\nimage: x:1\n---\nkind: B\nimage: y:1\n", "kind: B\nimage: y:2\n---\nkind: A\nimage: x:1\n",
			[]change{{From: "y:1", To: "y:2"}},
			"documents are known by what they are",
		},
		"renamed": {
			"kind: A\nmetadata: {name: a}\nimage: acme.org:5000/x:1\n", "kind: A\nmetadata: {name: b}\nimage: acme.org:5000/x:2\n",
			[]change{{From: "acme.org:5000/x:1", To: "acme.org:5000/x:2"}},
			"the repository is the same",
		},
		"moved": {"kind: A\nmetadata: {name: a}\nimage: x:1\n", "kind: A\nmetadata: {name: b}\nspec: {image: x:1}\n", nil, "the image is the same"},
		"custom resource": {
			"kind: Kafka\nspec: {kafka: {image: kafka:1, sidecars: [{image: a:1}, {image: b:1}]}}", "kind: Kafka\nspec: {kafka: {image: kafka:2, sidecars: [{image: a:1}, {image: b:2}]}}",
			[]change{{From: "b:1", To: "b:2"}, {From: "kafka:1", To: "kafka:2"}},
			"wherever it is",
		},
		"helm": {
			"image: {repository: x, tag: 1.0}\nproxy: {image: {registry: ghcr.io, repository: p, tag: v1, digest: \"sha256:aa\"}}\nother: {proxyImage: {repository: z}}\ngit: {repository: https://acme.org/a, tag: v1}\n",
			"image: {repository: x, tag: 1.10}\nproxy: {image: {registry: ghcr.io, repository: p, tag: v2, digest: \"sha256:bb\"}}\nother: {proxyImage: {repository: zz}}\ngit: {repository: https://acme.org/a, tag: v2}\n",
			[]change{{From: "ghcr.io/p:v1@sha256:aa", To: "ghcr.io/p:v2@sha256:bb"}, {From: "x:1.0", To: "x:1.10"}, {From: "z", To: "zz"}},
			"maps of values; tags stay as they are written",
		},
		"kustomization": {
			"kind: Kustomization\nimages:\n- {name: a, newTag: 1}\n- {name: b, newName: c, newTag: v1}\n- {name: d, digest: sha256:aa}\n- {name: e}\n",
			"kind: Kustomization\nimages:\n- {name: a, newTag: 2}\n- {name: b, newName: f, newTag: v1}\n- {name: d, digest: sha256:bb}\n- {name: e}\n",
			[]change{{From: "a:1", To: "a:2"}, {From: "c:v1", To: "f:v1"}, {From: "d@sha256:aa", To: "d@sha256:bb"}},
			"newName, newTag and digest",
		},
		"json":       {`{"spec": {"image": "a:1"}}`, `{"spec": {"image": "a:2"}}`, []change{{From: "a:1", To: "a:2"}}, "JSON is YAML"},
		"aliases":    {"a: &i x:1\nimage: *i\n", "a: &i x:2\nimage: *i\n", []change{{From: "x:1", To: "x:2"}}, "an alias stands for its text"},
		"twice":      {"a: {image: x:1}\nb: {image: x:1}", "a: {image: x:2}\nb: {image: x:2}", []change{{From: "x:1", To: "x:2"}}, "a change is named once"},
		"no image":   {"image: {a: b}\nb: {image: [a]}\nc: {image: }\nd: {image: a b}\ne: {image: $(x)}\nf: {image: https://a/b.png}", "", nil, "other things of that name"},
		"template":   {"image: x:1\n---\n{{ if }}\nimage: {{ .x }}\n---\nb: {image: y:1}", "image: x:2\n---\n{{ if }}\nimage: {{ .y }}\n---\nb: {image: y:2}", []change{{From: "x:1", To: "x:2"}, {From: "y:1", To: "y:2"}}, "what is no YAML is passed over"},
		"text":       {"a: |\n  ---\n  image: x:1\nimage: y:1\n", "a: |\n  ---\n  image: x:2\nimage: y:2\n", []change{{From: "y:1", To: "y:2"}}, "a text is no document"},
		"mark":       {"\xef\xbb\xbfimage: x:1", "image: x:2", []change{{From: "x:1", To: "x:2"}}, "a byte order mark is none of the content"},
		"same name":  {"kind: A\nimage: x:1\n---\nkind: A\nimage: y:1\n", "kind: A\nimage: x:1\n---\nkind: A\nimage: y:2\n", []change{{From: "y:1", To: "y:2"}}, "documents that cannot be told apart"},
		"binary":     {"\x00\x01image", "\xff\xfeimage", nil, "no text"},
		"list items": {"kind: List\nitems: [{kind: A, image: x:1}]", "kind: List\nitems: [{kind: A, image: x:2}]", []change{{From: "x:1", To: "x:2"}}, "objects of a list"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i := range tc.want {
				tc.want[i].Path = "a/b.yaml"
			}
			content := func(s string) []byte {
				if s == "" {
					return nil
				}
				return []byte(s)
			}
			got := message.Images("a/b.yaml", content(tc.before), content(tc.after))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// bomb is a document whose aliases stand for a billion texts.
func bomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [image, image]\n")
	for i := range 30 {
		fmt.Fprintf(&b, "a%d: &a%d [*a%d, *a%d]\n", i+1, i+1, i, i)
	}
	return b.String() + "image: x:1\n"
}

// hostile are files that would cost a lot.
func hostile() map[string]string {
	return map[string]string{
		"aliases":      bomb(),
		"large":        "image: x:1\n#" + strings.Repeat(" ", 9<<20),
		"large text":   "image: x:1\n#" + strings.Repeat(" ", 3<<20),
		"values":       "image: [" + strings.Repeat(",", 1<<20) + "]",
		"deep flow":    "image: " + strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000),
		"deeper flow":  "image: " + strings.Repeat("[", 70_000),
		"deep list":    strings.Repeat("- ", 60_000) + "image: x:1",
		"deep map":     strings.Repeat("{image: ", 50_000),
		"keys":         strings.Repeat("? ", 60_000) + "image",
		"comments":     strings.Repeat("#\n", 500_000) + "image: x:1\n",
		"long image":   "image: " + strings.Repeat("x", 100_000),
		"many":         "list:\n" + strings.Repeat("- image: x:1\n", 70_000),
		"documents":    strings.Repeat("image: x:1\n---\n", 100_000),
		"long keys":    strings.Repeat("{"+strings.Repeat("k", 200)+": ", 1000) + "{image: x:1}" + strings.Repeat("}", 1000),
		"anchors":      strings.Repeat("- &a image\n", 70_000),
		"tags":         "image: " + strings.Repeat("!", 1<<20),
		"quotes":       "image: \"" + strings.Repeat("\\n", 1<<19),
		"block scalar": "image: |\n" + strings.Repeat(" x\n", 300_000),
		"empty lines":  "image: x:1\n" + strings.Repeat("\n", 1<<20) + "a: b\n",
	}
}

// TestImagesBounded ends in a time that tests have.
func TestImagesBounded(t *testing.T) {
	t.Parallel()
	for name, content := range hostile() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, c := range message.Images("a", nil, []byte(content)) {
				if c.From != "" || c.To != "x:1" && c.To != "image" && c.To != "x" || c.Path != "a" {
					t.Errorf("unexpected: %+v", c)
				}
			}
		})
	}
}

// BenchmarkImages compares a manifest of 200 deployments of which one changes, and one of which all change.
func BenchmarkImages(b *testing.B) {
	var before, one, all strings.Builder
	for i := range 200 {
		doc := strings.ReplaceAll(deployment, "name: podinfo", fmt.Sprintf("name: podinfo-%d", i)) + "---\n"
		next := strings.ReplaceAll(doc, "6.3.5", "6.3.6")
		before.WriteString(doc)
		all.WriteString(next)
		if i == 100 {
			doc = next
		}
		one.WriteString(doc)
	}
	for name, after := range map[string]string{"one": one.String(), "all": all.String()} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(before.Len()))
			b.ReportAllocs()
			for b.Loop() {
				if len(message.Images("a", []byte(before.String()), []byte(after))) != 1 {
					b.Fatal("not found")
				}
			}
		})
	}
}

// BenchmarkHostile reads the files that cost most.
func BenchmarkHostile(b *testing.B) {
	for name, content := range hostile() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = message.Images("a", nil, []byte(content))
			}
		})
	}
}

// BenchmarkBody makes the text of a usual pull request.
func BenchmarkBody(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := message.Body("Deploy {{ .Version }}{{ range .Origins }} {{ .Name }}{{ end }}", data, report); err != nil {
			b.Fatal(err)
		}
	}
}
