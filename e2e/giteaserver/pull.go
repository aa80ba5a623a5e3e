package giteaserver

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// mergeTimeout bounds how long Gitea may take until it knows whether a request can be merged.
const mergeTimeout = time.Minute

// Style is a way to merge.
type Style string

// Ways to merge.
const (
	Merge  Style = "merge"
	Squash Style = "squash"
	Rebase Style = "rebase"
)

// PullRequest is a pull request as Gitea tells it.
type PullRequest struct {
	Number      int64  `json:"number"`
	URL         string `json:"html_url"`
	Title       string `json:"title"`
	Body        string `json:"body"`
	State       string `json:"state"` // open or closed; merged ones are closed
	Draft       bool   `json:"draft"`
	Merged      bool   `json:"merged"`
	MergeCommit string `json:"merge_commit_sha"`
	Labels      []struct {
		Name string `json:"name"`
	} `json:"labels"`
	Base Side `json:"base"`
	Head Side `json:"head"`
}

// Side is one of the two branches of a pull request.
type Side struct {
	Branch string `json:"ref"`
	Commit string `json:"sha"`
}

// LabelNames returns the labels' names, sorted.
func (p *PullRequest) LabelNames() []string {
	names := make([]string, len(p.Labels))
	for i, label := range p.Labels {
		names[i] = label.Name
	}
	slices.Sort(names)
	return names
}

// PullRequests returns all pull requests, of any state, by number.
func (r *Repository) PullRequests(t testing.TB) []PullRequest {
	t.Helper()
	var all []PullRequest
	for page := 1; ; page++ {
		var pulls []PullRequest
		r.Owner.do(t, call{
			method: http.MethodGet, path: r.path + "/pulls?state=all&sort=oldest&limit=50&page=" + strconv.Itoa(page), want: []int{http.StatusOK}, into: &pulls,
		})
		if len(pulls) == 0 {
			slices.SortFunc(all, func(a, b PullRequest) int { return int(a.Number - b.Number) })
			return all
		}
		all = append(all, pulls...)
	}
}

// PullRequest returns a pull request.
func (r *Repository) PullRequest(t testing.TB, number int64) *PullRequest {
	t.Helper()
	var pull PullRequest
	r.Owner.do(t, call{method: http.MethodGet, path: r.pull(number), want: []int{http.StatusOK}, into: &pull})
	return &pull
}

// Propose opens a pull request. The head is a branch, or user:branch for one of a fork.
func (r *Repository) Propose(t testing.TB, by *User, head, base string) *PullRequest {
	t.Helper()
	var pull PullRequest
	by.do(t, call{
		method: http.MethodPost, path: r.path + "/pulls", want: []int{http.StatusCreated},
		body: map[string]any{"head": head, "base": base, "title": "Somebody's " + head}, into: &pull,
	})
	return &pull
}

// Merge merges a pull request, when Gitea has found out that it can be, and returns the tip that its base has then.
func (r *Repository) Merge(t testing.TB, number int64, style Style, deleteBranch bool) string {
	t.Helper()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.Now().Add(mergeTimeout)
	for {
		status, answer := r.Owner.try(t, call{
			method: http.MethodPost, path: r.pull(number) + "/merge", body: map[string]any{"Do": style, "delete_branch_after_merge": deleteBranch},
		})
		switch {
		case status == http.StatusOK:
			return r.Tip(t, r.PullRequest(t, number).Base.Branch)
		// Gitea says the same of a conflict, for ever.
		case status == http.StatusMethodNotAllowed && strings.Contains(string(answer), "try again later") && time.Now().Before(deadline):
			<-ticker.C
		default:
			t.Fatalf("merge pull request #%d: %d: %s", number, status, answer)
		}
	}
}

// Close closes a pull request without merging it.
func (r *Repository) Close(t testing.TB, number int64) {
	t.Helper()
	r.edit(t, number, map[string]any{"state": "closed"})
}

// Reopen opens a pull request again.
func (r *Repository) Reopen(t testing.TB, number int64) {
	t.Helper()
	r.edit(t, number, map[string]any{"state": "open"})
}

// Retitle changes the title; one that begins with "WIP: " marks the request as a draft.
func (r *Repository) Retitle(t testing.TB, number int64, title string) {
	t.Helper()
	r.edit(t, number, map[string]any{"title": title})
}

// Describe sets the text.
func (r *Repository) Describe(t testing.TB, number int64, text string) {
	t.Helper()
	r.edit(t, number, map[string]any{"body": text})
}

func (r *Repository) edit(t testing.TB, number int64, fields map[string]any) {
	t.Helper()
	r.Owner.do(t, call{method: http.MethodPatch, path: r.pull(number), want: []int{http.StatusCreated}, body: fields})
}

// Label adds a label to a pull request, and makes it if the repository has none of that name.
func (r *Repository) Label(t testing.TB, number int64, name string) {
	t.Helper()
	var labels []struct {
		ID   int64  `json:"id"`
		Name string `json:"name"`
	}
	r.Owner.do(t, call{method: http.MethodGet, path: r.path + "/labels?limit=50", want: []int{http.StatusOK}, into: &labels})
	var id int64
	for _, label := range labels {
		if label.Name == name {
			id = label.ID
		}
	}
	if id == 0 {
		var created struct {
			ID int64 `json:"id"`
		}
		r.Owner.do(t, call{
			method: http.MethodPost, path: r.path + "/labels", want: []int{http.StatusCreated}, body: map[string]any{"name": name, "color": "#00aabb"}, into: &created,
		})
		id = created.ID
	}
	r.Owner.do(t, call{method: http.MethodPost, path: r.issue(number) + "/labels", want: []int{http.StatusOK}, body: map[string]any{"labels": []int64{id}}})
}

// Comments returns the texts of all comments of a pull request, oldest first.
func (r *Repository) Comments(t testing.TB, number int64) []string {
	t.Helper()
	var comments []struct {
		Body string `json:"body"`
	}
	r.Owner.do(t, call{method: http.MethodGet, path: r.issue(number) + "/comments", want: []int{http.StatusOK}, into: &comments})
	texts := make([]string, len(comments))
	for i, comment := range comments {
		texts[i] = comment.Body
	}
	return texts
}

func (r *Repository) pull(number int64) string {
	return r.path + "/pulls/" + strconv.FormatInt(number, 10)
}

func (r *Repository) issue(number int64) string {
	return r.path + "/issues/" + strconv.FormatInt(number, 10)
}
