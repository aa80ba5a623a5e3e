package tree

import (
	"bytes"
	"regexp"
	"strings"
)

// maxChecked is the greatest size of a file whose content git itself obeys.
const maxChecked = 1 << 20

// maxAttributesLine is the longest line, without its end, that git reads of .gitattributes, and that its fsck accepts.
const maxAttributesLine = 2047

// checkOf returns the check for a file whose content git itself obeys, and nil for all others. Such files are content like
// any other, but what makes git run a command or write elsewhere is not, and servers that check what they are sent refuse it.
func checkOf(name string) func(content []byte) string {
	switch {
	case isModules(name):
		return checkModules
	case isAttributes(name):
		return checkAttributes
	}
	return nil
}

// rule is something that a file must not have.
type rule struct {
	pattern *regexp.Regexp
	why     string
}

// modulesRules are what git's fsck wants of .gitmodules, on its text: a second parser would have to read exactly what git's
// does. Quotes and backslashes are gone when they are applied, since git drops them, too.
var modulesRules = []rule{
	{regexp.MustCompile(`(?i)update\s*=\s*!`), "it makes git run a command; remove update = !command"},
	{regexp.MustCompile(`(?i)(path|url)\s*=\s*-`), "it has a path or a URL that git takes for an option; remove the - in front of it"},
	{regexp.MustCompile(`(?i)\[\s*submodule([^\]\n]*[\s/])?\.\.([/\]]|\s*\])`), "it names a submodule with .., which leads out of where git keeps them; rename it"},
	{regexp.MustCompile(`(?i)\[\s*submodule\s*(\.|\])`), `it names a submodule without quotes; write [submodule "name"]`},
	{regexp.MustCompile(`(?i)%0a`), "it has a URL with a line break, by which passwords go to another host; remove %0a"},
	{regexp.MustCompile(`(?i)url\s*=\s*(\.{1,2}/+)+[:/]`), "it has a relative URL that leads to another host; write the whole URL"},
	{regexp.MustCompile(`(?i)url\s*=\s*[a-z]+:(:|///)`), "it has a URL without a host; write the whole URL"},
}

// unquoted are the ways to drop quotes: what is left of a backslash is the character behind it, and of two of them one, which
// separates folders on Windows.
var unquoted = []*strings.Replacer{strings.NewReplacer(`"`, "", `\`, ""), strings.NewReplacer(`"`, "", `\\`, "/", `\`, "")}

func checkModules(content []byte) string {
	for _, u := range unquoted {
		text := u.Replace(string(content))
		for _, r := range modulesRules {
			if r.pattern.MatchString(text) {
				return r.why
			}
		}
	}
	return ""
}

func checkAttributes(content []byte) string {
	for line := range bytes.Lines(content) {
		if len(bytes.TrimSuffix(line, []byte("\n"))) > maxAttributesLine {
			return "it has a line of more than 2047 bytes, which git ignores; break it"
		}
	}
	return ""
}
