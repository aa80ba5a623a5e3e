package remote

import (
	"encoding/base64"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxText is how much of what a server says is passed on.
	maxText = 512
	// maxHeard is how much of it is looked at.
	maxHeard = 16 << 10
)

// secretsOf returns a replacer that takes credentials out of a text. Servers repeat what they are sent.
func secretsOf(o Options) *strings.Replacer {
	var pairs []string
	add := func(secret string) {
		// Addresses have it in another form. What is this short is in every text.
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
			if len(secret) >= 4 {
				pairs = append(pairs, form, "***")
			}
		}
	}
	a := o.Auth
	if a.Password != "" {
		add(base64.StdEncoding.EncodeToString([]byte(basicUser(a) + ":" + a.Password)))
	}
	if a.Password == "" || a.Password == "x-oauth-basic" {
		add(a.Username) // where some forges take tokens
	}
	add(a.Password)
	add(a.BearerToken)
	add(a.Passphrase)
	if o.Proxy != nil {
		password, _ := o.Proxy.User.Password()
		add(password)
	}
	return strings.NewReplacer(pairs...)
}

// clean makes one printable line of what a server said, without credentials and bounded.
func (r *Remote) clean(said string) string {
	if len(said) > maxHeard {
		said = said[:maxHeard]
	}
	var lines []string
	for line := range strings.SplitSeq(said, "\n") {
		line = strings.TrimRight(line, "\r")
		// What is written over on a terminal is progress, of which the last state counts.
		line = line[strings.LastIndexByte(line, '\r')+1:]
		if line = strings.TrimSpace(strings.Map(printable, line)); line != "" {
			lines = append(lines, line)
		}
	}
	return cut(r.secrets.Replace(strings.Join(lines, "; ")), maxText)
}

// printable is for strings.Map, which gives utf8.RuneError for bytes that are no text.
func printable(c rune) rune {
	switch {
	case c == utf8.RuneError:
		return '?'
	case c == '\t':
		return ' '
	case unicode.IsPrint(c):
		return c
	}
	return -1
}

// cut shortens a text to a number of bytes, between two characters.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	const dots = "..."
	end := most - len(dots)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + dots
}
