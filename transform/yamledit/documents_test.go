package yamledit_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/ocm-operator/ocm-operator/transform/yamledit"
)

func TestDocuments(t *testing.T) {
	t.Parallel()
	const content = "# one\na: 1\n---\n# nothing\n---\nb: [2] # two\n...\n# tail\n"
	docs, err := yamledit.Documents([]byte("\xef\xbb\xbf" + content))
	if err != nil || len(docs) != 3 {
		t.Fatalf("want 3 documents, got %v, error %v", docs, err)
	}
	var texts [][]byte
	for i, want := range []struct {
		line int
		tag  string
	}{{1, "!!map"}, {3, "!!null"}, {5, "!!map"}} {
		d := docs[i]
		texts = append(texts, d.Text)
		if d.Line != want.line || d.Node.Kind != yaml.DocumentNode || d.Node.Content[0].ShortTag() != want.tag || d.JSON {
			t.Errorf("document %d: want line %d and %s, got %+v", i, want.line, want.tag, d)
		}
	}
	if got := bytes.Join(texts, nil); string(got) != content {
		t.Errorf("the texts are not the file: %q", got)
	}
	docs, err = yamledit.Documents([]byte(`{"a": "\ud83d\ude00"}`))
	if err != nil || len(docs) != 1 || !docs[0].JSON || docs[0].Node.Content[0].Content[1].Value != "😀" {
		t.Errorf("want JSON with its surrogates, got %+v, error %v", docs, err)
	}
}

func TestDocumentsFails(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		content string
		is      error
		want    string
	}{
		"size":      {strings.Repeat(" ", yamledit.MaxBytes+1), yamledit.ErrTooLarge, "larger than"},
		"values":    {strings.Repeat(":", 600_000), yamledit.ErrTooMany, "more values"},
		"encoding":  {"\xff\xfea", nil, "UTF-16"},
		"syntax":    {"a: 1\n---\nb: [\n", nil, "document 1, whose line 1 is line 2 of the file: parse"},
		"duplicate": {"a: 1\na: 2\n", nil, `the key "a" is there twice`},
		"JSON":      {`{"a": 1, "a": 2}`, nil, `the key "a" is there twice`},
		"depth":     {strings.Repeat("[", 1000) + strings.Repeat("]", 1000), nil, "nested deeper than 200"},
		"YAML":      {strings.Repeat("- ", 1000) + "a\n", nil, "nested deeper than 200"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := yamledit.Documents([]byte(tc.content))
			if err == nil || !strings.Contains(err.Error(), tc.want) || tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("want an error with %q, got %v", tc.want, err)
			}
		})
	}
}
