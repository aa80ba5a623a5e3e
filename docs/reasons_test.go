package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReasonsAreGiven holds the pages and the code to each other: a reason that is declared is one that an object can have,
// and one that the pages explain.
func TestReasonsAreGiven(t *testing.T) {
	t.Parallel()
	declared, err := os.ReadFile(filepath.Join(root, "apis", "delivery", "v1alpha1", "reasons.go"))
	if err != nil {
		t.Fatal(err)
	}
	code := sources(t, "reconcilers")
	explained := strings.Join(tables(t), "\n")
	found := 0
	for _, match := range regexp.MustCompile(`(?m)^\t(\w+Reason) += "(\w+)"`).FindAllStringSubmatch(string(declared), -1) {
		constant, reason := match[1], match[2]
		found++
		if !strings.Contains(explained, "`"+reason+"`") {
			t.Errorf("no page explains the reason %s", reason)
		}
		if !strings.Contains(code, "v1alpha1."+constant) {
			t.Errorf("no reconciler gives the reason %s", reason)
		}
	}
	if found == 0 {
		t.Error("no reason is declared: this test looks at the wrong thing")
	}
}

// tables returns the rows of all tables in the documentation.
func tables(t *testing.T) []string {
	t.Helper()
	var rows []string
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(string(text), "\n") {
			if strings.HasPrefix(line, "|") {
				rows = append(rows, line)
			}
		}
	}
	return rows
}

// sources returns the code in a folder of the repository without its tests.
func sources(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
