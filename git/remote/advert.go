package remote

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
)

// branchPrefix is where branches are among the refs.
const branchPrefix = "refs/heads/"

// hexHash is the length of a hash in a message.
const hexHash = 40

// Refs are the branches of a repository.
type Refs struct {
	// Default is the short name of the branch that HEAD points at. It may be empty, or a branch that does not exist yet.
	Default string
	// Branches are the commits of the branches by their short names.
	Branches map[string]plumbing.Hash
	// Empty is true for a repository without any branch.
	Empty bool
}

// capabilities are what a server can do, with values after an equals sign.
type capabilities []string

func (c capabilities) has(name string) bool {
	return slices.Contains(c, name)
}

// checkFormat refuses a repository whose objects have other hashes.
func (c capabilities) checkFormat() error {
	for _, one := range c {
		if format, ok := strings.CutPrefix(one, "object-format="); ok && format != "sha1" {
			return fmt.Errorf("%w: its objects have the format %q and not sha1; use another repository", ErrUnsupported, cut(strings.Map(printable, format), 32))
		}
	}
	return nil
}

// advertisement is what a server says first: what it has and what it can do.
type advertisement struct {
	caps capabilities
	refs Refs
}

// advertLimits bound it.
type advertLimits struct {
	// refs is how many branches there may be.
	refs int
}

// listBytes is how long the list of refs may be. It has those of all requests that there ever were, too, of which none
// is kept: forges have many times more of them than of branches.
func listBytes(l advertLimits) int64 {
	return int64(l.refs)*512 + 1<<20
}

// advertReader reads an advertisement.
type advertReader struct {
	lines  *pktline.Scanner
	limits advertLimits
	left   int64
	out    *advertisement
	head   plumbing.Hash
}

// readAdvertisement reads what a server says first. It keeps branches only, as a server may have a great many other refs.
func readAdvertisement(from io.Reader, limits advertLimits, clean func(string) string) (*advertisement, error) {
	a := &advertReader{lines: pktline.NewScanner(from), limits: limits, left: listBytes(limits)}
	a.out = &advertisement{refs: Refs{Branches: make(map[string]plumbing.Hash)}}
	if err := a.read(); err != nil {
		return nil, serverError(err, clean)
	}
	a.out.refs.Empty = len(a.out.refs.Branches) == 0
	a.out.refs.Default = a.defaultBranch()
	return a.out, nil
}

// next returns a line without its end, and false for the end of a section.
func (a *advertReader) next() (string, bool, error) {
	if !a.lines.Scan() {
		if err := a.lines.Err(); err != nil {
			return "", false, err
		}
		return "", false, io.ErrUnexpectedEOF
	}
	line := a.lines.Bytes()
	if a.left -= int64(len(line)) + 4; a.left < 0 {
		return "", false, &TooLargeError{What: "the bytes of the list of refs", Limit: listBytes(a.limits)}
	}
	return strings.TrimSuffix(string(line), "\n"), len(line) > 0, nil
}

func (a *advertReader) read() error {
	line, more, err := a.next()
	if err != nil {
		return err
	}
	if strings.HasPrefix(line, "# service=") {
		// HTTP has a section of its own before.
		if _, more, err = a.next(); err != nil {
			return err
		}
		if more {
			return fmt.Errorf("%w: the header does not end", ErrProtocol)
		}
		if line, more, err = a.next(); err != nil {
			return err
		}
	}
	if line == "version 1" {
		if line, more, err = a.next(); err != nil {
			return err
		}
	}
	for first := true; more; first = false {
		if err := a.line(line, first); err != nil {
			return err
		}
		if line, more, err = a.next(); err != nil {
			return err
		}
	}
	return nil
}

func (a *advertReader) line(line string, first bool) error {
	if first {
		ref, caps, ok := strings.Cut(line, "\x00")
		if !ok {
			return fmt.Errorf("%w: the first ref has no capabilities", ErrProtocol)
		}
		line, a.out.caps = ref, strings.Fields(caps)
		// The hashes of another format cannot be read.
		if err := a.out.caps.checkFormat(); err != nil {
			return err
		}
	}
	if strings.HasPrefix(line, "shallow ") {
		return nil
	}
	hex, name, ok := strings.Cut(line, " ")
	if !ok || len(hex) != hexHash || !plumbing.IsHash(hex) || name == "" {
		return fmt.Errorf("%w: a ref is not a hash and a name", ErrProtocol)
	}
	hash := plumbing.NewHash(hex)
	if name == "HEAD" {
		a.head = hash
	}
	if short, ok := strings.CutPrefix(name, branchPrefix); ok && short != "" && !strings.HasSuffix(name, "^{}") {
		a.out.refs.Branches[short] = hash
	}
	if len(a.out.refs.Branches) > a.limits.refs {
		return &TooLargeError{What: "the branches of the repository", Limit: int64(a.limits.refs)}
	}
	return nil
}

// defaultBranch is what the server says, or, where it is too old for that, a branch at the commit of HEAD.
func (a *advertReader) defaultBranch() string {
	for _, c := range a.out.caps {
		if name, ok := strings.CutPrefix(c, "symref=HEAD:"+branchPrefix); ok {
			return name
		}
	}
	var same []string
	for name, hash := range a.out.refs.Branches {
		if !a.head.IsZero() && hash == a.head {
			same = append(same, name)
		}
	}
	for _, usual := range []string{"main", "master"} {
		if slices.Contains(same, usual) {
			return usual
		}
	}
	if len(same) == 0 {
		return ""
	}
	return slices.Min(same)
}

// serverError makes an error of what a server sent in place of what it should have sent.
func serverError(err error, clean func(string) string) error {
	if line, ok := errors.AsType[*pktline.ErrorLine](err); ok {
		return saidError(line.Text, clean)
	}
	if errors.Is(err, pktline.ErrInvalidPktLen) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return err
}

// saidError makes an error of what a server said about a failure, which is a text for people in every protocol but HTTP.
func saidError(said string, clean func(string) string) error {
	text := clean(said)
	lower := strings.ToLower(said)
	for _, known := range []struct {
		means error
		texts []string
	}{
		{ErrNoSuchCommit, []string{"not our ref", "not a valid commit", "unadvertised object"}},
		{ErrNotFound, []string{
			"not found", "does not exist", "could not be found", "not appear to be a git repository", "not a git repository",
			"cannot find repository", "not exported", "no such repository",
		}},
		{ErrForbidden, []string{"permission", "denied", "not allowed", "forbidden", "unauthorized", "read-only", "read only", "not authorized"}},
	} {
		if slices.ContainsFunc(known.texts, func(t string) bool { return strings.Contains(lower, t) }) {
			return fmt.Errorf("%w: %s", known.means, text)
		}
	}
	return fmt.Errorf("the server says: %s", text)
}
