// Command testreport reads the stream of `go test -json` and prints what a person wants to see: one line for each package
// and each slow test as they end, the whole output of whatever failed, and a summary, which names every test that was skipped
// with its reason, and repeats each line that a passing test has logged with "measured: " before it. It fails when a test
// failed and when there was no test at all.
package main

import (
	"fmt"
	"os"
	"time"
)

func main() {
	report := newReport(os.Stdout, time.Now)
	err := report.read(os.Stdin)
	report.summary()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	if !report.ok() {
		os.Exit(1)
	}
}
