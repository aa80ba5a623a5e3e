package archive_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/ocm-operator/ocm-operator/hack/benchtest"
	"github.com/ocm-operator/ocm-operator/snapshot/archive"
	"github.com/ocm-operator/ocm-operator/snapshot/archive/archivetest"
)

// treeSize is enough that what every archive costs by itself does not count.
const treeSize = 64 << 20

// BenchmarkReadTree reads all files of an archive.
func BenchmarkReadTree(b *testing.B) {
	plain := archivetest.Manifests(treeSize)
	for name, src := range map[string][]byte{"tar": plain, "targz": archivetest.Gzip(plain)} {
		b.Run(name, func(b *testing.B) {
			benchtest.Run(b, plain, func() error {
				for f, err := range archive.Files(bytes.NewReader(src), archive.Limits{}) {
					if err != nil {
						return err
					}
					if _, err := io.Copy(io.Discard, f); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
}

// BenchmarkCopyTree reads an archive and writes it in canonical form, compressed.
func BenchmarkCopyTree(b *testing.B) {
	plain := archivetest.Manifests(treeSize)
	for name, src := range map[string][]byte{"tar": plain, "targz": archivetest.Gzip(plain)} {
		b.Run(name, func(b *testing.B) {
			benchtest.Run(b, plain, func() error {
				_, err := archive.Copy(io.Discard, bytes.NewReader(src), nil, archive.Limits{})
				return err
			})
		})
	}
}
