package options_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/reconcilers/options"
)

func TestRoom(t *testing.T) {
	want := options.Room{MaxBytes: 1 << 30, HighWater: 100, LowWater: 100, Grace: 5 * time.Second, ScrubInterval: time.Hour, ScrubRate: 64 << 10}
	o, _, err := parse(t, "--registry-max-size=1073741824", "--registry-high-water-mark=100", "--registry-low-water-mark=100",
		"--registry-grace=5s", "--registry-scrub-interval=1h", "--registry-scrub-rate=65536")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, o.Registry.Room); diff != "" {
		t.Errorf("room (-want +got):\n%s", diff)
	}
	if _, _, err := parse(t, "--registry-scrub-interval=0"); err != nil {
		t.Errorf("without scrubs: %v", err)
	}
}

func TestBoundsOfRoom(t *testing.T) {
	for arg, says := range map[string]string{
		"--registry-max-size=-1":          "--registry-max-size is -1",
		"--registry-high-water-mark=101":  "--registry-high-water-mark 101",
		"--registry-high-water-mark=74":   "--registry-low-water-mark is 75",
		"--registry-low-water-mark=0":     "--registry-low-water-mark is 0",
		"--registry-low-water-mark=86":    "--registry-high-water-mark 85",
		"--registry-scrub-interval=-1s":   "--registry-scrub-interval",
		"--registry-grace=0":              "--registry-grace is 0s",
		"--registry-scrub-rate=65535":     "at least 65536 bytes",
		"--registry-high-water-mark=full": "--registry-high-water-mark",
	} {
		t.Run(arg, func(t *testing.T) {
			if o, _, err := parse(t, arg); err == nil || o != nil || !strings.Contains(err.Error(), says) {
				t.Errorf("options %v, error %v; want one that says %s", o, err, says)
			}
		})
	}
}
