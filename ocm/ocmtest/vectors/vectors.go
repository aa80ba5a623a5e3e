package vectors

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
)

//go:embed testdata/vectors.tgz
var packed []byte

// Artifact is a manifest in a registry.
type Artifact struct {
	// Repository and Tag name it. The tag is empty if it was overwritten.
	Repository string `json:"repository"`
	Tag        string `json:"tag"`
	// Digest is the digest of the manifest.
	Digest digest.Digest `json:"digest"`
}

// collection is testdata/vectors.tgz.
type collection struct {
	// Archives are the indexes of transport archives by their names.
	Archives map[string]string `json:"archives"`
	// Swapped are contents of archives that are stored under the digest of
	// another.
	Swapped map[string]map[digest.Digest][]byte `json:"swapped"`
	// Registry is what the registry had that the tools used.
	Registry []Artifact `json:"registry"`

	blobs map[digest.Digest][]byte
	files map[string][]byte
}

var all = sync.OnceValue(func() *collection {
	c, err := unpack(packed)
	if err != nil {
		panic(fmt.Sprintf("testdata/vectors.tgz: %v", err)) // it is a part of this package
	}
	return c
})

func unpack(packed []byte) (*collection, error) {
	zr, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	c := &collection{blobs: map[digest.Digest][]byte{}, files: map[string][]byte{}}
	for tr := tar.NewReader(zr); ; {
		header, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return c, nil
		}
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(tr)
		if err != nil {
			return nil, err
		}
		kind, name, _ := strings.Cut(header.Name, "/")
		switch kind {
		case "blobs":
			c.blobs[digest.Digest(strings.Replace(name, ".", ":", 1))] = content
		case "files":
			c.files[name] = content
		default:
			if err := json.Unmarshal(content, c); err != nil {
				return nil, fmt.Errorf("%s: %w", header.Name, err)
			}
		}
	}
}

// Names returns the names of all transport archives, such as
// "classic/signed-pem", sorted.
func Names() []string { return slices.Sorted(maps.Keys(all().Archives)) }

// Registered returns what the registry had that the tools used, which was at
// ImageHost. The first segment of a repository is the way it got there, except
// for the images, which are below "orchard".
func Registered() []Artifact { return slices.Clone(all().Registry) }

// Blob returns a content by its digest. It is nil if there is none.
func Blob(d digest.Digest) []byte { return all().blobs[d] }

// Files returns the files of a transport archive that is a directory.
func Files(tb testing.TB, name string) map[string][]byte {
	tb.Helper()
	index, ok := all().Archives[name]
	if !ok {
		tb.Fatalf("there is no archive %s among the vectors", name)
	}
	files := map[string][]byte{"artifact-index.json": []byte(index)}
	var stack []digest.Digest
	for _, a := range Artifacts(tb, name) {
		stack = append(stack, a.Digest)
	}
	for len(stack) > 0 {
		d := stack[len(stack)-1]
		content, ok := all().content(name, d)
		if !ok {
			tb.Fatalf("%s lacks %s", name, d)
		}
		files["blobs/"+strings.Replace(d.String(), ":", ".", 1)] = content
		stack = append(stack[:len(stack)-1], children(content)...)
	}
	return files
}

// Artifacts returns what the index of a transport archive lists.
func Artifacts(tb testing.TB, name string) []Artifact {
	tb.Helper()
	var index struct {
		Artifacts []Artifact `json:"artifacts"`
	}
	if err := json.Unmarshal([]byte(all().Archives[name]), &index); err != nil {
		tb.Fatalf("index of %s: %v", name, err)
	}
	return index.Artifacts
}

func (c *collection) content(archive string, d digest.Digest) ([]byte, bool) {
	if content, ok := c.Swapped[archive][d]; ok {
		return content, true
	}
	content, ok := c.blobs[d]
	return content, ok
}

// manifest is what a manifest or an index says of other contents.
type manifest struct {
	MediaType           string          `json:"mediaType"`
	Config              *Artifact       `json:"config"`
	Layers              []Artifact      `json:"layers"`
	Manifests           []Artifact      `json:"manifests"`
	ComponentDescriptor json.RawMessage `json:"componentDescriptorLayer"`
}

// children returns what a content leads to if it is a manifest.
func children(content []byte) []digest.Digest {
	var m manifest
	if json.Unmarshal(content, &m) != nil || m.ComponentDescriptor != nil {
		return nil // some content, or the config of a component version
	}
	if m.Config != nil && m.Config.Digest != "" {
		m.Layers = append(m.Layers, *m.Config)
	}
	var out []digest.Digest
	for _, l := range append(m.Layers, m.Manifests...) {
		out = append(out, l.Digest)
	}
	return out
}

// Key returns a key or certificate in PEM form: good.pub.pem, good.priv.pem,
// good.pub.pkcs1.pem, wrong.pub.pem, wrong.priv.pem, leaf.pub.pem, leaf.key.pem,
// leaf.crt.pem, int.crt.pem, int.key.pem, ca.crt.pem, ca.key.pem, chain.pem. All
// were thrown away after the vectors were made.
func Key(tb testing.TB, name string) []byte {
	tb.Helper()
	return file(tb, "keys/"+name)
}

// Norm returns the canonical text that the signature of an archive was made
// over, as a reference tool printed it.
func Norm(tb testing.TB, name string) []byte {
	tb.Helper()
	return bytes.TrimSuffix(file(tb, name+".norm"), []byte("\n"))
}

// Norms returns the names of the archives that Norm has a text of.
func Norms() []string {
	var out []string
	for name := range all().files {
		if name, ok := strings.CutSuffix(name, ".norm"); ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func file(tb testing.TB, name string) []byte {
	tb.Helper()
	content, ok := all().files[name]
	if !ok {
		tb.Fatalf("there is no %s among the vectors", name)
	}
	return bytes.Clone(content)
}
