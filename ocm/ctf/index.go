package ctf

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
)

// indexFile is the name of the index.
const indexFile = "artifact-index.json"

// schemaVersion is the version of the index that is read and written.
const schemaVersion = 1

// index lists the artifacts. It is not changed once it was made.
type index struct {
	SchemaVersion int        `json:"schemaVersion"`
	Artifacts     []artifact `json:"artifacts"`

	once sync.Once
	// found leads to those of a repository, and of a tag in it.
	found map[string]*entries
}

// entries are the artifacts of one repository.
type entries struct {
	tags       map[string]artifact
	mediaTypes map[digest.Digest]string
}

// of returns the artifacts of a repository.
func (i *index) of(repository string) (*entries, bool) {
	i.once.Do(func() {
		i.found = map[string]*entries{}
		for _, a := range i.Artifacts {
			e, ok := i.found[a.Repository]
			if !ok {
				e = &entries{tags: map[string]artifact{}, mediaTypes: map[digest.Digest]string{}}
				i.found[a.Repository] = e
			}
			if a.Tag != "" {
				e.tags[a.Tag] = a
			}
			if a.MediaType != "" {
				e.mediaTypes[a.Digest] = a.MediaType
			}
		}
	})
	e, ok := i.found[repository]
	return e, ok
}

// artifact is one entry of the index. The tag may be missing, and so may the
// media type, which older tools didn't write.
type artifact struct {
	Repository string        `json:"repository"`
	Tag        string        `json:"tag,omitempty"`
	Digest     digest.Digest `json:"digest"`
	MediaType  string        `json:"mediaType,omitempty"`
}

// parseIndex reads an index. No tag may stand for two artifacts, where two
// readers could see two different ones.
func parseIndex(data []byte) (*index, error) {
	var i index
	if err := json.Unmarshal(data, &i); err != nil {
		return nil, fmt.Errorf("%s: %w", indexFile, err)
	}
	if i.SchemaVersion != schemaVersion {
		return nil, fmt.Errorf("%s: schemaVersion %d is not supported, this version reads %d", indexFile, i.SchemaVersion, schemaVersion)
	}
	tags := make(map[[2]string]digest.Digest, len(i.Artifacts))
	for _, a := range i.Artifacts {
		if a.Repository == "" {
			return nil, fmt.Errorf("%s: artifact %s has no repository", indexFile, a.Digest)
		}
		if err := a.Digest.Validate(); err != nil {
			return nil, fmt.Errorf("%s: %s:%s: digest %q: %w", indexFile, a.Repository, a.Tag, a.Digest, err)
		}
		key := [2]string{a.Repository, a.Tag}
		if other, ok := tags[key]; ok && a.Tag != "" && other != a.Digest {
			return nil, fmt.Errorf("%s: %s:%s stands for %s and for %s", indexFile, a.Repository, a.Tag, other, a.Digest)
		}
		tags[key] = a.Digest
	}
	return &i, nil
}

// tagged returns the artifact with a tag.
func (i *index) tagged(repository, tag string) (artifact, bool) {
	e, ok := i.of(repository)
	if !ok {
		return artifact{}, false
	}
	a, ok := e.tags[tag]
	return a, ok
}

// mediaType returns what the index says about a manifest, if anything.
func (i *index) mediaType(repository string, d digest.Digest) string {
	if e, ok := i.of(repository); ok {
		return e.mediaTypes[d]
	}
	return ""
}

// tags returns the tags of a repository, and whether there is such a one.
func (i *index) tags(repository string) ([]string, bool) {
	e, ok := i.of(repository)
	if !ok {
		return nil, false
	}
	return slices.Sorted(maps.Keys(e.tags)), true
}

// with returns the index with an artifact in place of what had its tag.
func (i *index) with(added artifact) *index {
	out := &index{SchemaVersion: schemaVersion, Artifacts: []artifact{added}}
	for _, a := range i.Artifacts {
		if a.Repository != added.Repository || a.Tag != added.Tag {
			out.Artifacts = append(out.Artifacts, a)
		}
	}
	slices.SortFunc(out.Artifacts, func(a, b artifact) int {
		if n := strings.Compare(a.Repository, b.Repository); n != 0 {
			return n
		}
		if n := strings.Compare(a.Tag, b.Tag); n != 0 {
			return n
		}
		return strings.Compare(a.Digest.String(), b.Digest.String())
	})
	return out
}

func (i *index) encode() ([]byte, error) {
	out := index{SchemaVersion: i.SchemaVersion, Artifacts: i.Artifacts}
	if out.Artifacts == nil {
		out.Artifacts = []artifact{}
	}
	data, err := json.Marshal(&out)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", indexFile, err)
	}
	return data, nil
}
