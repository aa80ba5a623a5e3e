package nodes

import (
	"fmt"
	"path/filepath"

	"github.com/ocm-operator/ocm-operator/hack/image/scratch"
)

const (
	pauseImage = "localhost/pause:1"
	dnsImage   = "localhost/coredns:1"
)

// writeImages writes archives of the images that every node needs beside their programs, and returns them. It does so each time: the
// folders are named after what programs are made of, and know nothing of what archives are made by.
func writeImages(p *programs) ([]string, error) {
	var archives []string
	for _, image := range []struct{ name, program string }{{pauseImage, p.Pause}, {dnsImage, p.CoreDNS}} {
		path := image.program + ".tar"
		if _, err := scratch.Program(image.name, image.program).WriteFile(path); err != nil {
			return nil, fmt.Errorf("make image of %s: %w", filepath.Base(image.program), err)
		}
		archives = append(archives, path)
	}
	return archives, nil
}
