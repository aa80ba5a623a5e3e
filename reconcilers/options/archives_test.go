package options_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/reconcilers/options"
)

func TestArchives(t *testing.T) {
	want := options.Archives{Dir: "/archives", TempDir: "/scratch", TempBytes: 3 << 20, MaxBytes: 2 << 20}
	o, _, err := parse(t, "--archives-dir=/archives", "--archives-temp-dir=/scratch", "--archives-temp-size=3145728", "--archives-max-size=2097152")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, o.Archives); diff != "" {
		t.Errorf("archives (-want +got):\n%s", diff)
	}
}

func TestBoundsOfArchives(t *testing.T) {
	for arg, says := range map[string]string{
		"--archives-dir=archives":     "--archives-dir \"archives\" is no absolute path",
		"--archives-temp-dir=tmp":     "--archives-temp-dir \"tmp\" is no absolute path",
		"--archives-max-size=1048575": "at least 1048576 bytes",
		"--archives-temp-size=1":      "--archives-temp-size 1",
	} {
		t.Run(arg, func(t *testing.T) {
			if o, _, err := parse(t, arg); err == nil || o != nil || !strings.Contains(err.Error(), says) {
				t.Errorf("options %v, error %v; want one that says %s", o, err, says)
			}
		})
	}
}
