package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/template"
)

// page is what the template of the README is given.
type page struct {
	Chart  *chartMetadata
	Values string
}

const generatedNote = "<!-- Written by `make generate` from README.md.gotmpl and values.yaml; edit those. -->\n"

// readme returns the README of a chart.
func readme(file string, chart *chartMetadata, v *values) ([]byte, error) {
	source, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the template of the README: %w", err)
	}
	parsed, err := template.New(readmeSource).Option("missingkey=error").Parse(string(source))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	table, err := v.table()
	if err != nil {
		return nil, err
	}
	out := bytes.NewBufferString(generatedNote)
	if err := parsed.Execute(out, page{Chart: chart, Values: table}); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return out.Bytes(), nil
}

// table lists all values, a table for each section.
func (v *values) table() (string, error) {
	var out strings.Builder
	open := false
	for _, key := range v.keys {
		if key.section != "" {
			if out.Len() > 0 {
				out.WriteString("\n")
			}
			fmt.Fprintf(&out, "### %s\n\n", key.section)
		}
		if key.section != "" || !open {
			out.WriteString("| Key | Default | Description |\n| --- | --- | --- |\n")
			open = true
		}
		if err := key.rows(&out, v.file); err != nil {
			return "", err
		}
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

func (v *value) rows(out *strings.Builder, file string) error {
	standard := ""
	if v.leaf() {
		plain, err := json.Marshal(v.standard)
		if err != nil {
			return fmt.Errorf("%s:%d: %s: has what JSON can't say: %w", file, v.line, v.path, err)
		}
		standard = "`" + cell(string(plain)) + "`"
	}
	fmt.Fprintf(out, "| `%s` | %s | %s |\n", v.path, standard, cell(v.text))
	for _, child := range v.children {
		if err := child.rows(out, file); err != nil {
			return err
		}
	}
	return nil
}

// cell writes a text so that a cell of a table shows it. What looks like HTML, as <name> does, would not be shown outside of code.
func cell(text string) string {
	var out strings.Builder
	code := false
	for _, r := range strings.ReplaceAll(text, "\n\n", "\x00") {
		switch {
		case r == '\x00':
			out.WriteString("<br><br>")
		case r == '|':
			out.WriteString(`\|`)
		case r == '<' && !code:
			out.WriteString("&lt;")
		case r == '`':
			code = !code
			out.WriteRune(r)
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}
