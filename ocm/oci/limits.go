package oci

import "github.com/ocm-operator/ocm-operator/ocm/descriptor"

// Limits bound what is accepted from a registry. A zero field means its
// default.
type Limits struct {
	// ManifestBytes bounds manifests, 4 MiB by default.
	ManifestBytes int64
	// DescriptorBytes bounds component descriptors; by default they are bounded as
	// manifests are, up to descriptor.MaxBytes.
	DescriptorBytes int64
	// ConfigBytes bounds configs, 64 KiB by default.
	ConfigBytes int64
	// TagPages bounds the pages of one listing, by default 1,000, and more where
	// Tags is more.
	TagPages int
	// Tags bounds the tags of one listing, 100,000 by default.
	Tags int
	// Redirects bounds the redirects of one request, 5 by default.
	Redirects int
	// ArchiveEntries bounds the files of an archive: 10,000 by default for one
	// that holds an OCI artifact, 100,000 for a transport archive.
	ArchiveEntries int
	// ArchiveBytes bounds what is unpacked from an archive, 16 GiB by default.
	ArchiveBytes int64
	// ChartIndexBytes bounds the index of a chart repository, 16 MiB by default.
	ChartIndexBytes int64
}

// WithDefaults returns the limits with the defaults filled in.
func (l Limits) WithDefaults() Limits {
	manifest, tags := or(l.ManifestBytes, 4<<20), or(l.Tags, 100_000)
	return Limits{
		ManifestBytes: manifest,
		ConfigBytes:   or(l.ConfigBytes, 64<<10),
		TagPages:      or(l.TagPages, max(1000, tags/100)),
		Tags:          tags,
		Redirects:     or(l.Redirects, 5),

		DescriptorBytes: or(l.DescriptorBytes, min(manifest, descriptor.MaxBytes)),

		ArchiveEntries: l.ArchiveEntries,
		ArchiveBytes:   l.ArchiveBytes,

		ChartIndexBytes: or(l.ChartIndexBytes, 16<<20),
	}
}

func or[T int | int64](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}
