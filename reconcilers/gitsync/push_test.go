package gitsync_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/git/gittest"
	"github.com/ocm-operator/ocm-operator/git/message"
)

func TestPush(t *testing.T) {
	t.Parallel()
	s := newStage(t, map[string]string{"README.md": "fleet", ".gitignore": "*.log\n", "apps/podinfo/old.yaml": "old"})
	s.create(nil)
	s.reconcile()
	if got := s.sync.Status.Commit; got != "" {
		t.Errorf("commit %s was pushed without content", got)
	}
	s.provide("1.0.0", map[string]string{"a.yaml": "a: 1\n", "ignored.log": "kept", "bin/run*": "#!/bin/sh\n", "link@": "a.yaml"})
	s.reconcile()
	tip := s.tip("main")
	if want := "Pushed version 1.0.0 as " + tip.Hash[:7] + " to branch main"; s.wantReady() != want {
		t.Errorf("message %q, want %q", s.wantReady(), want)
	}
	want := map[string]string{
		"README.md": "fleet", ".gitignore": "*.log\n",
		"apps/podinfo/a.yaml": "a: 1\n", "apps/podinfo/ignored.log": "kept", "apps/podinfo/bin/run": "#!/bin/sh\n", "apps/podinfo/link": "a.yaml",
	}
	if diff := cmp.Diff(want, s.contents("main")); diff != "" {
		t.Errorf("files of main (-want +got):\n%s", diff)
	}
	files := gittest.Files(t, s.dir, "main")
	if files["apps/podinfo/bin/run"].Mode != gittest.Executable || files["apps/podinfo/link"].Mode != gittest.Symlink {
		t.Errorf("modes %v", files)
	}
	trailers := message.ParseTrailers(tip.Message)
	for key, want := range map[string]string{
		"Ocm-Component": "acme.org/app", "Ocm-Version": "1.0.0", "Ocm-Resource": "manifests", "Ocm-Digest": s.sync.Status.Digest, "Ocm-Sync": "default/app", "Ocm-Tree": tip.Tree, "Ocm-Base": "",
	} {
		if trailers[key] != want {
			t.Errorf("trailer %s is %q, want %q", key, trailers[key], want)
		}
	}
	if tip.Author != "ocm" || tip.CommitterEmail != "ocm@acme.org" || len(tip.Parents) != 1 {
		t.Errorf("commit %+v", tip)
	}
	events := strings.Join(s.Events(), "\n")
	if want := "Normal Progressing Pushed " + tip.Hash[:7] + " to branch main: version 1.0.0, 5 files changed"; !strings.Contains(events, want) {
		t.Errorf("events\n%s\nwant %q", events, want)
	}
	status := s.sync.Status
	if status.Commit != tip.Hash || status.LastPushedCommit != tip.Hash || status.LastPushTime == nil || status.Branch != "main" || status.Version != "1.0.0" || len(status.Origins) != 1 {
		t.Errorf("status %+v", status)
	}
	gittest.Fsck(t, s.dir)
	s.wantQuiet(0)

	// Another process has no memory, and needs none.
	s.install()
	s.wantQuiet(0)
}
