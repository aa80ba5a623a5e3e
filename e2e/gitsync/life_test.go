package gitsync

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/git/gittest"
	"github.com/ocm-operator/ocm-operator/git/message"
)

// own is what a repository holds before the operator has seen it: its files are none of the operator's business, but those of the folder
// that is synced.
var own = map[string]string{
	"README.md": "ours\n", ".gitignore": "*.log\nbin/\n", "clusters/other/app.yaml": "another cluster\n", "clusters/site/by-hand.yaml": "somebody wrote this by hand\n",
}

// The files of a component: what git handles in a special way is among them.
func contents(message string) []entry {
	return []entry{
		file("config.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app}\ndata:\n  message: "+message+" # a greeting\n"),
		program("bin/run.sh", "#!/bin/sh\necho "+message+"\n"), link("bin/latest", "run.sh"), link("readme", "docs/deep/er/README.md"),
		file("docs/deep/er/README.md", "# docs\n"), file("debug.log", "ignored by the repository\n"), file(".gitignore", "*.tmp\n"), file("cache.tmp", "ignored by itself\n"),
		file(".gitattributes", "* text eol=crlf\n*.png binary\n"), file("crlf.txt", "kept\r\nas it is\n"), file("logo.png", "\x89PNG\x00\xff"), file("empty", ""),
		file("name with ünï çödé and spaces.txt", "x"),
	}
}

// below returns what a folder holds that has these files and nothing else, as repository.files tells it.
func below(folder string, entries []entry) map[string]string {
	all := map[string]string{}
	for _, e := range entries {
		path := e.path
		if folder != "" {
			path = folder + "/" + path
		}
		switch {
		case e.target != "":
			all[path] = "120000 " + e.target
		case e.executable:
			all[path] = "100755 " + e.content
		default:
			all[path] = "100644 " + e.content
		}
	}
	return all
}

// plain returns what a repository holds with ordinary files.
func plain(contents map[string]string) map[string]string {
	all := map[string]string{}
	for path, content := range contents {
		all[path] = "100644 " + content
	}
	return all
}

// merged returns what is in all of the maps; the later ones win.
func merged(all ...map[string]string) map[string]string {
	result := map[string]string{}
	for _, one := range all {
		maps.Copy(result, one)
	}
	return result
}

// without returns a map without keys.
func without(all map[string]string, keys ...string) map[string]string {
	all = maps.Clone(all)
	for _, key := range keys {
		delete(all, key)
	}
	return all
}

// life pushes a first version, nothing, another one that lacks files, and the same with other values; first beside what others have in
// the folder, then in place of it.
func life(t *testing.T, w *world, h *host) {
	r := h.repository(w, own)
	start := r.tip("main")
	w.deliver("1.0.0", contents("none")...)
	w.Apply(configuration, "${MESSAGE}", "hello")
	s := spec(r)
	s.SourceRef = &v1alpha1.ObjectReference{Kind: v1alpha1.ConfigurationKind, Name: app}
	s.Prune = false
	began := time.Now()
	w.sync(app, s)
	obj := w.synced(app, "1.0.0")
	t.Logf("the first commit was there after %d ms", time.Since(began).Milliseconds())
	configured := func(message string) map[string]string {
		all := below(s.SubPath, contents("none"))
		all[s.SubPath+"/config.yaml"] = "100644 " + contents(message)[0].content
		return all
	}
	r.expect("main", merged(plain(own), configured("hello")))
	r.isFirst(obj, w, start)
	gittest.Fsck(t, r.dir)
	nothingToDo(t, w, r, h)

	second := contents("none")[:3] // the others are gone
	w.publish("1.1.0", second...)
	w.synced(app, "1.1.0")
	r.expect("main", merged(plain(own), configured("hello"))) // and stay: they may be somebody's

	s.Prune = true
	w.sync(app, s)
	obj = w.synced(app, "1.1.0")
	rest := without(plain(own), "clusters/site/by-hand.yaml")
	r.expect("main", merged(rest, below(s.SubPath, second[1:]), map[string]string{s.SubPath + "/config.yaml": "100644 " + contents("hello")[0].content}))
	w.Apply(configuration, "${MESSAGE}", "goodbye")
	w.synced(app, "1.1.0", func(now *v1alpha1.GitSync) error {
		if now.Status.Digest == obj.Status.Digest {
			return fmt.Errorf("the branch holds %s still", now.Status.Digest)
		}
		return nil
	})
	r.expect("main", merged(rest, below(s.SubPath, second[1:]), map[string]string{s.SubPath + "/config.yaml": "100644 " + contents("goodbye")[0].content}))
	gittest.Fsck(t, r.dir)
	if events := w.events(app); !slices.ContainsFunc(events, func(message string) bool {
		return strings.Contains(message, "Pushed") && strings.Contains(message, "1.1.0")
	}) {
		t.Errorf("no event tells what was pushed: %q", events)
	}
}

// isFirst wants the tip of main to be the commit that the status tells of, on top of the one before, with all that it is to say.
func (r *repository) isFirst(obj *v1alpha1.GitSync, w *world, start string) {
	r.t.Helper()
	tip := r.log("main")[0]
	if obj.Status.Commit != tip.Hash || obj.Status.LastPushedCommit != tip.Hash || obj.Status.Branch != "main" || obj.Status.LastPushTime == nil {
		r.t.Errorf("the status is %+v, the tip %s upon %s", obj.Status, tip.Hash, start)
	}
	if !slices.Equal(tip.Parents, []string{start}) || tip.Author != "ocm" || tip.AuthorEmail != "ocm@acme.org" {
		r.t.Errorf("the commit is by %s upon %v, want %s", tip.Author, tip.Parents, start)
	}
	if subject, want := strings.SplitN(tip.Message, "\n", 2)[0], "deploy "+w.component()+" 1.0.0"; subject != want {
		r.t.Errorf("the subject is %q, want %q", subject, want)
	}
	trailers := message.ParseTrailers(tip.Message)
	for name, want := range map[string]string{
		"Ocm-Component": w.component(), "Ocm-Version": "1.0.0", "Ocm-Digest": obj.Status.Digest, "Ocm-Sync": w.Namespace + "/" + app,
	} {
		if trailers[name] != want {
			r.t.Errorf("trailer %s is %q, want %q", name, trailers[name], want)
		}
	}
}

// nothingToDo has a GitSync look again though nothing has changed: it asks the server once and does nothing.
func nothingToDo(t *testing.T, w *world, r *repository, h *host) {
	t.Helper()
	tip, events := r.tip("main"), len(w.events(app))
	w.synced(app, "1.0.0", w.request(app)) // the first look may differ, when a restart has forgotten something
	before := len(h.seen(r))
	w.synced(app, "1.0.0", w.request(app))
	if seen := h.seen(r)[before:]; len(seen) > 2 { // one to be told how to log in
		t.Errorf("a look that finds nothing to do took requests %q, want one for the refs", seen)
	}
	if now := r.tip("main"); now != tip {
		t.Errorf("the branch is at %s without a change, was at %s", now, tip)
	}
	if now := w.events(app); len(now) != events {
		t.Errorf("events without a change: %q", now)
	}
}
