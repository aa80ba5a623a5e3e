package nodes

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/ocm-operator/ocm-operator/hack/image/scratch"
)

const (
	pauseImage = "localhost/pause:1"
	dnsImage   = "localhost/coredns:1"
)

// nobody is the user of the images' programs.
const nobody = "65532:65532"

// writeImages writes archives of the images that every node needs beside their programs, unless they are there, and returns
// them.
func writeImages(p *programs) ([]string, error) {
	var archives []string
	for _, image := range []struct{ name, program string }{{pauseImage, p.Pause}, {dnsImage, p.CoreDNS}} {
		name := filepath.Base(image.program)
		path := image.program + ".tar"
		archives = append(archives, path)
		if _, err := os.Stat(path); err == nil {
			continue
		}
		archive := scratch.Archive{Names: []string{image.name}, Images: []scratch.Image{{
			Platform: scratch.Platform{OS: "linux", Architecture: runtime.GOARCH},
			Files:    []scratch.File{{Name: "/" + name, Mode: 0o755, Path: image.program}}, Entrypoint: []string{"/" + name}, User: nobody,
		}}}
		_, err := archive.WriteFile(path + ".new")
		if err == nil {
			err = os.Rename(path+".new", path)
		}
		if err != nil {
			return nil, fmt.Errorf("make image of %s: %w", name, err)
		}
	}
	return archives, nil
}
