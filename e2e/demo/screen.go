package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const indent = "   "

// screen writes for a person. On a terminal it redraws what changes in place; elsewhere it appends lines.
type screen struct {
	out      io.Writer
	terminal bool
	steps    int
	drawn    int // lines of the table that is redrawn
}

func newScreen(out *os.File) *screen {
	info, err := out.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb" && os.Getenv("CI") == ""
	return &screen{out: out, terminal: terminal}
}

// bold and dim style text where that can be seen.
func (s *screen) bold(text string) string { return s.style("1", text) }
func (s *screen) dim(text string) string  { return s.style("2", text) }

func (s *screen) style(code, text string) string {
	if !s.terminal || os.Getenv("NO_COLOR") != "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// step begins a numbered section.
func (s *screen) step(format string, args ...any) {
	s.steps++
	s.drawn = 0
	fmt.Fprintf(s.out, "\n%s  %s\n", s.bold(strconv.Itoa(s.steps)), s.bold(fmt.Sprintf(format, args...)))
}

// section begins a section without a number.
func (s *screen) section(title string) {
	fmt.Fprintf(s.out, "\n%s\n", s.bold(title))
}

func (s *screen) line(format string, args ...any) {
	fmt.Fprintf(s.out, indent+format+"\n", args...)
}

// result prints what is true of an object now.
func (s *screen) result(kind, name, what, value string) {
	s.line("%-17s %-16s %-9s %s", kind, name, what, value)
}

// wrapped prints text in lines that are not too long to read.
func (s *screen) wrapped(text string) {
	const width = 100
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			s.line("%s", line)
			line = ""
		}
		line = strings.TrimLeft(line+" "+word, " ")
	}
	s.line("%s", line)
}

func (s *screen) blank() { fmt.Fprintln(s.out) }

// Write takes the progress of others, line by line.
func (s *screen) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		fmt.Fprintf(s.out, "%s%s\n", indent, strings.TrimRight(line, "\n"))
	}
	return len(p), nil
}

// table shows rows: all of them, in place of what was shown before, or the changed ones where lines can only be added.
func (s *screen) table(rows []row, changed []int, since time.Time) {
	if !s.terminal {
		for _, i := range changed {
			s.line("%5.1fs  %s", time.Since(since).Seconds(), rows[i].text())
		}
		return
	}
	var b strings.Builder
	b.WriteString("\x1b[?7l") // lines that are too long are cut, not wrapped
	if s.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", s.drawn)
	}
	b.WriteString("\x1b[2K" + indent + s.dim(header()) + "\n")
	for _, r := range rows {
		text := r.text()
		if r.ready != "True" {
			text = s.dim(text)
		}
		b.WriteString("\x1b[2K" + indent + text + "\n")
	}
	b.WriteString("\x1b[?7h")
	s.drawn = len(rows) + 1
	_, _ = io.WriteString(s.out, b.String()) // for people; losing a frame harms nothing
}
