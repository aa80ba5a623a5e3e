package vectors

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

var from = flag.String("from", "", "a folder with unpacked vectors to write testdata/vectors.tgz from")

// folders are where transport archives are in the folder of -from.
var folders = []string{"classic", "new", "negative-classic", "negative-new"}

// TestPack holds testdata/vectors.tgz to what the code makes of its contents, and
// with -from=FOLDER writes it anew. Contents that the folder lacks are taken from
// the present file: each is known by its digest.
func TestPack(t *testing.T) {
	c := all()
	if *from != "" {
		var err error
		if c, err = collect(os.DirFS(*from)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := c.pack()
	if err != nil {
		t.Fatal(err)
	}
	if *from != "" {
		if err := os.WriteFile("testdata/vectors.tgz", got, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	// Releases of Go may compress otherwise, so the contents are compared.
	again, err := unpack(got)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.EqualFunc(again.blobs, c.blobs, bytes.Equal) || !maps.EqualFunc(again.files, c.files, bytes.Equal) ||
		!maps.Equal(again.Archives, c.Archives) || !slices.Equal(again.Registry, c.Registry) {
		t.Error("the file has other contents than archives and registry lead to; write it again with -from")
	}
	if len(packed) > 150_000 {
		t.Errorf("the file has %d bytes", len(packed))
	}
}

// collect reads unpacked vectors.
func collect(root fs.FS) (*collection, error) {
	c := &collection{Archives: map[string]string{}, Swapped: map[string]map[digest.Digest][]byte{}, blobs: maps.Clone(all().blobs), files: map[string][]byte{}}
	for _, folder := range folders {
		archives, err := fs.Glob(root, folder+"/*/artifact-index.json")
		if err != nil {
			return nil, err
		}
		for _, index := range archives {
			if err := c.collectArchive(root, path.Dir(index)); err != nil {
				return nil, err
			}
		}
	}
	for _, pattern := range []string{"keys/*.pem", "classic/*.norm", "negative-*/expected.json", "classic/*.tgz"} {
		names, err := fs.Glob(root, pattern)
		if err != nil || len(names) == 0 {
			return nil, fmt.Errorf("no %s: %w", pattern, err)
		}
		for _, name := range names {
			if c.files[name], err = fs.ReadFile(root, name); err != nil {
				return nil, err
			}
		}
	}
	return c, c.collectRegistry(root)
}

func (c *collection) collectArchive(root fs.FS, name string) error {
	index, err := fs.ReadFile(root, name+"/artifact-index.json")
	if err != nil {
		return err
	}
	c.Archives[name] = string(index)
	blobs, err := fs.ReadDir(root, name+"/blobs")
	if err != nil {
		return err
	}
	for _, b := range blobs {
		content, err := fs.ReadFile(root, name+"/blobs/"+b.Name())
		if err != nil {
			return err
		}
		d := digest.Digest(strings.Replace(b.Name(), ".", ":", 1))
		if d == digest.FromBytes(content) {
			c.blobs[d] = content
			continue
		}
		if c.Swapped[name] == nil {
			c.Swapped[name] = map[digest.Digest][]byte{}
		}
		c.Swapped[name][d] = content
	}
	return nil
}

// collectRegistry reads the manifests a registry had. What is not among the
// contents of archives, or cut from them, has to be known already.
func (c *collection) collectRegistry(root fs.FS) error {
	manifests, err := fs.Glob(root, "registry-dump/*/*.manifest.json")
	if err != nil {
		return err
	}
	for _, name := range manifests {
		content, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		config, err := fs.ReadFile(root, strings.TrimSuffix(name, ".manifest.json")+".config.json")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		c.blobs[digest.FromBytes(content)], c.blobs[digest.FromBytes(config)] = content, config
		a := Artifact{
			Repository: strings.ReplaceAll(path.Base(path.Dir(name)), "__", "/"),
			Tag:        strings.TrimSuffix(path.Base(name), ".manifest.json"), Digest: digest.FromBytes(content),
		}
		if _, err := c.reach("", a.Digest); err != nil {
			continue // a later version replaced it before its content was kept
		}
		c.Registry = append(c.Registry, a)
	}
	return nil
}

// reach returns what an artifact leads to, itself first.
func (c *collection) reach(archive string, d digest.Digest) ([]digest.Digest, error) {
	content, ok := c.content(archive, d)
	if !ok {
		return nil, fmt.Errorf("there is no content %s", d)
	}
	out := []digest.Digest{d}
	for _, child := range children(content) {
		below, err := c.reach(archive, child)
		if err != nil {
			return nil, err
		}
		out = append(out, below...)
	}
	return out, nil
}

// pack writes the contents that archives and the registry lead to. Contents of
// one kind are next to each other, where they compress best.
func (c *collection) pack() ([]byte, error) {
	needed := map[digest.Digest]bool{}
	take := func(archive string, d digest.Digest) error {
		found, err := c.reach(archive, d)
		for _, d := range found {
			needed[d] = true
		}
		return err
	}
	for name, index := range c.Archives {
		var listed struct {
			Artifacts []Artifact `json:"artifacts"`
		}
		if err := json.Unmarshal([]byte(index), &listed); err != nil {
			return nil, err
		}
		for _, a := range listed.Artifacts {
			if err := take(name, a.Digest); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	for _, a := range c.Registry {
		if err := take("", a.Digest); err != nil {
			return nil, err
		}
	}
	places, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	blobs := slices.SortedFunc(maps.Keys(needed), func(a, b digest.Digest) int { return compare(c.blobs[a], c.blobs[b]) })
	var out bytes.Buffer
	zw, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	tw := tar.NewWriter(zw)
	errs := []error{write(tw, "places.json", places)}
	for _, d := range blobs {
		if content, ok := c.blobs[d]; ok {
			errs = append(errs, write(tw, "blobs/"+strings.Replace(d.String(), ":", ".", 1), content))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.files)) {
		errs = append(errs, write(tw, "files/"+name, c.files[name]))
	}
	err = errors.Join(append(errs, tw.Close(), zw.Close())...)
	return out.Bytes(), err
}

func compare(a, b []byte) int {
	const head = 8
	if d := bytes.Compare(a[:min(head, len(a))], b[:min(head, len(b))]); d != 0 {
		return d
	}
	if d := len(a) - len(b); d != 0 {
		return d
	}
	return bytes.Compare(a, b)
}

func write(tw *tar.Writer, name string, content []byte) error {
	if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	_, err := tw.Write(content)
	return err
}
