package measure

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// DescribeMachine says what the measurements ran on.
func DescribeMachine() string {
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		load = []byte("unknown")
	}
	return fmt.Sprintf("%d cores, %s/%s, %s, load %s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), strings.Join(strings.Fields(string(load))[:1], ""))
}

// Head is the first paragraph of a report.
func Head(command, machine string, at time.Time, took time.Duration, seed uint64) string {
	return fmt.Sprintf("Measured on %s by `%s` in %s: %s; seed %d.\n\n", at.UTC().Format("2006-01-02"), command, took.Round(time.Second), machine, seed)
}

// Met says whether a goal was reached.
func Met(yes bool) string {
	if yes {
		return "met"
	}
	return "**MISSED**"
}

// Times shows a ratio.
func Times(ratio float64) string { return strconv.FormatFloat(ratio, 'f', 2, 64) + " x" }

// Milliseconds shows a duration.
func Milliseconds(d time.Duration) string {
	precision := 1
	if d >= 10*time.Millisecond {
		precision = 0
	}
	return strconv.FormatFloat(d.Seconds()*1e3, 'f', precision, 64)
}

// Mebibytes shows a number of bytes.
func Mebibytes(n int64) string { return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " MiB" }

// Marks are the lines of a document between which a program writes, which is named as the user calls it.
func Marks(program string) (begin, end string) {
	return "<!-- begin of what " + program + " writes -->", "<!-- end of what " + program + " writes -->"
}

// Keep puts a report between the marks of a document.
func Keep(path, program, text string) error {
	document, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the document for the result: %w", err)
	}
	beginMark, endMark := Marks(program)
	before, rest, begin := strings.Cut(string(document), beginMark)
	_, after, end := strings.Cut(rest, endMark)
	if !begin || !end {
		return fmt.Errorf("%s needs the lines %q and %q, between which the measurements are written", path, beginMark, endMark)
	}
	changed := before + beginMark + "\n\n" + strings.TrimSpace(text) + "\n\n" + endMark + after
	return os.WriteFile(path, []byte(changed), 0o644)
}
