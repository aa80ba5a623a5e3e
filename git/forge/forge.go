package forge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Providers that New knows.
const (
	// GitHub is github.com, or GitHub Enterprise.
	GitHub = "github"
	// GitLab is gitlab.com, or a GitLab that somebody hosts.
	GitLab = "gitlab"
	// Gitea is Gitea or Forgejo.
	Gitea = "gitea"
)

// State says what became of a pull request.
type State string

// States of a Request.
const (
	// Open is a request that waits to be merged.
	Open State = "Open"
	// Merged is one that was merged.
	Merged State = "Merged"
	// Closed is one that was closed and not merged.
	Closed State = "Closed"
)

// Request is a pull request as the forge shows it.
type Request struct {
	// Number is the number in its repository, as its URL shows it.
	Number int64
	// URL is the page for people; it is empty if the forge sent none that is http or https and of a sane length.
	URL string
	// State says what became of it.
	State State
	// Title is the title without the mark of a draft, and Body the text.
	Title, Body string
	// Draft tells whether the request is marked as not ready to be merged.
	Draft bool
	// Head is the branch that is proposed, and Base the branch that it is proposed to.
	Head, Base string
	// HeadCommit is the tip of Head as the forge knows it.
	HeadCommit string
	// MergeCommit is the commit that brought the content to Base; it is empty unless State is Merged.
	MergeCommit string
	// Labels are the names of all labels, those of others too, sorted.
	Labels []string
}

// Draft says what a pull request should look like.
type Draft struct {
	// Title is cut to what all forges accept, see Clean. Empty leaves the title of an existing request alone.
	Title string
	// Body is Markdown.
	Body string
	// Head is the branch that is proposed; it cannot be changed later, and Update ignores it.
	Head string
	// Base is the branch that it is proposed to. Empty leaves the base of an existing request alone.
	Base string
	// Labels are set beside those that others set. None is ever removed.
	Labels []string
}

// Forge has the pull requests of one repository.
type Forge interface {
	// Open returns the open requests whose head is the branch of that name in this very repository, never one of a fork, with any base, by number.
	Open(ctx context.Context, head string) ([]Request, error)
	// Get returns a request in whatever state, or ErrNotFound.
	Get(ctx context.Context, number int64) (*Request, error)
	// Create opens a request. ErrExists says that there is an open one for these branches, ErrNoChanges that there is nothing to propose, and ErrNotFound that a branch is missing. A request
	// that is returned beside an error exists; its labels could not be set.
	Create(ctx context.Context, draft Draft) (*Request, error)
	// Update gives an existing request what the draft asks for, and sends nothing if it has it. A request that others marked as a draft stays one.
	Update(ctx context.Context, number int64, draft Draft) (*Request, error)
	// Close closes an open request, and comments on it then if there is something to say. That the comment is refused or gets lost is no error, as the next try finds the request closed. One that is
	// merged or closed already is left alone.
	Close(ctx context.Context, number int64, comment string) error
}

// Options say which repository of which forge.
type Options struct {
	// Provider is GitHub, GitLab or Gitea.
	Provider string
	// RepositoryURL is the address of the git repository: http, https or ssh, or user@host:path; .git at its end does no harm.
	RepositoryURL string
	// APIURL is the address of the API; the default follows from RepositoryURL, see APIURL.
	APIURL string
	// Token is sent with every request. For GitLab it is a personal, project, group or OAuth token; the token of a CI job may not open merge requests.
	Token string
	// Client sends the requests; the default is a plain one. Its CheckRedirect and its cookies are not used.
	Client *http.Client
	// UserAgent is what the operator calls itself.
	UserAgent string
}

// New returns the forge that serves a repository. It checks everything and sends nothing.
func New(o Options) (Forge, error) {
	api := o.APIURL
	if api == "" {
		var err error
		if api, err = APIURL(o.Provider, o.RepositoryURL); err != nil {
			return nil, err
		}
	}
	path, err := repositoryPath(o.RepositoryURL, api, o.Provider)
	if err != nil {
		return nil, err
	}
	c, err := newClient(o, api)
	if err != nil {
		return nil, err
	}
	switch o.Provider {
	case GitHub:
		return newGitHub(c, path), nil
	case GitLab:
		return newGitLab(c, path), nil
	case Gitea:
		return newGitea(c, path), nil
	}
	return nil, fmt.Errorf("provider %q has no pull requests: use %s, %s or %s", o.Provider, GitHub, GitLab, Gitea)
}

// errNumber is returned for numbers that no request has.
var errNumber = errors.New("the number of a pull request is 1 or more")

// check refuses drafts that no forge accepts before they are sent.
func (d Draft) check() error {
	switch {
	case d.Head == "" || d.Base == "":
		return errors.New("a pull request needs a head and a base branch")
	case d.Title == "":
		return fmt.Errorf("pull request of %s: the title is empty: set pullRequestTemplate.title", d.Head)
	}
	return nil
}

// titleBytes is how long a title may be. GitLab accepts 255 characters and GitHub one more. Gitea cuts what has more than 255 columns, where some
// characters have two, but never what has at most 255 bytes. The mark of a draft has to fit, too.
const titleBytes = 240

// ellipsis ends a title that was cut.
const ellipsis = "…"

// Clean returns the draft as it is sent: the title in one line and cut to what all forges keep, and lines of the body that end with a line feed alone.
func Clean(d Draft) Draft {
	d.Title = strings.Join(strings.Fields(strings.ToValidUTF8(d.Title, "")), " ")
	if len(d.Title) > titleBytes {
		d.Title = strings.ToValidUTF8(d.Title[:titleBytes-len(ellipsis)], "") + ellipsis
	}
	d.Body = cleanBody(d.Body)
	return d
}

// cleanBody makes bodies comparable: forges keep, add or drop carriage returns and white space at the end.
func cleanBody(body string) string {
	return strings.TrimRight(strings.ReplaceAll(strings.ToValidUTF8(body, ""), "\r\n", "\n"), " \t\n")
}

// Differs tells whether Update would change the request.
func Differs(r *Request, d Draft) bool {
	d = Clean(d)
	return titleDiffers(r, d) || r.Body != d.Body || (d.Base != "" && r.Base != d.Base) || len(missing(r.Labels, d.Labels)) > 0
}

// titleDiffers compares without the mark of a draft, which people set and remove while they review.
func titleDiffers(r *Request, d Draft) bool {
	_, title := draftMark(d.Title)
	return d.Title != "" && r.Title != d.Title && r.Title != title
}

// missing returns the wanted labels that are not there. Names that differ in case alone are the same label, as they are on GitHub.
func missing(have, want []string) []string {
	var names []string
	for _, label := range want {
		if !contains(have, label) && !contains(names, label) {
			names = append(names, label)
		}
	}
	return names
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

// marks are what makes a title that of a draft on GitLab and Gitea, longest first; GitHub keeps it apart from the title.
var marks = []string{"[draft]", "(draft)", "draft:", "[wip]", "wip:"}

// draftMark splits a title into the mark of a draft, if it has one, and the rest.
func draftMark(title string) (mark, rest string) {
	for _, m := range marks {
		if len(title) >= len(m) && strings.EqualFold(title[:len(m)], m) {
			return title[:len(m)], strings.TrimSpace(title[len(m):])
		}
	}
	return "", title
}
