// Package measuretest runs programs that measure in tests, with tiny sizes.
package measuretest

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/e2e/measure"
)

// Main is TestMain of a program that starts itself again, as a server or whatever else it needs.
func Main(m *testing.M, p *measure.Program) {
	if p.IsChild(os.Args[1:]) {
		p.Main()
		return
	}
	os.Exit(m.Run())
}

// Run runs all parts of a program, which has been made quick. It has to measure what is wanted, by the names of rows and then of
// bounds, and to tell of each in its report.
func Run(t *testing.T, p *measure.Program, want ...string) {
	t.Helper()
	p.Progress, p.Seed = t.Output(), 1
	if err := p.Measure(t.Context(), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range p.Report.Rows {
		names = append(names, r.Name)
		checkRow(t, &p.Report, r)
	}
	for _, b := range p.Report.Bounds {
		names = append(names, b.Name)
		if ours, measured := b.Values[measure.Ours]; b.Most <= 0 || !measured || ours < 0 {
			t.Errorf("%s was not measured: %+v", b.Name, b)
		}
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("what was measured (-want +got):\n%s", diff)
	}
	text := p.Report.Markdown()
	for _, name := range names {
		if !strings.Contains(text, "| "+name+" |") || !strings.Contains(text, "- *"+name+"*: ") {
			t.Errorf("the report has no line of %s:\n%s", name, text)
		}
	}
}

// checkRow wants every contestant of a row to have been measured, ours among them, and its goals to be about contestants.
func checkRow(t *testing.T, report *measure.Report, r *measure.Row) {
	t.Helper()
	if _, measured := r.Results[measure.Ours]; !measured {
		t.Errorf("%s has nothing of ours", r.Name)
	}
	for name, result := range r.Results {
		if s := result.Series; len(s) == 0 || s[0].Amount == 0 || s[0].Took == 0 || result.Text == "" {
			t.Errorf("%s of %s was not measured: %+v", r.Name, name, result)
		}
		if !slices.ContainsFunc(report.Columns, func(c measure.Column) bool { return c.Name == name }) {
			t.Errorf("%s of %s is in no column", r.Name, name)
		}
	}
	for _, goal := range r.Goals {
		if ratio := r.Ratio(goal.Against); !(ratio.Median > 0) {
			t.Errorf("%s has the ratio %v to %s", r.Name, ratio, goal.Against)
		}
	}
}
