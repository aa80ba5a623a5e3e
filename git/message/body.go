package message

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// MaxBody is how long the text of a pull request is at most, in bytes. GitHub takes 65,536 characters.
const MaxBody = 60_000

// What the parts of a text may take of it. Their sum leaves room for headings and the marker.
const (
	maxDescription = 30_000
	maxComponent   = 8_000
	maxSignatures  = 3_000
	maxFiles       = 9_000
	maxImages      = 8_000

	// maxShown is how long a path or an image is shown.
	maxShown = 300
)

// Body returns the text of a pull request: what the template of the description gives, and below it the component, the signatures
// that were verified, the files and the images that change, and the marker. It has at most MaxBody bytes; lists that are longer say
// how much is left out. Errors are *TemplateError.
func Body(description string, d Data, r Report) (string, error) {
	var parts []string
	if description != "" {
		out, err := render("description", description, d, maxDescription, inline)
		if err != nil {
			return "", err
		}
		if out = paragraphs(out); out != "" {
			parts = append(parts, out)
		}
	}
	d = cleaned(d)
	parts = append(
		parts,
		"### Component\n\n"+list(component(d), 0, maxComponent),
		"### Verified signatures\n\n"+signatures(d, r.Signatures),
		files(r.Changes),
		images(r.Images),
		Marker(d.Namespace, d.Name),
	)
	return strings.Join(parts, "\n\n"), nil // forges cut line ends at the end, and would give back another text
}

// list joins the lines of a list until a number of bytes is reached, and says how many are missing, with those that were not
// given at all.
func list(lines []string, missing, limit int) string {
	var b strings.Builder
	for i, line := range lines {
		if b.Len()+len(line)+1 > limit {
			missing += len(lines) - i
			break
		}
		b.WriteString(line + "\n")
	}
	if missing > 0 {
		fmt.Fprintf(&b, "- and %d more\n", missing)
	}
	return strings.TrimRight(b.String(), "\n")
}

func component(d Data) []string {
	var lines []string
	add := func(name string, values ...string) {
		var shown []string
		for _, value := range values {
			if value != "" {
				shown = append(shown, code(value))
			}
		}
		if len(shown) > 0 {
			lines = append(lines, "- "+name+": "+strings.Join(shown, " "))
		}
	}
	add("Component", d.Component)
	add("Version", d.Version)
	if d.Resource != "" {
		add("Resource", d.Resource, d.ResourceVersion)
	}
	add("Digest", d.Digest)
	add("Folder", d.SubPath)
	if len(d.Origins) > 1 {
		for _, o := range d.Origins {
			verified := "not verified"
			if o.Verified {
				verified = "verified"
			}
			lines = append(lines, fmt.Sprintf("- Content of %s %s, %s", code(o.Namespace+"/"+o.Name), code(o.Version), verified))
		}
	}
	return lines
}

func signatures(d Data, names []string) string {
	switch {
	case !d.Verified:
		return "None: the content was not verified."
	case len(names) == 0:
		return "The content was verified."
	}
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	lines := make([]string, len(names))
	for i, name := range names {
		lines[i] = "- " + code(name)
	}
	return list(lines, 0, maxSignatures)
}

func files(c Changes) string {
	type file struct{ path, what string }
	var all []file
	for what, paths := range map[string][]string{"added": c.Added, "changed": c.Modified, "removed": c.Removed} {
		for _, path := range paths {
			all = append(all, file{path, what})
		}
	}
	slices.SortFunc(all, func(a, b file) int { return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.what, b.what)) })
	total := max(c.Total, len(all))
	lines := make([]string, len(all))
	for i, f := range all {
		lines[i] = "- " + f.what + " " + code(cut(f.path, maxShown))
	}
	return heading("Changed files", total) + list(lines, total-len(all), maxFiles)
}

func images(changes []ImageChange) string {
	changes = sorted(changes)
	lines := make([]string, len(changes))
	for i, c := range changes {
		from, to := code(cut(c.From, maxShown)), code(cut(c.To, maxShown))
		switch {
		case c.From == "":
			lines[i] = "- added " + to
		case c.To == "":
			lines[i] = "- removed " + from
		default:
			lines[i] = "- " + from + " → " + to
		}
		if c.Path != "" {
			lines[i] += " in " + code(cut(c.Path, maxShown))
		}
	}
	return heading("Changed images", len(changes)) + list(lines, 0, maxImages)
}

func heading(text string, n int) string {
	if n == 0 {
		return "### " + text + "\n\nNone."
	}
	return fmt.Sprintf("### %s (%d)\n\n", text, n)
}

// sorted returns the changes in the order of their files, each once.
func sorted(changes []ImageChange) []ImageChange {
	changes = slices.Clone(changes)
	slices.SortFunc(changes, func(a, b ImageChange) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return slices.Compact(changes)
}

var marker = regexp.MustCompile(`(?m)^<!-- ocm-operator: GitSync ([a-z0-9.-]{1,63})/([a-z0-9.-]{1,253}) -->\r?$`)

// Marker returns the line of the text of a pull request that says which GitSync object has made it. People do not see it.
func Marker(namespace, name string) string {
	return "<!-- ocm-operator: GitSync " + object(namespace) + "/" + object(name) + " -->"
}

// object removes what names of objects do not have, and what could end the comment.
func object(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return -1
	}, name)
}

// ParseMarker returns which GitSync object has made the text of a pull request. A text with several markers was made by the one
// of the last: that is ours, and those above it stand in the description.
func ParseMarker(body string) (namespace, name string, ok bool) {
	all := marker.FindAllStringSubmatch(body[max(0, len(body)-2*MaxBody):], -1)
	if len(all) == 0 {
		return "", "", false
	}
	last := all[len(all)-1]
	return last[1], last[2], true
}
