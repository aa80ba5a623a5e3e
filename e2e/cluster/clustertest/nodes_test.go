package clustertest_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/binaries"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
)

// verdict is a test that can be skipped and fail without any consequence.
type verdict struct {
	testing.TB

	skipped, failed string
}

func (v *verdict) Helper()                          {}
func (v *verdict) Skipf(format string, args ...any) { v.skipped = fmt.Sprintf(format, args...) }
func (v *verdict) Fatalf(format string, args ...any) {
	v.failed = fmt.Sprintf(format, args...)
	panic(v)
}

// verdictOf lets a test judge by what it needs.
func verdictOf(need func(testing.TB)) (got verdict) {
	defer func() { _ = recover() }() // Fatal ends a test
	need(&got)
	return got
}

func TestNeedNodes(t *testing.T) { // changes the environment, so not in parallel
	const reason = "no kernel; no memory"
	for name, tc := range map[string]struct {
		reason  string
		missing []string
		require string
		want    verdict
	}{
		"nothing missing":  {reason: "the test has to run", require: "1"},
		"missing":          {reason: "the test is skipped", missing: []string{"no kernel", "no memory"}, want: verdict{skipped: "this machine can't have nodes: " + reason}},
		"another variable": {reason: "only 1 requires", missing: []string{"no kernel", "no memory"}, require: "0", want: verdict{skipped: "this machine can't have nodes: " + reason}},
		"required": {
			reason: "what is expected of a machine is missing", missing: []string{"no kernel", "no memory"}, require: "1",
			want: verdict{failed: "this machine can't have nodes, and REQUIRE_NODES is 1: " + reason},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(clustertest.RequireNodes, tc.require)
			if got := verdictOf(func(tb testing.TB) { clustertest.NeedNodes(tb, tc.missing) }); got != tc.want {
				t.Errorf("%s: got %+v, want %+v", tc.reason, got, tc.want)
			}
		})
	}
}

func TestNeedPackages(t *testing.T) { // changes the environment, so not in parallel
	lack := fmt.Errorf("promtool: %w: nobody answers", binaries.ErrNoPackages)
	for name, tc := range map[string]struct {
		reason  string
		err     error
		require string
		want    verdict
	}{
		"fetched":  {reason: "the test has to run", require: "1"},
		"lacking":  {reason: "the test is skipped", err: lack, want: verdict{skipped: "this machine can't fetch packages: " + lack.Error()}},
		"required": {reason: "it is expected of this machine", err: lack, require: "1", want: verdict{failed: "this machine can't fetch packages, and REQUIRE_NODES is 1: " + lack.Error()}},
		"a fault":  {reason: "it could have run", err: errors.New("the disk is full"), want: verdict{failed: "the disk is full"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(clustertest.RequireNodes, tc.require)
			if got := verdictOf(func(tb testing.TB) { clustertest.NeedPackages(tb, tc.err) }); got != tc.want {
				t.Errorf("%s: got %+v, want %+v", tc.reason, got, tc.want)
			}
		})
	}
}
