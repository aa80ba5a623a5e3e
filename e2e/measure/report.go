package measure

import (
	"fmt"
	"strings"
)

// Column is a contestant, in the order of the tables.
type Column struct {
	// Name is by which rows know it, and Title what tables call it.
	Name, Title string
}

// Result is what a contestant has done.
type Result struct {
	// Series is compared with that of others.
	Series Series
	// Text is shown.
	Text string
}

// Goal is how many times as fast as a contestant ours shall be.
type Goal struct {
	// Against is the name of the contestant.
	Against string
	// Least is the ratio of the speeds.
	Least float64
}

// Row is one comparison of speeds.
type Row struct {
	// Name is short, and About tells everything that must be known of it.
	Name, About string
	// Results are by the name of the contestant. All but that of ours may be missing.
	Results map[string]Result
	// Goals are aimed at.
	Goals []Goal
}

// Ratio is how many times as fast as a contestant ours is.
func (r *Row) Ratio(against string) Spread {
	return Ratio(r.Results[Ours].Series, r.Results[against].Series)
}

// Bound is something that shall not be more.
type Bound struct {
	// Name is short, and About tells everything that must be known of it.
	Name, About string
	// Show writes a number with its unit.
	Show func(int64) string
	// Values are by the name of the contestant. All but that of ours may be missing.
	Values map[string]int64
	// Most is what ours may be.
	Most int64
}

// Report is what a run has measured.
type Report struct {
	// Columns are those of rows, and Bounded those of bounds. Ours is one of them.
	Columns, Bounded []Column
	// Say is told of each row.
	Say func(format string, args ...any)

	// Rows and Bounds are in the order in which they were measured.
	Rows   []*Row
	Bounds []*Bound
}

// Add adds a comparison.
func (r *Report) Add(row *Row) {
	r.Rows = append(r.Rows, row)
	for _, c := range r.Columns {
		if result, took := row.Results[c.Name]; took {
			r.Say("%s: %s: %s", row.Name, c.Title, result.Text)
		}
	}
}

// Bound adds bounds.
func (r *Report) Bound(bounds ...*Bound) { r.Bounds = append(r.Bounds, bounds...) }

// Markdown writes the report as tables, each with what must be known of its lines below.
func (r *Report) Markdown() string {
	var out strings.Builder
	r.writeRows(&out)
	r.writeBounds(&out)
	return out.String()
}

func (r *Report) writeRows(out *strings.Builder) {
	if len(r.Rows) == 0 {
		return
	}
	head := []string{""}
	for _, c := range r.Columns {
		head = append(head, c.Title)
	}
	for _, c := range r.others() {
		head = append(head, "ours to "+c.Title)
	}
	writeHead(out, append(head, "goal"))
	for _, row := range r.Rows {
		cells := []string{row.Name}
		for _, c := range r.Columns {
			cells = append(cells, or(row.Results[c.Name].Text, "-"))
		}
		for _, c := range r.others() {
			ratio := "-"
			if len(row.Results[c.Name].Series) > 0 {
				ratio = row.Ratio(c.Name).String()
			}
			cells = append(cells, ratio)
		}
		writeCells(out, append(cells, r.verdict(row)))
	}
	fmt.Fprintln(out)
	for _, row := range r.Rows {
		fmt.Fprintf(out, "- *%s*: %s. %d rounds.\n", row.Name, row.About, len(row.Results[Ours].Series))
	}
	fmt.Fprintln(out)
}

func (r *Report) others() []Column {
	var others []Column
	for _, c := range r.Columns {
		if c.Name != Ours {
			others = append(others, c)
		}
	}
	return others
}

// verdict says whether the median reaches the goals. What all rounds agree on needs no more words.
func (r *Report) verdict(row *Row) string {
	var verdicts []string
	for _, goal := range row.Goals {
		ratio := row.Ratio(goal.Against)
		said := Met(ratio.Median >= goal.Least)
		if ratio.Least < goal.Least && ratio.Most >= goal.Least {
			said += ", not in each round"
		}
		for _, c := range r.Columns {
			if c.Name == goal.Against {
				verdicts = append(verdicts, fmt.Sprintf("%s of %s: %s", Times(goal.Least), c.Title, said))
			}
		}
	}
	return or(strings.Join(verdicts, "; "), "none")
}

func (r *Report) writeBounds(out *strings.Builder) {
	if len(r.Bounds) == 0 {
		return
	}
	head := []string{""}
	for _, c := range r.Bounded {
		head = append(head, c.Title)
	}
	writeHead(out, append(head, "at most"))
	for _, b := range r.Bounds {
		cells := []string{b.Name}
		for _, c := range r.Bounded {
			value := "not measured"
			if n, measured := b.Values[c.Name]; measured {
				value = b.Show(n)
			}
			cells = append(cells, value)
		}
		writeCells(out, append(cells, b.Show(b.Most)+": "+Met(b.Values[Ours] <= b.Most)))
	}
	fmt.Fprintln(out)
	for _, b := range r.Bounds {
		fmt.Fprintf(out, "- *%s*: %s.\n", b.Name, b.About)
	}
}

func writeHead(out *strings.Builder, titles []string) {
	writeCells(out, titles)
	fmt.Fprintln(out, "|"+strings.Repeat("---|", len(titles)))
}

func writeCells(out *strings.Builder, cells []string) {
	for _, cell := range cells {
		fmt.Fprint(out, "| "+strings.TrimLeft(cell+" ", " "))
	}
	fmt.Fprintln(out, "|")
}

func or(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}
