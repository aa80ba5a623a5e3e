package options

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	configv1 "github.com/ocm-operator/ocm-operator/apis/config/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/snapshot/archive"
	"github.com/ocm-operator/ocm-operator/transform/cuemap"
	"github.com/ocm-operator/ocm-operator/transform/yamledit"
)

// Limits bounds what is read of components, and what Localizations and Configurations read and compute. Sizes are in bytes.
type Limits struct {
	// DescriptorSize bounds a component descriptor, Tags the tags of a component, and ChartIndexSize the index of a chart
	// repository.
	DescriptorSize, ChartIndexSize int64
	Tags                           int
	// ArchiveSize and ArchiveEntries bound what an archive may unpack to.
	ArchiveSize    int64
	ArchiveEntries int
	// EditedFileSize bounds a file that a rule changes.
	EditedFileSize int64
	// ConfigSize bounds a ConfigData, and ValuesSize the values of one place.
	ConfigSize, ValuesSize int64
	// Mappings bounds the programs of mappings.
	Mappings cuemap.Options
}

// Archives returns the limits of archives.
func (l *Limits) Archives() archive.Limits {
	return archive.Limits{TotalBytes: l.ArchiveSize, FileBytes: l.ArchiveSize, Entries: l.ArchiveEntries, EditBytes: l.EditedFileSize}
}

// Components returns the limits of component repositories.
func (l *Limits) Components() ocm.Limits {
	return ocm.Limits{DescriptorBytes: l.DescriptorSize, ChartIndexBytes: l.ChartIndexSize, Tags: l.Tags}
}

func (l *Limits) bind(f *pflag.FlagSet) {
	d, c := archive.DefaultLimits(), ocm.Limits{}.WithDefaults()
	f.Int64Var(&l.DescriptorSize, "max-descriptor-size", c.DescriptorBytes, "Largest component descriptor in bytes, up to 67108864.")
	f.IntVar(&l.Tags, "max-tags", c.Tags, "How many tags the repository of a component may have.")
	f.Int64Var(&l.ChartIndexSize, "max-chart-index-size", c.ChartIndexBytes, "Largest index in bytes of a chart repository.")
	f.Int64Var(&l.ArchiveSize, "max-archive-size", d.TotalBytes, "Largest size in bytes that an archive of files may unpack to.")
	f.IntVar(&l.ArchiveEntries, "max-archive-entries", d.Entries, "How many files and directories an archive may have.")
	f.Int64Var(&l.EditedFileSize, "max-edited-file-size", d.EditBytes, fmt.Sprintf("Largest file in bytes that rules and patches change, up to %d.", yamledit.MaxBytes))
	f.Int64Var(&l.ConfigSize, "max-config-size", configv1.DefaultBytes, fmt.Sprintf("Largest ConfigData in bytes, up to %d.", configv1.MaxBytes))
	f.Int64Var(&l.ValuesSize, "max-values-size", configv1.DefaultBytes, fmt.Sprintf("Largest text of values in bytes that is read from one place, up to %d.", configv1.MaxBytes))
	f.DurationVar(&l.Mappings.CPU, "max-mapping-time", 5*time.Second, "Time of a processor that the program of a mapping may use, in whole seconds.")
	f.Int64Var(&l.Mappings.Memory, "max-mapping-memory", 256<<20, "Memory in bytes that the program of a mapping may use, at least 16777216.")
	f.Int64Var(&l.Mappings.Output, "max-mapping-output", cuemap.DefaultOutput, "Largest value in bytes that the program of a mapping may compute, as JSON.")
	f.IntVar(&l.Mappings.Concurrent, "concurrent-mappings", 1, "How many programs of mappings run at once, 1 to 64.")
}

// check checks the bounds of the bounds.
func (l *Limits) check() error {
	for _, flag := range []struct {
		name             string
		value, low, high int64
	}{
		{"max-descriptor-size", l.DescriptorSize, 1, 64 << 20},
		{"max-tags", int64(l.Tags), 1, 10_000_000},
		{"max-chart-index-size", l.ChartIndexSize, 1, 1 << 30},
		{"max-archive-size", l.ArchiveSize, 1, 1 << 50},
		{"max-archive-entries", int64(l.ArchiveEntries), 1, 1 << 30},
		{"max-edited-file-size", l.EditedFileSize, 1, yamledit.MaxBytes},
		{"max-config-size", l.ConfigSize, 1, configv1.MaxBytes},
		{"max-values-size", l.ValuesSize, 1, configv1.MaxBytes},
		{"max-mapping-memory", l.Mappings.Memory, 16 << 20, 1 << 40},
		{"max-mapping-output", l.Mappings.Output, 1, yamledit.MaxBytes},
		{"concurrent-mappings", int64(l.Mappings.Concurrent), 1, 64},
	} {
		if flag.value < flag.low || flag.value > flag.high {
			return fmt.Errorf("--%s is %d, want %d to %d", flag.name, flag.value, flag.low, flag.high)
		}
	}
	if d := l.Mappings.CPU; d < time.Second || d > time.Hour {
		return fmt.Errorf("--max-mapping-time is %s, want 1s to 1h", d)
	}
	return nil
}
