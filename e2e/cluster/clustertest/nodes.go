package clustertest

import (
	"os"
	"strings"
	"testing"
)

// RequireNodes is an environment variable; if it is 1, a machine that can't have nodes fails the tests that need them. A machine of
// which that is expected sets it, as nobody reads the list of skipped tests of a run that is green.
const RequireNodes = "REQUIRE_NODES"

// NeedNodes skips a test when something is missing for a cluster with nodes, and says what: missing is what nodes.Missing says.
// Where nothing is missing, the test has to run, and where RequireNodes says so, it fails instead.
func NeedNodes(tb testing.TB, missing []string) {
	tb.Helper()
	if len(missing) == 0 {
		return
	}
	reasons := strings.Join(missing, "; ")
	if os.Getenv(RequireNodes) == "1" {
		tb.Fatalf("this machine can't have nodes, and %s is 1: %s", RequireNodes, reasons)
	}
	tb.Skipf("this machine can't have nodes: %s", reasons)
}
