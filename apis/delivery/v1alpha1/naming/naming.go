// Package naming derives the names that are part of the API: of ComponentDescriptor objects, and of the places in a tree of components.
//
// Its results are stored in clusters, so they never change; the golden values in its tests say what they are. It knows nothing but strings.
package naming

import (
	"encoding/binary"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// maxNameLength is how long the name of an object may be.
const maxNameLength = 253

// ComponentDescriptorName returns the name of the ComponentDescriptor object for a version of a component: the component's name with dashes for slashes, the version,
// and a hash of both and of the identity under which another component refers to it; the identity is empty for the component of a ComponentVersion itself.
//
// Where that is no valid object name, whatever is invalid is replaced and the hash, which tells such names apart, is kept.
func ComponentDescriptorName(component, version string, identity map[string]string) string {
	hash := strconv.FormatUint(descriptorHash(component, version, identity), 10)
	base := strings.ReplaceAll(component, "/", "-") + "-" + version
	if name := base + "-" + hash; validName(name) {
		return name
	}
	base = sanitise(base)
	if limit := maxNameLength - len(hash) - 1; len(base) > limit {
		base = strings.TrimRight(base[:limit], "-.")
	}
	if base == "" {
		return hash
	}
	return base + "-" + hash
}

// IdentityHash returns a number that stands for an identity. It does not depend on the order of the keys, and is the same for no identity and an empty one.
func IdentityHash(identity map[string]string) uint64 {
	return hashNumbers(mapHash(identity))
}

// ReferencePathKey renders the identities that lead from a component to a nested one, outermost first, as they are written in the identity of a Snapshot.
func ReferencePathKey(path []map[string]string) string {
	var key strings.Builder
	for _, element := range path {
		for i, name := range slices.Sorted(maps.Keys(element)) {
			if i > 0 {
				key.WriteByte(',')
			}
			key.WriteString(strconv.Quote(name) + "=" + strconv.Quote(element[name]))
		}
		key.WriteByte(':')
	}
	return key.String()
}

// descriptorHash hashes the three parts as a record of the name namingScheme, which is what the names in existing clusters were made from.
func descriptorHash(component, version string, identity map[string]string) uint64 {
	return hashText("namingScheme") ^
		hashNumbers(hashText("ComponentName"), hashText(component)) ^
		hashNumbers(hashText("Version"), hashText(version)) ^
		hashNumbers(hashText("Identity"), mapHash(identity))
}

// mapHash joins the entries by exclusive or, so that their order does not matter.
func mapHash(m map[string]string) uint64 {
	var hash uint64
	for key, value := range m {
		hash ^= hashNumbers(hashText(key), hashText(value))
	}
	return hash
}

func hashText(text string) uint64 {
	h := fnv.New64()
	_, _ = h.Write([]byte(text)) // a hash never fails to take bytes
	return h.Sum64()
}

func hashNumbers(numbers ...uint64) uint64 {
	h := fnv.New64()
	var buffer [8]byte
	for _, number := range numbers {
		binary.LittleEndian.PutUint64(buffer[:], number)
		_, _ = h.Write(buffer[:]) // a hash never fails to take bytes
	}
	return h.Sum64()
}

// validName tells whether the name is a DNS subdomain in the sense of RFC 1123, as the name of an object has to be.
func validName(name string) bool {
	if len(name) > maxNameLength {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.ContainsFunc(label, func(r rune) bool { return !nameRune(r) }) {
			return false
		}
	}
	return true
}

// sanitise turns the text into a DNS subdomain or into nothing.
func sanitise(text string) string {
	text = strings.Map(func(r rune) rune {
		if r == '.' || nameRune(r) {
			return r
		}
		return '-'
	}, strings.ToLower(text))
	var labels []string
	for label := range strings.SplitSeq(text, ".") {
		if label = strings.Trim(label, "-"); label != "" {
			labels = append(labels, label)
		}
	}
	return strings.Join(labels, ".")
}

func nameRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-'
}
