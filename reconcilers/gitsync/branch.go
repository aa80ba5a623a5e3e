package gitsync

import "strings"

// badBranch says why git takes a text for no name of a branch, by the rules of git check-ref-format; it is empty if it does.
func badBranch(name string) string {
	switch {
	case name == "":
		return "it is empty"
	case len(name) > maxBranch:
		return "it has more than 255 characters"
	case name == "@" || name == "HEAD" || strings.HasPrefix(name, "-") || strings.HasPrefix(name, "refs/"):
		return "it means something else to git"
	case strings.Contains(name, "..") || strings.Contains(name, "@{"):
		return "it has .. or @{"
	case strings.HasSuffix(name, "."):
		return "it ends with a dot"
	case strings.ContainsAny(name, " ~^:?*[\\") || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return `it has a space, a control character, or one of ~^:?*[\`
	}
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "":
			return "it begins or ends with a slash, or has two of them in a row"
		case strings.HasPrefix(part, "."), strings.HasSuffix(part, ".lock"):
			return "a part of it begins with a dot or ends with .lock"
		}
	}
	return ""
}

// short returns the beginning of a hash, as people write it.
func short(hash string) string {
	return hash[:min(len(hash), 7)]
}
