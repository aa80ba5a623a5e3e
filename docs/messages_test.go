package docs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMessagesAreGiven holds the tables of messages and events to the code: people look for what stands there. "..." is what
// differs from case to case.
func TestMessagesAreGiven(t *testing.T) {
	t.Parallel()
	code := sources(t, "reconcilers") + sources(t, "ocm")
	found := 0
	for _, place := range []struct{ page, header string }{
		{"componentversion.md", "| message | what to do |"},
		{"componentversion.md", "| event | when |"},
		{"gitsync.md", "| event of a GitSync | when |"},
	} {
		header := place.header
		text, err := os.ReadFile(filepath.Join("spec", "v1alpha1", place.page))
		if err != nil {
			t.Fatal(err)
		}
		_, after, ok := strings.Cut(string(text), header+"\n|---|---|\n")
		if !ok {
			t.Fatalf("there is no table with the header %s", header)
		}
		table, _, _ := strings.Cut(after, "\n\n")
		for row := range strings.Lines(table) {
			_, quoted, _ := strings.Cut(row, "`")
			message, _, _ := strings.Cut(quoted, "`")
			found++
			for part := range strings.SplitSeq(message, "...") {
				if part = strings.Trim(part, " :"); !strings.Contains(code, part) {
					t.Errorf("nothing says %q of the message %q", part, message)
				}
			}
		}
	}
	if found == 0 {
		t.Error("no message is there: this test looks at the wrong thing")
	}
}
