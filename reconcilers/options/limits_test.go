package options_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/reconcilers/options"
	"github.com/ocm-operator/ocm-operator/snapshot/archive"
	"github.com/ocm-operator/ocm-operator/transform/cuemap"
)

func TestLimits(t *testing.T) {
	o, _, err := parse(t)
	if err != nil {
		t.Fatal(err)
	}
	want := options.Limits{
		DescriptorSize: 4 << 20, Tags: 100_000, ChartIndexSize: 16 << 20,
		ArchiveSize: 4 << 30, ArchiveEntries: 100_000, EditedFileSize: 8 << 20, ConfigSize: 1 << 20, ValuesSize: 1 << 20,
		Mappings: cuemap.Options{CPU: 5 * time.Second, Memory: 256 << 20, Output: 1 << 20, Concurrent: 1},
	}
	if diff := cmp.Diff(want, o.Limits); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	o, _, err = parse(t, "--max-archive-size=5", "--max-archive-entries=6", "--max-edited-file-size=7")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(archive.Limits{TotalBytes: 5, FileBytes: 5, Entries: 6, EditBytes: 7}, o.Limits.Archives()); diff != "" {
		t.Errorf("archives (-want +got):\n%s", diff)
	}
}

func TestLimitsHaveBounds(t *testing.T) {
	for arg, says := range map[string]string{
		"--max-descriptor-size=67108865":  "--max-descriptor-size is 67108865, want 1 to 67108864",
		"--max-tags=0":                    "--max-tags is 0, want 1 to",
		"--max-chart-index-size=0":        "--max-chart-index-size is 0, want 1 to",
		"--max-archive-size=0":            "--max-archive-size is 0, want 1 to",
		"--max-archive-entries=-1":        "--max-archive-entries is -1",
		"--max-edited-file-size=16777217": "--max-edited-file-size is 16777217, want 1 to 16777216",
		"--max-config-size=16777217":      "--max-config-size is 16777217",
		"--max-values-size=0":             "--max-values-size is 0",
		"--max-mapping-time=500ms":        "--max-mapping-time is 500ms, want 1s to 1h",
		"--max-mapping-memory=1024":       "--max-mapping-memory is 1024, want 16777216 to",
		"--max-mapping-output=0":          "--max-mapping-output is 0",
		"--concurrent-mappings=0":         "--concurrent-mappings is 0, want 1 to 64",
	} {
		if o, _, err := parse(t, arg); err == nil || o != nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: options %v, error %v; want one with %q", arg, o, err, says)
		}
	}
}
