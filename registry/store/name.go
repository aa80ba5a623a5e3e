package store

import (
	_ "crypto/sha256" // the digests that OCI knows
	_ "crypto/sha512"
	"strings"

	"github.com/opencontainers/go-digest"
)

const (
	// maxName is the distribution specification's advice, less nothing for the host: the
	// server does not know under which names it is reached.
	maxName = 255
	maxTag  = 128
)

// ValidName tells whether a repository name follows the grammar of the distribution
// specification: path components of lower-case letters and digits, separated inside by one dot,
// one or two underscores, or any number of hyphens.
func ValidName(name string) bool {
	if name == "" || len(name) > maxName {
		return false
	}
	for component := range strings.SplitSeq(name, "/") {
		if !validComponent(component) {
			return false
		}
	}
	return true
}

func validComponent(c string) bool {
	run := 0 // where the current run of separators began, one-based
	for i := range len(c) {
		if isLowerAlnum(c[i]) {
			if run > 0 && !validSeparator(c[run-1:i]) {
				return false
			}
			run = 0
			continue
		}
		if i == 0 {
			return false
		}
		if run == 0 {
			run = i + 1
		}
	}
	return c != "" && run == 0
}

func validSeparator(s string) bool {
	return s == "." || s == "_" || s == "__" || strings.Trim(s, "-") == ""
}

func isLowerAlnum(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }

// ValidTag tells whether a tag follows the grammar of the distribution specification.
func ValidTag(tag string) bool {
	if tag == "" || len(tag) > maxTag || tag[0] == '.' || tag[0] == '-' {
		return false
	}
	for i := range len(tag) {
		c := tag[i]
		if !isLowerAlnum(c) && (c < 'A' || c > 'Z') && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// ParseDigest checks a digest: sha256 or sha512 in lower-case hexadecimal. Nothing else gets near a
// file name.
func ParseDigest(s string) (digest.Digest, error) {
	d := digest.Digest(s)
	algorithm, encoded, found := strings.Cut(s, ":")
	known := algorithm == digest.SHA256.String() && len(encoded) == 64 || algorithm == digest.SHA512.String() && len(encoded) == 128
	if !found || !known || strings.Trim(encoded, "0123456789abcdef") != "" {
		return "", &NameError{Kind: "digest", Value: s}
	}
	return d, nil
}
