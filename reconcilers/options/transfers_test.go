package options_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/reconcilers/options"
)

func TestTransfers(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want options.Transfers
	}{
		"default": {nil, options.Transfers{Concurrent: 5, PerHost: 2}},
		"set":     {[]string{"--concurrent-transfers=256", "--transfers-per-host=1"}, options.Transfers{Concurrent: 256, PerHost: 1}},
		"one":     {[]string{"--concurrent-transfers=1"}, options.Transfers{Concurrent: 1, PerHost: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			o, _, err := parse(t, tc.args...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, o.Transfers); diff != "" {
				t.Errorf("transfers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBoundsOfTransfers(t *testing.T) {
	for arg, says := range map[string]string{
		"--concurrent-transfers=0":   "--concurrent-transfers is 0, want 1 to 256",
		"--concurrent-transfers=257": "--concurrent-transfers is 257",
		"--transfers-per-host=0":     "--transfers-per-host is 0, want 1 to 256",
		"--transfers-per-host=-1":    "--transfers-per-host is -1",
	} {
		t.Run(arg, func(t *testing.T) {
			if o, _, err := parse(t, arg); err == nil || o != nil || !strings.Contains(err.Error(), says) {
				t.Errorf("options %v, error %v; want one that says %s", o, err, says)
			}
		})
	}
}
