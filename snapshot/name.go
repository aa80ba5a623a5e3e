package snapshot

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

const (
	// maxObjectName is the longest name of a Kubernetes object.
	maxObjectName = 253
	// maxRepositoryName leaves room for a host name: clients count host and path together
	// and refuse more than 255 characters.
	maxRepositoryName = 190
	// maxTag is the distribution specification's bound.
	maxTag = 128
	// hashLength is how many characters of base32 make a name unique.
	hashLength = 7
)

var lowerBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Name returns the name of the Snapshot object that belongs to an owner:
// "<owner>-<7 characters>". It depends on nothing but its arguments, so an owner that lost
// its status finds its snapshot again. Owners too long for that are cut; the characters are
// taken from the whole name, so names that share a long beginning stay apart.
func Name(ownerKind, ownerName string) string {
	return cut(ownerName, maxObjectName-hashLength-1) + "-" + shortHash(ownerKind+"/"+ownerName)
}

// RepositoryName returns the registry repository of a snapshot:
// "<namespace>/<snapshot name>", so that access is granted by namespace. Names that would not
// fit into a reference are cut and made unique again.
func RepositoryName(namespace, snapshotName string) string {
	name := namespace + "/" + snapshotName
	if len(name) <= maxRepositoryName {
		return name
	}
	return cut(name, maxRepositoryName-hashLength-1) + "-" + shortHash(name)
}

// IsRepositoryName tells whether a repository can be one of a snapshot. Those with more segments are never: they are
// for others to use.
func IsRepositoryName(repository string) bool { return strings.Count(repository, "/") == 1 }

// Tag turns a version into a valid tag. The "+" before build metadata becomes ".build-",
// every other character that a tag can't have becomes "-", and what is too long is cut and
// made unique again. An empty version is "latest".
func Tag(version string) string {
	if version == "" {
		return "latest"
	}
	tag := strings.Map(tagRune, strings.ReplaceAll(version, "+", ".build-"))
	if tag[0] == '.' || tag[0] == '-' {
		tag = "_" + tag
	}
	if len(tag) <= maxTag {
		return tag
	}
	// Of separators alone nothing is left, and a tag can't begin with one.
	return cmp.Or(cut(tag, maxTag-hashLength-1), "_") + "-" + shortHash(version)
}

// ChartTag turns the version of a Helm chart into a valid tag, as Helm looks for it: the "+" before build metadata becomes
// "_". Otherwise it is like Tag.
func ChartTag(version string) string {
	return Tag(strings.ReplaceAll(version, "+", "_"))
}

func tagRune(r rune) rune {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
		return r
	default:
		return '-'
	}
}

// cut shortens s to at most n bytes and leaves no separator at the end, which neither an
// object name nor a repository name may have before the "-" that follows.
func cut(s string, n int) string {
	if len(s) > n {
		s = strings.TrimRight(s[:n], "-._/")
	}
	return s
}

func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return lowerBase32.EncodeToString(sum[:])[:hashLength]
}
