package message

import (
	"maps"
	"slices"
	"strings"
)

const (
	// maxFile is the largest file that is searched for images. Manifests of whole platforms have 4 MB.
	maxFile = 8 << 20
	// maxFound bounds the images of one file, and the changes that are given.
	maxFound = 4096
)

// Images returns the container images that two versions of the file at path name differently. A version that is nil is that of a
// file that is not there. They are found in YAML and JSON: texts with the key image, maps of Helm values with repository and tag
// or digest, and images of a kustomization. An image that is somewhere else than before, and the same, has not changed.
//
// It is for people to read: what cannot be read, or is too large, names no images.
func Images(path string, before, after []byte) []ImageChange {
	if len(before) > maxFile || len(after) > maxFile {
		return nil
	}
	old, now := differing(documents(before), documents(after))
	return compare(path, find(old), find(now))
}

// found are the images of a file by the places that name them.
type found map[string]string

// compare pairs images by their places first, and what is left by the names of their repositories.
func compare(path string, before, after found) []ImageChange {
	var changes []ImageChange
	var removed, added []string
	for place, from := range before {
		switch to, ok := after[place]; {
		case !ok:
			removed = append(removed, from)
		case to != from:
			changes = append(changes, ImageChange{From: from, To: to, Path: path})
		}
	}
	for place, to := range after {
		if _, ok := before[place]; !ok {
			added = append(added, to)
		}
	}
	was, is := named(before), named(after)
	removed = slices.DeleteFunc(unique(removed), func(image string) bool { return is[image] })
	added = slices.DeleteFunc(unique(added), func(image string) bool { return was[image] })
	changes = append(changes, pair(path, removed, added)...)
	changes = sorted(changes)
	return changes[:min(len(changes), maxFound)]
}

func named(f found) map[string]bool {
	set := make(map[string]bool, len(f))
	for image := range maps.Values(f) {
		set[image] = true
	}
	return set
}

func unique(all []string) []string { return slices.Compact(slices.Sorted(slices.Values(all))) }

// pair makes one change of an image that is gone and one of the same repository that is new.
func pair(path string, removed, added []string) []ImageChange {
	var changes []ImageChange
	waiting := map[string][]string{}
	for _, to := range added {
		waiting[repository(to)] = append(waiting[repository(to)], to)
	}
	for _, from := range removed {
		c := ImageChange{From: from, Path: path}
		if to := waiting[repository(from)]; len(to) > 0 {
			c.To, waiting[repository(from)] = to[0], to[1:]
		}
		changes = append(changes, c)
	}
	for _, left := range waiting {
		for _, to := range left {
			changes = append(changes, ImageChange{To: to, Path: path})
		}
	}
	return changes
}

// repository returns an image without its tag and its digest.
func repository(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		return image[:i]
	}
	return image
}
