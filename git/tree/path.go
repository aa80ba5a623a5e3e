package tree

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// CleanPath checks the path of a folder in a repository and returns it without what says nothing: a leading ./, a slash at
// the end. The root of the repository is the empty path. The error is a *PathError or a *LimitError.
func CleanPath(subPath string) (string, error) {
	if subPath == "" {
		return "", nil
	}
	parts, err := split(subPath, DefaultLimits())
	return strings.Join(parts, "/"), err
}

// split checks a path and returns its parts; the root has none.
func split(name string, l Limits) ([]string, error) {
	switch {
	case name == "":
		return nil, &PathError{Path: name, Why: "an entry has no name; name it"}
	case len(name) > l.PathBytes:
		return nil, &LimitError{What: "bytes in a path", Limit: int64(l.PathBytes), Path: name}
	case name[0] == '/':
		return nil, &PathError{Path: name, Why: "it is absolute; make it relative to the folder"}
	}
	if err := plainText(name, name); err != nil {
		return nil, err
	}
	all := strings.Split(strings.TrimSuffix(name, "/"), "/")
	parts := all[:0]
	for _, part := range all {
		if part == "." {
			continue
		}
		if err := checkPart(name, part); err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	if len(parts) > l.Depth {
		return nil, &LimitError{What: "parts in a path", Limit: int64(l.Depth), Path: name}
	}
	return parts, nil
}

// checkPart refuses a name between two slashes that leads elsewhere for someone.
func checkPart(name, part string) error {
	switch {
	case part == "":
		return &PathError{Path: name, Why: "it has an empty part; remove the second slash"}
	case part == "..":
		return &PathError{Path: name, Why: "it climbs with ..; name the folder itself"}
	case len(part) > maxPart:
		return &LimitError{What: "bytes in one name", Limit: maxPart, Path: name}
	case isDot(part, ".git", "git~1"):
		return &PathError{Path: name, Why: "some file system takes a part of it for .git, where git keeps its configuration; rename it"}
	}
	return nil
}

// plainText refuses in text what is read differently by different programs, or by people. The path is for the message.
func plainText(path, text string) error {
	if !utf8.ValidString(text) {
		return &PathError{Path: path, Why: "it is not valid UTF-8, and shows differently on each system; rename it"}
	}
	for _, r := range text {
		switch {
		case r == '\\':
			return &PathError{Path: path, Why: `it has a \, which separates folders on Windows; use /`}
		case unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp):
			return &PathError{Path: path, Why: "it has a control character or a line break; rename it"}
		}
	}
	return nil
}

// isDot tells whether some file system takes a name for that of one of git's own files: case is nothing to NTFS and HFS+;
// NTFS drops dots and spaces at the end, knows names of eight letters besides, and streams behind a colon; HFS+ drops
// characters that have no shape.
func isDot(name string, spellings ...string) bool {
	name = strings.ToLower(strings.Map(withShape, name))
	for _, s := range spellings {
		rest, ok := strings.CutPrefix(name, s)
		if !ok {
			continue
		}
		rest, _, _ = strings.Cut(rest, ":")
		if strings.Trim(rest, ". ") == "" {
			return true
		}
	}
	return false
}

// withShape drops the characters that HFS+ ignores when it compares names.
func withShape(r rune) rune {
	switch {
	case r >= 0x200c && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x206a && r <= 0x206f, r == 0xfeff:
		return -1
	}
	return r
}

// isModules tells whether a name is .gitmodules for git or for some file system. NTFS makes its short name of a hash if the
// first four are taken.
func isModules(name string) bool {
	return isDot(name, ".gitmodules", "gitmod~1", "gitmod~2", "gitmod~3", "gitmod~4") || isShort(name, "gi7eba")
}

// isAttributes tells the same of .gitattributes.
func isAttributes(name string) bool {
	return isDot(name, ".gitattributes", "gitatt~1", "gitatt~2", "gitatt~3", "gitatt~4") || isShort(name, "gi7d29")
}

// isShort tells whether a name is a short name of NTFS with a hash in it, as git counts them: the more digits, the less hash.
func isShort(name, hash string) bool {
	name = strings.ToLower(strings.Map(withShape, name))
	for n := range len(hash) + 1 {
		rest, ok := strings.CutPrefix(name, hash[:n]+"~")
		if !ok || rest == "" || rest[0] < '1' || rest[0] > '9' {
			continue
		}
		digits := strings.TrimLeft(rest, "0123456789")
		if n+1+len(rest)-len(digits) != 8 {
			continue
		}
		rest, _, _ = strings.Cut(digits, ":")
		if strings.Trim(rest, ". ") == "" {
			return true
		}
	}
	return false
}

// cleanTarget checks the target of a symbolic link that is in a folder of depth parts. Two dots are allowed at the
// beginning only, where they climb folders that are there: behind a name they could climb from wherever another link leads.
func cleanTarget(link string, depth int, target string, l Limits) error {
	switch {
	case target == "":
		return &PathError{Path: link, Why: "it is a symbolic link to nothing; remove it"}
	case len(target) > l.PathBytes:
		return &LimitError{What: "bytes in the target of a link", Limit: int64(l.PathBytes), Path: link}
	case target[0] == '/':
		return &PathError{Path: link, Why: "it is a symbolic link to an absolute path; make it relative, or replace it by the file"}
	}
	if err := plainText(link, target); err != nil {
		return err
	}
	up, named := 0, false
	for part := range strings.SplitSeq(target, "/") {
		switch {
		case part == "" || part == ".":
		case part == "..":
			if up++; named || up > depth {
				return &PathError{Path: link, Why: "it is a symbolic link that leaves the folder, or that may: put .. at the beginning only, and not above the folder"}
			}
		case isDot(part, ".git", "git~1"):
			return &PathError{Path: link, Why: "it is a symbolic link into .git, where git keeps its configuration; remove it"}
		default:
			named = true
		}
	}
	return nil
}
