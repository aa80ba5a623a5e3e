package remote

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
)

// Update is one change of one branch.
type Update struct {
	// Branch is the short name of the branch.
	Branch string
	// Old is the commit that the branch must have, zero if it must not exist. It is compared by the server itself.
	Old plumbing.Hash
	// New is the commit that the branch gets.
	New plumbing.Hash
	// Pack opens the pack with the objects that the server does not have, and tells its size, negative if that is not
	// known. It is called again if the pack has to be sent again.
	Pack func() (pack io.ReadCloser, size int64, err error)
}

// ref checks the update, and returns the full name of the branch.
func (u Update) ref() (plumbing.ReferenceName, error) {
	name := plumbing.NewBranchReferenceName(u.Branch)
	if err := name.Validate(); err != nil || len(u.Branch) > 255 || strings.ContainsFunc(u.Branch, func(r rune) bool { return printable(r) != r }) {
		return "", fmt.Errorf("%q is not a name that git allows for a branch; choose another one", cut(strings.Map(printable, u.Branch), 80))
	}
	if u.New.IsZero() || u.Pack == nil {
		return "", errors.New("a push needs a commit and a pack; branches are not deleted")
	}
	return name, nil
}

// Push sends a pack and updates a branch, all or nothing, if it still is where the update says. It returns ErrMoved if it
// is not, *RejectedError if the server refuses, and ErrInterrupted if the server did not say what became of it.
func (r *Remote) Push(ctx context.Context, u Update) error {
	ref, err := u.ref()
	if err != nil {
		return err
	}
	if err := r.push(ctx, u, ref); err != nil {
		what := fmt.Sprintf("push commit %s to branch %s", u.New, u.Branch)
		if errors.Is(err, ErrInterrupted) && ctx.Err() != nil {
			return fmt.Errorf("%s of %s: %w: %w", what, r.url, ErrInterrupted, context.Cause(ctx))
		}
		if _, verdict := errors.AsType[*RejectedError](err); verdict || errors.Is(err, ErrMoved) {
			return fmt.Errorf("%s of %s: %w", what, r.url, err)
		}
		return r.failed(ctx, what, err)
	}
	return nil
}

func (r *Remote) push(ctx context.Context, u Update, ref plumbing.ReferenceName) error {
	talking, hangUp := context.WithCancel(ctx)
	defer hangUp()
	talk, err := r.transport.open(talking, receivePack)
	if err != nil {
		return err
	}
	defer talk.close()
	advert := talk.advertised()
	// The server compares as well, when it holds the branch. This spares it the pack.
	if advert.refs.Branches[u.Branch] != u.Old {
		return ErrMoved
	}
	if !advert.caps.has("report-status") {
		return fmt.Errorf("%w: its server does not report what becomes of a push; use another server", ErrUnsupported)
	}
	command, banded, err := r.command(u, ref, advert.caps)
	if err != nil {
		return err
	}
	started := false
	answer, err := talk.ask(talking, func() (io.ReadCloser, int64, error) {
		pack, size, err := u.Pack()
		if err != nil {
			return nil, 0, fmt.Errorf("open the pack: %w", err)
		}
		started = true
		if size >= 0 {
			size += int64(len(command))
		}
		return &message{Reader: io.MultiReader(bytes.NewReader(command), pack), Closer: pack}, size, nil
	})
	if err != nil {
		return interrupted(err, started)
	}
	defer answer.Close()
	err = r.report(talk, answer, u, ref, banded)
	if lost, ok := errors.AsType[*lockError](err); ok {
		return r.settle(ctx, u, lost)
	}
	if err == nil {
		r.hearOut(answer, hangUp)
	}
	return err
}

// hearOut reads an answer to its end, as git does. A server reports before it runs what comes after a push, such as the
// hooks that start a pipeline or refresh a pull request, and many servers end those with the connection. What comes here
// changes nothing about the push, and neither does a server that has too much to say, or takes too long.
func (r *Remote) hearOut(answer io.Reader, hangUp func()) {
	enough := time.AfterFunc(r.patience, hangUp)
	defer enough.Stop()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer, maxProgress))
}

// lockError is a branch that the server could not update. Servers say the same, in their own words, when somebody was
// faster and when the name of the branch is the folder of another.
type lockError struct {
	rejected *RejectedError
}

// Error implements error.
func (e *lockError) Error() string {
	return e.rejected.Error()
}

// settle looks which of both it is.
func (r *Remote) settle(ctx context.Context, u Update, lost *lockError) error {
	talk, err := r.transport.open(ctx, receivePack)
	if err != nil {
		return fmt.Errorf("%w: %w", lost.rejected, err)
	}
	defer talk.close()
	if talk.advertised().refs.Branches[u.Branch] != u.Old {
		return ErrMoved
	}
	return lost.rejected
}

// message is a request in two parts, of which the second is closed.
type message struct {
	io.Reader
	io.Closer
}

// interrupted marks an error after which nobody knows what the server has done. What it answered itself, it knew.
func interrupted(err error, started bool) error {
	_, status := errors.AsType[*StatusError](err)
	_, redirect := errors.AsType[*RedirectError](err)
	if !started || redirect || status && !errors.Is(err, errGateway) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrInterrupted, err)
}

// command is the request before its pack.
func (r *Remote) command(u Update, ref plumbing.ReferenceName, offered capabilities) (message []byte, banded bool, err error) {
	use := []string{"report-status", "agent=" + r.options.UserAgent}
	for _, c := range []string{"side-band-64k", "quiet"} {
		if offered.has(c) {
			use = append(use, c)
		}
	}
	var out bytes.Buffer
	lines := pktline.NewEncoder(&out)
	err = errors.Join(lines.Encodef("%s %s %s\x00%s", u.Old, u.New, ref, strings.Join(use, " ")), lines.Flush())
	return out.Bytes(), slices.Contains(use, "side-band-64k"), err
}

// report reads what became of the push.
func (r *Remote) report(talk conversation, from io.Reader, u Update, ref plumbing.ReferenceName, banded bool) error {
	var said fmt.Stringer = &heard{}
	if banded {
		band := newSideband(from, r.clean)
		from, said = band, &band.said
	}
	status, err := readReport(io.LimitReader(from, maxReport), ref)
	if err != nil {
		// Whatever the server says here, it has not said that nothing was done.
		return fmt.Errorf("%w: %w", ErrInterrupted, talk.explain(serverError(err, r.clean)))
	}
	if status.ok() {
		return nil
	}
	reason := status.reason()
	text := r.clean(reason + "\n" + said.String())
	if isForbidden(said.String()) {
		return fmt.Errorf("%w: %s", ErrForbidden, text)
	}
	rejected := &RejectedError{Branch: u.Branch, Message: cmp.Or(text, "without a reason"), Protected: status.unpack == "ok" && isProtected(reason+"\n"+said.String())}
	if mayHaveMoved(reason) {
		return &lockError{rejected}
	}
	return rejected
}

// maxReport is how much a report may have: it is about one branch.
const maxReport = 256 << 10

// reportStatus is what became of the pack and of the branch. Each is "ok" or what was wrong.
type reportStatus struct {
	unpack string
	branch string
}

func (s reportStatus) ok() bool {
	return s.unpack == "ok" && s.branch == "ok"
}

// reason is what was wrong. A pack that was not taken is the reason for the branch, too.
func (s reportStatus) reason() string {
	if s.unpack != "ok" {
		return "the pack was not taken: " + s.unpack
	}
	return s.branch
}

// readReport reads a report about one branch. It returns io.ErrUnexpectedEOF for one that is not complete.
func readReport(from io.Reader, ref plumbing.ReferenceName) (reportStatus, error) {
	var out reportStatus
	lines := pktline.NewScanner(from)
	for lines.Scan() {
		line := strings.TrimSuffix(string(lines.Bytes()), "\n")
		if line == "" {
			if out.unpack == "" || out.branch == "" {
				return out, fmt.Errorf("%w: a report that leaves out the branch", ErrProtocol)
			}
			return out, nil
		}
		verb, rest, _ := strings.Cut(line, " ")
		name, why, _ := strings.Cut(rest, " ")
		switch {
		case verb == "unpack" && out.unpack == "":
			out.unpack = cmp.Or(rest, "it does not say why")
		case verb == "ok" && name == string(ref):
			out.branch = cmp.Or(out.branch, "ok")
		case verb == "ng" && name == string(ref):
			out.branch = cmp.Or(why, "it does not say why")
		default:
			return out, fmt.Errorf("%w: a report about something that was not pushed", ErrProtocol)
		}
	}
	if err := lines.Err(); err != nil {
		return out, err
	}
	return out, io.ErrUnexpectedEOF
}

// mayHaveMoved reports whether a reason can mean that the branch was not where it was expected. Servers have no other way
// to say it than these texts.
func mayHaveMoved(reason string) bool {
	return containsAny(reason, "failed to update ref", "failed to lock", "cannot lock ref", "unable to lock", "lock error", "incorrect old value",
		"already exists", "exists; cannot create", "fetch first", "stale info")
}

// isProtected reports whether a rule about the branch is the reason.
func isProtected(said string) bool {
	return containsAny(said, "hook declined", "protected", "rule violation", "not allowed", "prohibited", "denied", "denying", "non-fast-forward", "deny updating", "currently checked out")
}

// isForbidden reports whether the user is the reason, and no rule about a branch. Gitea takes a push of everybody who may
// read, and only its hook looks at rights.
func isForbidden(said string) bool {
	return containsAny(said, "user permission denied for writing")
}

func containsAny(text string, parts ...string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(text, part) })
}
