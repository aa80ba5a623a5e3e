package normalize

import (
	"maps"
	"slices"
	"strconv"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
)

// versioned returns the extra identities of resources where one that another
// has as well is completed by the version. Resources are treated one after the
// other, so that the last one that is left of its kind stays as it is.
func versioned(all []descriptor.Resource) func(i int) descriptor.Identity {
	names := make(map[string]int, len(all))
	for i := range all {
		names[all[i].Name]++
	}
	uses := map[string]int{}
	for i := range all {
		if names[all[i].Name] > 1 {
			uses[identityKey(all[i].Name, all[i].ExtraIdentity)]++
		}
	}
	changed := map[int]descriptor.Identity{}
	for i := range all {
		if names[all[i].Name] == 1 {
			continue
		}
		key := identityKey(all[i].Name, all[i].ExtraIdentity)
		if uses[key] < 2 {
			continue
		}
		changed[i] = withVersion(&all[i].Element)
		uses[key]--
		uses[identityKey(all[i].Name, changed[i])]++
	}
	return func(i int) descriptor.Identity {
		if id, ok := changed[i]; ok {
			return id
		}
		return all[i].ExtraIdentity
	}
}

func withVersion(e *descriptor.Element) descriptor.Identity {
	id := descriptor.Identity{}
	maps.Copy(id, e.ExtraIdentity)
	id["version"] = e.Version
	return id
}

// identityKey returns a text that only elements of one identity have.
func identityKey(name string, extra descriptor.Identity) string {
	key := strconv.AppendQuote(nil, name)
	for _, k := range slices.Sorted(maps.Keys(extra)) {
		key = strconv.AppendQuote(key, k)
		key = strconv.AppendQuote(key, extra[k])
	}
	return string(key)
}
