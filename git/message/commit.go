package message

import (
	"fmt"
	"net/textproto"
	"slices"
	"strings"
	"unicode"
)

const (
	// maxMessage bounds what the template of a message gives.
	maxMessage = 16 << 10

	maxTitle     = 255 // characters; GitHub takes 256 and GitLab 255
	maxTitleText = 8 << 10
)

// Commit returns the message of a commit: what the template gives, or the component and its version if it is empty, and the
// trailers, which are always the last lines. No template and no value can replace one of them: ParseTrailers reads the last paragraph,
// and of trailers of the same name the last. Errors are *TemplateError.
func Commit(template string, d Data, trailers []Trailer) (string, error) {
	text := defuse(subject(cleaned(d)))
	if template != "" {
		out, err := render("message", template, d, maxMessage, defuse)
		if err != nil {
			return "", err
		}
		if text = paragraphs(out); text == "" {
			return "", &TemplateError{What: "message", Err: errEmpty}
		}
	}
	return text + block(text, trailers), nil
}

// Title returns the title of a pull request: what the template gives in one line, or the component and its version if it is
// empty. It has at most 255 characters. Errors are *TemplateError.
func Title(template string, d Data) (string, error) {
	text := defuse(subject(cleaned(d)))
	if template != "" {
		out, err := render("title", template, d, maxTitleText, defuse)
		if err != nil {
			return "", err
		}
		if text = keepApart(out); text == "" {
			return "", &TemplateError{What: "title", Err: errEmpty}
		}
	}
	if runes := []rune(text); len(runes) > maxTitle {
		text = string(runes[:maxTitle-1]) + "…"
	}
	return text, nil
}

// keepApart makes one line of a text, as flat does, and leaves what defuse has put into it.
func keepApart(s string) string {
	parts := strings.Split(s, apart)
	for i, part := range parts {
		parts[i] = strings.Map(visible, strings.ToValidUTF8(part, "\ufffd"))
	}
	return strings.Join(strings.Fields(strings.Join(parts, apart)), " ")
}

// visible maps characters that are not seen to nothing, and spaces to one kind.
func visible(r rune) rune {
	switch {
	case unicode.IsSpace(r):
		return ' '
	case unicode.IsControl(r), unicode.Is(unicode.Cf, r):
		return -1
	}
	return r
}

// subject is the default of messages and titles.
func subject(d Data) string {
	for _, words := range [][2]string{{d.Component, d.Version}, {d.Resource, d.ResourceVersion}, {"content", d.Digest}} {
		if words[0] != "" && words[1] != "" {
			return words[0] + " " + words[1]
		}
	}
	return "content of " + d.Namespace + "/" + d.Name
}

// cleaned returns data whose values can stand in a line.
func cleaned(d Data) Data {
	for _, s := range []*string{
		&d.Component, &d.Version, &d.Resource, &d.ResourceVersion, &d.Digest, &d.SubPath, &d.Namespace, &d.Name, &d.Branch, &d.Base,
	} {
		*s = oneLine(*s)
	}
	d.Origins = slices.Clone(d.Origins[:min(len(d.Origins), maxOrigins)])
	for i, o := range d.Origins {
		d.Origins[i] = Origin{Namespace: oneLine(o.Namespace), Name: oneLine(o.Name), Version: oneLine(o.Version), Verified: o.Verified}
	}
	return d
}

// paragraphs cleans a message as git does: no spaces at the ends of lines, no empty line beside another one or at an end, and no
// characters that terminals obey.
func paragraphs(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\r\n", "\n")
	s = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || !unicode.IsControl(r) {
			return r
		}
		return -1
	}, s)
	var lines []string
	for line := range strings.SplitSeq(s, "\n") {
		line = strings.TrimRightFunc(line, unicode.IsSpace)
		if line != "" || len(lines) > 0 && lines[len(lines)-1] != "" {
			lines = append(lines, line)
		}
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// block returns what goes behind a message so that the trailers are its last paragraph. They join trailers that the message ends
// with, such as Signed-off-by, unless there is one of a name that is ours.
func block(text string, trailers []Trailer) string {
	var b strings.Builder
	for _, t := range trailers {
		if value := defuse(oneLine(t.Value)); value != "" {
			fmt.Fprintf(&b, "%s: %s\n", t.Key, value)
		}
	}
	if b.Len() == 0 {
		return "\n"
	}
	theirs := ParseTrailers(text)
	if len(theirs) == 0 {
		return "\n\n" + b.String()
	}
	for key := range theirs {
		ours := func(t Trailer) bool { return canonical(t.Key) == key }
		if strings.HasPrefix(key, "Ocm-") || slices.ContainsFunc(trailers, ours) {
			return "\n\n" + b.String()
		}
	}
	return "\n" + b.String()
}

// ParseTrailers returns the trailers of a commit message by their names, in the form Ocm-Sync whatever their case. They are the
// lines of the last paragraph, if all of them are trailers and it is not the first one. Of several with one name it is the last
// that counts. Values are as they were given: the spaces of no width that make plain text of references are taken out.
func ParseTrailers(message string) map[string]string {
	message = strings.TrimRightFunc(message, unicode.IsSpace)
	trailers := map[string]string{}
	var folded []string // lines that continue the one before them
	for {
		head, line, more := cutLastLine(message)
		if strings.TrimSpace(line) == "" {
			break
		}
		if !more {
			return nil // a message of one paragraph has no trailers
		}
		message = head
		if line[0] == ' ' || line[0] == '\t' {
			folded = append(folded, strings.TrimSpace(line))
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok || !isKey(key) {
			return nil
		}
		slices.Reverse(folded)
		key, value = canonical(key), strings.TrimSpace(strings.Join(append([]string{strings.TrimSpace(value)}, folded...), " "))
		if _, later := trailers[key]; !later {
			trailers[key] = strings.ReplaceAll(value, apart, "")
		}
		folded = nil
	}
	if len(folded) > 0 || len(trailers) == 0 {
		return nil
	}
	return trailers
}

// cutLastLine tells, with more, whether there is a line above the last one.
func cutLastLine(s string) (head, line string, more bool) {
	i := strings.LastIndexByte(s, '\n')
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+1:], true
}

func canonical(key string) string { return textproto.CanonicalMIMEHeaderKey(key) }

func isKey(key string) bool {
	for i := range len(key) {
		if c := key[i]; c == '_' || c != '-' && !isWord(c) {
			return false
		}
	}
	return key != "" && len(key) <= 256
}
