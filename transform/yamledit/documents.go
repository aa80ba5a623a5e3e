package yamledit

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Document is one document of a file, for those who need more of it than Apply does.
type Document struct {
	// Text is its text, with its "---" line and the comments around it. The texts of all
	// documents are the whole file but for its byte order mark.
	Text []byte
	// Line is the line of the file that Text begins with, from 1.
	Line int
	// Node is the document node with its comments. Its content is nothing, or null, if the
	// document is empty.
	Node *yaml.Node
	// JSON says that the file is JSON, and this is all of it.
	JSON bool
}

// Documents parses all documents of a YAML or JSON file within the bounds that Apply has. Errors are
// ErrTooLarge, ErrTooMany or say what is wrong with the file.
func Documents(content []byte) ([]Document, error) {
	if err := affordable(content); err != nil {
		return nil, err
	}
	text := bytes.TrimPrefix(content, []byte(byteOrderMark))
	f := open(text)
	docs := make([]Document, len(f.docs))
	line := 1
	for i, d := range f.docs {
		node, err := f.node(d)
		if err != nil {
			return nil, f.within(d, err)
		}
		docs[i] = Document{Text: d.text, Line: line, Node: node, JSON: f.json}
		line += bytes.Count(d.text, []byte("\n"))
	}
	return docs, nil
}

// node parses a document without locating its values in the text.
func (f *file) node(d *document) (*yaml.Node, error) {
	if f.json {
		t, err := parseJSON(d.text)
		if err != nil {
			return nil, err
		}
		return &yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{t.root}}, check(t.root, 0)
	}
	node := &yaml.Node{Kind: yaml.DocumentNode}
	if err := unmarshal(d.text, node); err != nil {
		return nil, fmt.Errorf("parse: %w", err)
	}
	return node, check(node, 0)
}
