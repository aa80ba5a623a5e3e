package clustertest

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/binaries"
)

// RequireNodes is an environment variable; if it is 1, a machine that can't have nodes, or packages of its distribution, fails the tests
// that need them. A machine of which that is expected sets it, as nobody reads the list of skipped tests of a run that is green.
const RequireNodes = "REQUIRE_NODES"

// NeedNodes skips a test when something is missing for a cluster with nodes, and says what: missing is what nodes.Missing says.
// Where nothing is missing, the test has to run, and where RequireNodes says so, it fails instead.
func NeedNodes(tb testing.TB, missing []string) {
	tb.Helper()
	if len(missing) == 0 {
		return
	}
	doWithout(tb, "have nodes", strings.Join(missing, "; "))
}

// NeedPackages skips a test when packages of the distribution can't be had, and says why: err is what package binaries says. Any other
// error is a fault and fails the test, and where RequireNodes says so, that one does, too.
func NeedPackages(tb testing.TB, err error) {
	tb.Helper()
	if err == nil {
		return
	}
	if !errors.Is(err, binaries.ErrNoPackages) {
		tb.Fatalf("%v", err)
	}
	doWithout(tb, "fetch packages", err.Error())
}

// doWithout skips a test, or fails it where nothing may be missing.
func doWithout(tb testing.TB, what, reasons string) {
	tb.Helper()
	if os.Getenv(RequireNodes) == "1" {
		tb.Fatalf("this machine can't %s, and %s is 1: %s", what, RequireNodes, reasons)
	}
	tb.Skipf("this machine can't %s: %s", what, reasons)
}
