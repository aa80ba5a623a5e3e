package gitsync

import (
	"path"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/giteaserver"
	"github.com/ocm-operator/ocm-operator/git/forge"
	"github.com/ocm-operator/ocm-operator/git/forge/forgetest"
	"github.com/ocm-operator/ocm-operator/git/gittest"
)

// forgeHost is a forge that tests share; each has a repository of its own there.
type forgeHost struct {
	name string
	// repository makes a repository with files in its branch main, and the Secret that leads there.
	repository func(w *world, files map[string]string) *proposals
}

// Tokens of the forges that answer as GitHub and GitLab do.
const writer, reader, nobody = "a-writer", "a-reader", "nobody"

// testForge answers as GitHub or GitLab does, about repositories of a server beside it.
func testForge(t *testing.T, provider string) *forgeHost {
	t.Helper()
	server := forgetest.Start(t, provider)
	server.AddToken(writer, forgetest.Token{User: user, Rights: forgetest.Write})
	server.AddToken(reader, forgetest.Token{User: user, Rights: forgetest.Read})
	h := plainHost(t)
	return &forgeHost{name: provider, repository: func(w *world, files map[string]string) *proposals {
		w.t.Helper()
		r := h.repository(w, files)
		name := path.Join("team", w.Namespace)
		server.AddRepository(name, r.dir)
		p := &proposals{repository: r, gate: newGate(w.t, server.URL), good: withToken(h.good, writer), weak: withToken(h.good, reader), wrong: withToken(h.good, nobody)}
		r.provider, r.api = provider, p.gate.url+strings.TrimPrefix(server.APIURL(), server.URL)
		w.secret(goodSecret, p.good)
		p.client = asPerson(w.t, forge.Options{Provider: provider, RepositoryURL: r.url, APIURL: server.APIURL(), Token: writer})
		p.merge = func(t *testing.T, number int64) string {
			t.Helper()
			return server.Merge(t, name, number, "merge")
		}
		return p
	}}
}

// withToken returns what a Secret holds with a token for the API.
func withToken(data map[string]string, token string) map[string]string {
	return merged(data, map[string]string{"apiToken": token})
}

func asPerson(t *testing.T, o forge.Options) forge.Forge {
	t.Helper()
	o.UserAgent = "somebody"
	f, err := forge.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// gitea is a real one.
func gitea(t *testing.T) *forgeHost {
	t.Helper()
	server := giteaserver.Start(t)
	write := server.Admin.NewToken(t, giteaserver.WriteRepository, giteaserver.WriteIssue)
	read := server.Admin.NewToken(t, giteaserver.ReadRepository, giteaserver.ReadIssue)
	login := map[string]string{"username": server.Admin.Name, "password": server.Admin.Password()}
	return &forgeHost{name: forge.Gitea, repository: func(w *world, files map[string]string) *proposals {
		w.t.Helper()
		at := server.NewRepository(w.t, w.Namespace, files)
		gittest.Config(w.t, at.Dir, "core.logAllRefUpdates", "true")
		p := &proposals{
			gate: newGate(w.t, server.URL), good: withToken(login, write), weak: withToken(login, read), wrong: withToken(login, nobody),
			client: asPerson(w.t, forge.Options{Provider: forge.Gitea, RepositoryURL: at.URL, Token: write}),
			merge: func(t *testing.T, number int64) string {
				t.Helper()
				return at.Merge(t, number, giteaserver.Merge, false)
			},
		}
		p.repository = &repository{
			t: w.t, dir: at.Dir, url: at.URL, secret: goodSecret, provider: forge.Gitea, api: p.gate.url + "/api/v1", apply: at.Apply, remove: at.DeleteBranch,
		}
		w.secret(goodSecret, p.good)
		return p
	}}
}

// TestPullRequests proposes content at each forge, beside what people do there.
func TestPullRequests(t *testing.T) {
	w := newWorld(t)
	hosts := []*forgeHost{testForge(t, forge.GitHub), testForge(t, forge.GitLab), gitea(t)}
	t.Run("all", func(t *testing.T) {
		for _, h := range hosts {
			for name, test := range map[string]func(t *testing.T, w *world, p *proposals){
				"proposed": proposed, "merged elsewhere": mergedElsewhere, "closed elsewhere": closedElsewhere, "superseded": superseded, "duplicate": duplicate,
				"adopted": adopted, "rate limited": rateLimited, "without rights": withoutRights, "nothing to propose": nothingToPropose,
			} {
				t.Run(h.name+"/"+name, func(t *testing.T) {
					t.Parallel()
					w := w.forTest(t)
					p := h.repository(w, own)
					test(t, w, p)
					gittest.Fsck(t, p.dir)
				})
			}
		}
	})
}
